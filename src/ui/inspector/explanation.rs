//! The explanation panel: this session's handshake with every header explained, and the close codes seen so far.

use std::collections::BTreeSet;

use leptos::{prelude::*, task::spawn_local};

use super::{drawer::TraceVersion, texts::header_text};
use crate::{
    i18n::*,
    ui::{
        close_text::meaning_text,
        handshake::{HandshakeRecord, fetch_handshake},
        text::{dynamic_view, optional_text, t, translate},
    },
};
use duplex_leptos::trace::{EventKind, Inspection, SessionTrace};
use duplex_protocol::{code, handshake::Handshake};

/// The id of the handshake record of the session's newest WebSocket.
pub fn newest_handshake_id(trace: &SessionTrace) -> Option<String> {
    trace.events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Opening { handshake_id, .. } => handshake_id.clone(),
        _ => None,
    })
}

#[component]
pub fn Explanation(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let handshake = RwSignal::new(None::<Handshake>);
    refresh_handshake(&inspection, version, handshake);
    let record = dynamic_view(move || {
        Some(match handshake.get() {
            None => view! { <p class="hint">{t!(inspector.no_handshake)}</p> }.into_any(),
            Some(handshake) => {
                let headers = explained_headers(&handshake);
                view! { <HandshakeRecord handshake/><h4>{t!(inspector.headers)}</h4>{headers} }.into_any()
            }
        })
    });
    view! {
        <section class="inspector-section" aria-labelledby="inspector-handshake">
            <h3 id="inspector-handshake">{t!(inspector.handshake)}</h3>
            <p class="hint">{t!(inspector.handshake_text)}</p>
            {record}
        </section>
        <CloseCodes inspection version/>
        <section class="inspector-section" aria-labelledby="inspector-resume">
            <h3 id="inspector-resume">{t!(inspector.resume)}</h3>
            <ol class="steps">
                <li>{t!(inspector.resume_1)}</li>
                <li>{t!(inspector.resume_2)}</li>
                <li>{t!(inspector.resume_3)}</li>
                <li>{t!(inspector.resume_4)}</li>
            </ol>
        </section>
    }
}

/// Fetches the server's record of the newest WebSocket, and again after each event of the session.
fn refresh_handshake(inspection: &Inspection, version: TraceVersion, handshake: RwSignal<Option<Handshake>>) {
    let newest = Memo::new({
        let shared = inspection.trace();
        move |_| {
            version.track();
            shared.with(|trace| {
                (
                    newest_handshake_id(trace),
                    trace.events.back().map(|event| event.number),
                )
            })
        }
    });
    Effect::new(move |_| {
        let Some(trace) = newest.get().0 else { return };
        spawn_local(async move {
            if let Ok(found) = fetch_handshake(&trace).await
                && newest
                    .try_get_untracked()
                    .is_some_and(|(current, _)| current == Some(trace))
            {
                handshake.try_set(Some(found));
            }
        });
    });
}

/// The handshake's headers that have an explanation.
fn explained_headers(handshake: &Handshake) -> AnyView {
    let names: BTreeSet<&str> = handshake
        .request
        .iter()
        .chain(&handshake.response)
        .map(|(name, _)| name.as_str())
        .collect();
    let lines = names.into_iter().filter_map(|name| {
        let key = header_text(name)?;
        Some(view! { <div><dt class="mono">{name.to_owned()}</dt><dd>{translate(key)}</dd></div> })
    });
    view! { <dl class="inspector-definitions">{lines.collect_view()}</dl> }.into_any()
}

#[component]
fn CloseCodes(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let i18n = use_i18n();
    let shared = inspection.trace();
    let codes = Memo::new(move |_| {
        version.track();
        shared.with(|trace| {
            let codes = trace.events.iter().filter_map(|event| match event.kind {
                EventKind::Closed { code, .. } => Some(code),
                _ => None,
            });
            codes.collect::<BTreeSet<_>>()
        })
    });
    let none = optional_text(move || {
        codes
            .with(BTreeSet::is_empty)
            .then(|| t_string!(i18n, inspector.no_codes).to_owned())
    });
    let list = dynamic_view(move || {
        let line = |code: u16| view! { <div><dt class="mono">{code}</dt><dd>{translate(meaning_text(code::meaning(code)))}</dd></div> };
        let codes = codes.get();
        (!codes.is_empty()).then(|| {
            view! { <dl class="inspector-definitions">{codes.into_iter().map(line).collect_view()}</dl> }.into_any()
        })
    });
    view! {
        <section class="inspector-section" aria-labelledby="inspector-codes">
            <h3 id="inspector-codes">{t!(inspector.codes)}</h3>
            <p class="hint">{none}</p>
            {list}
        </section>
    }
}
