//! Faults to try on this session, each really made, and what happened next.

use std::time::Duration;

use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};

use super::{
    drawer::Fresh,
    story::{Chapter, Step, chapters},
    words::{fault_name, refusal, step_words},
};
use crate::{
    i18n::*,
    ui::{
        format,
        text::{TextKey, dynamic_view, fill, optional_text, t, text_key, translate},
    },
    wire::number,
};
use duplex_leptos::trace::{Inspection, RequestedFault};
use duplex_protocol::fault::{Fault, FaultReport, MAX_DELAY_MS, MAX_FAULT_MS};

/// What the fields begin with.
const SECONDS: u32 = 10;
const DELAY: u32 = 300;
/// Between two questions about what is in force.
const BEAT: Duration = Duration::from_secs(1);
/// Chapters in the document.
const CHAPTERS: usize = 12;

#[derive(Clone, Copy)]
struct Settings {
    seconds: RwSignal<String>,
    delay: RwSignal<String>,
    /// A field's number cannot be used: nothing was asked for.
    wrong: RwSignal<bool>,
}

impl Settings {
    fn for_ms(self) -> Option<u32> {
        let seconds = number::parse_u32(&self.seconds.get_untracked())?;
        Some(seconds.saturating_mul(1000)).filter(|ms| (1000..=MAX_FAULT_MS).contains(ms))
    }

    fn by_ms(self) -> Option<u32> {
        number::parse_u32(&self.delay.get_untracked()).filter(|ms| (1..=MAX_DELAY_MS).contains(ms))
    }
}

#[component]
pub fn Faults(inspection: Inspection, fresh: Fresh) -> impl IntoView {
    let settings = Settings {
        seconds: RwSignal::new(SECONDS.to_string()),
        delay: RwSignal::new(DELAY.to_string()),
        wrong: RwSignal::new(false),
    };
    let report = RwSignal::new(None::<FaultReport>);
    follow(&inspection, fresh, report);
    view! {
        <section class="inspector-part" aria-labelledby="inspector-faults">
            <h3 id="inspector-faults">{t!(inspector.faults)}</h3>
            <p class="hint">{t!(inspector.faults_text)}</p>
            <Fields settings/>
            <Offers inspection=inspection.clone() settings report/>
            <Standing report/>
        </section>
        <Timeline inspection fresh/>
    }
}

/// How the session stands with the server, asked again when something happened, and each second while something is in force.
fn follow(inspection: &Inspection, fresh: Fresh, report: RwSignal<Option<FaultReport>>) {
    let inspection = inspection.clone();
    let lines = Memo::new({
        let shared = inspection.trace();
        move |_| {
            fresh.track();
            shared.with(|trace| (trace.session.clone(), trace.events.back().map(|event| event.number)))
        }
    });
    let beat = RwSignal::new(0_u32);
    Effect::new(move |_| {
        if !report.get().is_some_and(is_in_force) {
            return;
        }
        let timer = set_timeout_with_handle(move || beat.update(|beat| *beat = beat.wrapping_add(1)), BEAT).ok();
        on_cleanup(move || {
            timer.as_ref().map(TimeoutHandle::clear);
        });
    });
    Effect::new(move |_| {
        lines.track();
        beat.track();
        let inspection = inspection.clone();
        spawn_local(async move {
            if let Some(answer) = inspection.report().await {
                report.try_set(Some(answer));
            }
        });
    });
}

const fn is_in_force(report: FaultReport) -> bool {
    report.delay_ms > 0 || report.slow_ms > 0 || report.websocket_blocked_ms > 0 || report.sse_blocked_ms > 0
}

#[component]
fn Fields(settings: Settings) -> impl IntoView {
    let i18n = use_i18n();
    let problem = optional_text(move || {
        let (seconds, delay) = ((MAX_FAULT_MS / 1000).to_string(), MAX_DELAY_MS.to_string());
        let words: TextKey = text_key!(inspector.bad_number);
        let values = [("seconds", &*seconds), ("delay", &*delay)];
        settings.wrong.get().then(|| fill(words(i18n.get_locale()), &values))
    });
    view! {
        <div class="row">
            <label class="field narrow">
                <span>{t!(inspector.seconds)}</span>
                <input name="seconds" inputmode="numeric" autocomplete="off" bind:value=settings.seconds/>
            </label>
            <label class="field narrow">
                <span>{t!(inspector.delay_ms)}</span>
                <input name="delay" inputmode="numeric" autocomplete="off" bind:value=settings.delay/>
            </label>
        </div>
        <p class="problem" role="alert">{problem}</p>
    }
}

/// One button. `make`: what it asks for, by the fields.
struct Offer {
    key: &'static str,
    name: TextKey,
    what: TextKey,
    make: fn(Settings) -> Option<RequestedFault>,
}

fn offers() -> [Offer; 8] {
    let offer = |key, name: TextKey, what: TextKey, make| Offer { key, name, what, make };
    [
        offer("cut", text_key!(inspector.cut), text_key!(inspector.cut_text), |_| {
            Some(RequestedFault::Server(Fault::Cut))
        }),
        offer(
            "block_websocket",
            text_key!(inspector.block_websocket),
            text_key!(inspector.block_websocket_text),
            |settings| block(settings, false),
        ),
        offer(
            "block_sse",
            text_key!(inspector.block_sse),
            text_key!(inspector.block_sse_text),
            |settings| block(settings, true),
        ),
        offer(
            "unblock",
            text_key!(inspector.unblock),
            text_key!(inspector.unblock_text),
            |_| Some(RequestedFault::Server(Fault::Unblock)),
        ),
        offer(
            "offline",
            text_key!(inspector.offline),
            text_key!(inspector.offline_text),
            |settings| settings.for_ms().map(RequestedFault::Offline),
        ),
        offer(
            "delay",
            text_key!(inspector.delay),
            text_key!(inspector.delay_text),
            |settings| {
                let (by_ms, for_ms) = (settings.by_ms()?, settings.for_ms()?);
                Some(RequestedFault::Server(Fault::Delay { by_ms, for_ms }))
            },
        ),
        offer(
            "slow",
            text_key!(inspector.slow),
            text_key!(inspector.slow_text),
            |settings| {
                let for_ms = settings.for_ms()?;
                Some(RequestedFault::Server(Fault::Slow { for_ms }))
            },
        ),
        offer(
            "drain",
            text_key!(inspector.drain),
            text_key!(inspector.drain_text),
            |_| Some(RequestedFault::Server(Fault::Drain)),
        ),
    ]
}

fn block(settings: Settings, sse: bool) -> Option<RequestedFault> {
    let for_ms = settings.for_ms()?;
    Some(RequestedFault::Server(Fault::Block {
        websocket: true,
        sse,
        for_ms,
    }))
}

#[component]
fn Offers(inspection: Inspection, settings: Settings, report: RwSignal<Option<FaultReport>>) -> impl IntoView {
    let list = offers().map(|offer| {
        let inspection = inspection.clone();
        // What the page does to itself needs nobody's leave.
        let own = offer.key == "offline";
        let off = move || !own && report.get().is_some_and(|report| !report.on);
        let act = move |_| {
            let inspection = inspection.clone();
            let made = (offer.make)(settings);
            settings.wrong.set(made.is_none());
            match made {
                None => {}
                Some(RequestedFault::Offline(for_ms)) => inspection.go_offline(for_ms),
                Some(RequestedFault::Server(fault)) => spawn_local(async move {
                    if let Ok(answer) = inspection.request_fault(fault).await {
                        report.try_set(Some(answer));
                    }
                }),
            }
        };
        view! {
            <li>
                <button type="button" class="button small" data-fault=offer.key disabled=off on:click=act>{translate(offer.name)}</button>
                <p class="hint">{translate(offer.what)}</p>
            </li>
        }
    });
    view! { <ul class="inspector-offers">{list.into_iter().collect_view()}</ul> }
}

/// What is in force, and whether the operator allows anything.
#[component]
fn Standing(report: RwSignal<Option<FaultReport>>) -> impl IntoView {
    let i18n = use_i18n();
    let line = optional_text(move || {
        let report = report.get()?;
        let locale = i18n.get_locale();
        if !report.on {
            let words: TextKey = text_key!(inspector.faults_off);
            return Some(words(locale).to_owned());
        }
        let forces: [(TextKey, u64); 4] = [
            (text_key!(inspector.force_websocket), report.websocket_blocked_ms),
            (text_key!(inspector.force_sse), report.sse_blocked_ms),
            (text_key!(inspector.force_delay), report.delay_ms),
            (text_key!(inspector.force_slow), report.slow_ms),
        ];
        let said: Vec<_> = forces
            .iter()
            .filter(|(_, left)| *left > 0)
            .map(|(words, left)| fill(words(locale), &[("seconds", &left.div_ceil(1000).to_string())]))
            .collect();
        (!said.is_empty()).then(|| said.join(" · "))
    });
    view! { <p class="inspector-standing" role="status">{line}</p> }
}

#[component]
fn Timeline(inspection: Inspection, fresh: Fresh) -> impl IntoView {
    let i18n = use_i18n();
    let body = dynamic_view(move || {
        fresh.track();
        let chapters = inspection
            .trace()
            .with(|trace| chapters(&trace.events, trace.audit.counts()));
        let shown = chapters.into_iter().take(CHAPTERS);
        Some(
            shown
                .map(|told| chapter(i18n.get_locale(), &told))
                .collect_view()
                .into_any(),
        )
    });
    view! {
        <section class="inspector-part" aria-labelledby="inspector-timeline">
            <h3 id="inspector-timeline">{t!(inspector.timeline)}</h3>
            {body}
        </section>
    }
}

fn chapter(locale: Locale, chapter: &Chapter) -> AnyView {
    let key = chapter.fault.map_or("begin", fault_key);
    let name = fault_name(chapter.fault)(locale);
    let refused = chapter.refused.map(|status| refusal(locale, status));
    let step = |step: &Step| {
        let after = ["+", &format::millis(locale, step.after)].concat();
        view! { <li><span class="number">{after}</span> <span>{step_words(locale, &step.what)}</span></li> }
    };
    let told = {
        let words: TextKey = text_key!(inspector.chapter_told);
        let [events, gaps, duplicates] =
            [chapter.told.events, chapter.told.gaps, chapter.told.duplicates].map(format::grouped);
        fill(
            words(locale),
            &[("events", &events), ("gaps", &gaps), ("duplicates", &duplicates)],
        )
    };
    view! {
        <article class="inspector-chapter" data-chapter=key data-whole=chapter.told.is_whole().to_string()>
            <h4>{name}</h4>
            <p class="problem">{refused}</p>
            <ol>{chapter.steps.iter().map(step).collect_view()}</ol>
            <p class="told">{told}</p>
        </article>
    }
    .into_any()
}

const fn fault_key(fault: RequestedFault) -> &'static str {
    match fault {
        RequestedFault::Server(fault) => fault.name(),
        RequestedFault::Offline(_) => "offline",
    }
}
