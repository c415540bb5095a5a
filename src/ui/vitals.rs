//! The vitals strip on every page: the node's vital signs, received through `leptos_ws`, and whether they are current. The strip
//! keeps the server's rendering until it is visible; only then does it subscribe.

use std::time::Duration;

use leptos::{html, leptos_dom::helpers::IntervalHandle, prelude::*, task::spawn_local, wasm_split::wasm_split};

use super::{
    clock, format,
    text::{TextKey, dynamic_text, labeled_value, t, text_key},
    visibility::on_visible,
};
use crate::{
    i18n::*,
    wire::vitals::{BEAT_SECONDS, VITALS, Vitals},
};

/// The values are stale after three missed beats, plus 500 ms for the network.
const STALE_AFTER: Duration = Duration::from_millis(BEAT_SECONDS * 3000 + 500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    Waiting,
    Live,
    Stale,
}

#[component]
pub fn VitalsStrip() -> impl IntoView {
    let i18n = use_i18n();
    // Provided by the server's rendering; the browser keeps the rendered texts until the first beat.
    let vitals = RwSignal::new(use_context::<Vitals>().unwrap_or_default());
    let liveness = use_liveness(vitals);
    let strip = NodeRef::<html::Aside>::new();
    let owner = Owner::current();
    on_visible(strip, move || {
        let owner = owner.clone();
        spawn_local(async move {
            if let Some(owner) = owner {
                subscribe_vitals(owner, vitals).await;
            }
        });
    });
    let state = dynamic_text(move || {
        let key: TextKey = match liveness.get() {
            Liveness::Waiting => text_key!(vitals.waiting),
            Liveness::Live => text_key!(vitals.live),
            Liveness::Stale => text_key!(vitals.stale),
        };
        key(i18n.get_locale()).to_owned()
    });
    let vital = move |name: TextKey, key: &'static str, field: fn(Locale, &Vitals) -> String| {
        labeled_value(
            name,
            key,
            dynamic_text(move || {
                let locale = i18n.get_locale();
                vitals.with(|vitals| {
                    if vitals.beat == 0 {
                        "–".to_owned()
                    } else {
                        field(locale, vitals)
                    }
                })
            }),
        )
    };
    view! {
        <aside
            class="vitals"
            node_ref=strip
            aria-label=t!(vitals.label)
            data-liveness=dynamic_text(move || format!("{:?}", liveness.get()).to_lowercase())
        >
            <p class="vitals-liveness script-only"><span class="dot" aria-hidden="true"></span>{state}</p>
            <dl>
                {vital(text_key!(vitals.connections), "connections", |_, vitals| format::grouped(vitals.connections))}
                {vital(text_key!(vitals.received), "received", |_, vitals| format::grouped(vitals.received))}
                {vital(text_key!(vitals.sent), "sent", |_, vitals| format::grouped(vitals.sent))}
                {vital(text_key!(vitals.uptime), "uptime", |locale, vitals| format::duration(locale, vitals.uptime_seconds))}
                {vital(text_key!(vitals.node), "node", |_, vitals| vitals.node.clone())}
            </dl>
        </aside>
    }
}

/// Sets `vitals` at each beat until `owner` is disposed.
#[wasm_split(app, wasm_split_path = leptos::wasm_split)]
fn subscribe_vitals(owner: Owner, vitals: RwSignal<Vitals>) {
    owner.with(|| {
        leptos_ws::provide_websocket();
        if let Ok(signal) = leptos_ws::ReadOnlySignal::new(VITALS, Vitals::default()) {
            Effect::new(move |_| vitals.set(signal.get()));
        }
    });
}

/// `Live` while beats arrive in time.
fn use_liveness(vitals: RwSignal<Vitals>) -> RwSignal<Liveness> {
    let liveness = RwSignal::new(Liveness::Waiting);
    let last_beat = StoredValue::new(0.0);
    Effect::new(move |_| {
        if vitals.with(|vitals| vitals.beat > 0) {
            last_beat.set_value(clock::now());
            liveness.set(Liveness::Live);
        }
    });
    Effect::new(move |_| {
        let check = move || {
            let stale_after = STALE_AFTER.as_secs_f64() * 1000.0;
            let silent = clock::has_elapsed(last_beat.get_value(), stale_after, clock::now());
            if liveness.get_untracked() == Liveness::Live && silent {
                liveness.set(Liveness::Stale);
            }
        };
        let timer = set_interval_with_handle(check, Duration::from_secs(BEAT_SECONDS)).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    liveness
}
