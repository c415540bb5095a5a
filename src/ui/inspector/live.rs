//! The live panel: lost and duplicate events, the session's state, its subscriptions and its queue; and the buttons that export
//! the session.

use leptos::{prelude::*, task::spawn_local};

use super::{
    drawer::TraceVersion,
    export, frame_text,
    texts::{phase_text, status_text, transport_name},
};
use crate::{
    i18n::*,
    ui::{
        chart::LineChart,
        download::download,
        format, handshake,
        text::{TextKey, dynamic_text, dynamic_view, labeled_value, t, text_key},
    },
};
use duplex_leptos::{
    status::use_session_status,
    trace::{EventKind, Inspection, SessionTrace, SubscriptionInfo},
};
use duplex_protocol::handshake::Handshake;

/// The capacity of the round-trip chart.
const CHART_CAPACITY: usize = 60;
/// Maximum handshakes that an export fetches from the server.
const MAX_HANDSHAKES: usize = 16;

#[component]
pub fn Live(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let (shared, i18n) = (inspection.trace(), use_i18n());
    let trips = {
        let shared = shared.clone();
        Signal::derive(move || {
            version.track();
            shared.with(|trace| trace.round_trips.iter().copied().collect::<Vec<_>>())
        })
    };
    let newest_trip = dynamic_text(move || {
        trips.with(|trips| {
            trips
                .last()
                .map_or_else(String::new, |trip| format::millis(i18n.get_locale(), *trip))
        })
    });
    view! {
        <DeliveryCheck inspection=inspection.clone() version/>
        <Session inspection=inspection.clone() version/>
        <section class="inspector-section" aria-labelledby="inspector-trips">
            <h3 id="inspector-trips">{t!(inspector.round_trips)}</h3>
            <LineChart values=trips capacity=CHART_CAPACITY label=newest_trip/>
        </section>
        <Subscriptions inspection=inspection.clone() version/>
        <Queue inspection=inspection.clone() version/>
        <Downloads inspection/>
    }
}

/// A text derived from the trace, updated when its version changes.
fn trace_text(
    inspection: &Inspection,
    version: TraceVersion,
    text: impl Fn(&SessionTrace) -> String + Send + Sync + 'static,
) -> Signal<String> {
    let shared = inspection.trace();
    dynamic_text(move || {
        version.track();
        shared.with(&text)
    })
}

#[component]
fn DeliveryCheck(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let i18n = use_i18n();
    let counter_text =
        |of: fn(&SessionTrace) -> u64| trace_text(&inspection, version, move |trace| format::grouped(of(trace)));
    let complete = {
        let shared = inspection.trace();
        Memo::new(move |_| {
            version.track();
            shared.with(|trace| trace.audit.counts()).is_clean()
        })
    };
    let verdict = dynamic_text(move || {
        let key: TextKey = if complete.get() {
            text_key!(inspector.nothing_lost)
        } else {
            text_key!(inspector.something_lost)
        };
        key(i18n.get_locale()).to_owned()
    });
    let events = counter_text(|trace| trace.audit.counts().events);
    let gaps = counter_text(|trace| trace.audit.counts().gaps);
    let duplicates = counter_text(|trace| trace.audit.counts().duplicates);
    view! {
        <section class="inspector-delivery-check" data-clean=dynamic_text(move || complete.get().to_string()) aria-labelledby="inspector-loss">
            <h3 id="inspector-loss">{verdict}</h3>
            <dl>
                {labeled_value(text_key!(inspector.events), "events", events)}
                {labeled_value(text_key!(inspector.gaps), "gaps", gaps)}
                {labeled_value(text_key!(inspector.duplicates), "duplicates", duplicates)}
            </dl>
            <p class="hint">{t!(inspector.loss_how)}</p>
        </section>
    }
}

#[component]
fn Session(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let i18n = use_i18n();
    let session_status = use_session_status();
    let transport = dynamic_text(move || {
        session_status
            .get()
            .transport
            .map_or_else(|| "–".to_owned(), |used| transport_name(used).to_owned())
    });
    let state = dynamic_text(move || phase_text(session_status.get().phase)(i18n.get_locale()).to_owned());
    let trace_field = |of: fn(&SessionTrace) -> String| trace_text(&inspection, version, of);
    let frames_and_bytes = |frames: u64, bytes: u64| [&format::grouped(frames), " · ", &format::bytes(bytes)].concat();
    let session = trace_field(|trace| {
        trace
            .session
            .as_ref()
            .map_or_else(|| "–".to_owned(), |session| session.0.clone())
    });
    let trace = trace_field(|trace| super::explanation::newest_handshake_id(trace).unwrap_or_else(|| "–".to_owned()));
    let received = trace_text(&inspection, version, move |trace| {
        frames_and_bytes(trace.counters.frames_in, trace.counters.bytes_in)
    });
    let sent = trace_text(&inspection, version, move |trace| {
        frames_and_bytes(trace.counters.frames_out, trace.counters.bytes_out)
    });
    let connections = trace_field(|trace| format::grouped(trace.counters.connections));
    let lost = trace_field(|trace| format::grouped(trace.counters.lost));
    let resumed = trace_field(|trace| format::grouped(trace.counters.resumed));
    let replayed = trace_field(|trace| format::grouped(trace.counters.replayed));
    let trip = trace_text(&inspection, version, move |trace| {
        trace
            .round_trips
            .back()
            .map_or_else(|| "–".to_owned(), |trip| format::millis(i18n.get_locale(), *trip))
    });
    view! {
        <section class="inspector-section" aria-labelledby="inspector-session">
            <h3 id="inspector-session">{t!(inspector.session)}</h3>
            <dl class="properties">
                {labeled_value(text_key!(inspector.transport), "transport", transport)}
                {labeled_value(text_key!(inspector.phase), "phase", state)}
                {labeled_value(text_key!(inspector.session_id), "session", session)}
                {labeled_value(text_key!(inspector.trace), "trace", trace)}
                {labeled_value(text_key!(inspector.received), "received", received)}
                {labeled_value(text_key!(inspector.sent), "sent", sent)}
                {labeled_value(text_key!(inspector.lines), "lines", connections)}
                {labeled_value(text_key!(inspector.lost), "lost", lost)}
                {labeled_value(text_key!(inspector.resumed), "resumed", resumed)}
                {labeled_value(text_key!(inspector.replayed), "replayed", replayed)}
                {labeled_value(text_key!(inspector.round_trip), "round_trip", trip)}
            </dl>
        </section>
    }
}

#[component]
fn Subscriptions(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let i18n = use_i18n();
    let rows = dynamic_view(move || {
        version.track();
        let heads = inspection.trace().with(|trace| trace.heads.clone());
        let subscriptions = inspection.subscriptions();
        if subscriptions.is_empty() {
            return Some(view! { <p class="hint">{t!(inspector.no_topics)}</p> }.into_any());
        }
        let row = |subscription: SubscriptionInfo| {
            let head = heads
                .iter()
                .find(|(topic, _)| *topic == subscription.topic)
                .map(|(_, seq)| *seq);
            let lag = head
                .zip(subscription.cursor)
                .map(|(head, cursor)| head.saturating_sub(cursor.seq));
            let number = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), format::grouped);
            view! {
                <tr data-topic=subscription.topic.to_string()>
                    <th scope="row">{subscription.topic.to_string()}</th>
                    <td class="number" data-key="cursor">{number(subscription.cursor.map(|cursor| cursor.seq))}</td>
                    <td class="number" data-key="head">{number(head)}</td>
                    <td class="number" data-key="lag">{number(lag)}</td>
                    <td data-key="status">{status_text(subscription.status)(i18n.get_locale())}</td>
                </tr>
            }
        };
        let rows = subscriptions.into_iter().map(row).collect_view();
        Some(
            view! {
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{t!(inspector.topic)}</th>
                            <th scope="col" class="number">{t!(inspector.cursor)}</th>
                            <th scope="col" class="number">{t!(inspector.newest)}</th>
                            <th scope="col" class="number">{t!(inspector.lag)}</th>
                            <th scope="col">{t!(inspector.status)}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            }
            .into_any(),
        )
    });
    view! {
        <section class="inspector-section" aria-labelledby="inspector-topics">
            <h3 id="inspector-topics">{t!(inspector.topics)}</h3>
            {rows}
        </section>
    }
}

#[component]
fn Queue(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let rows = dynamic_view(move || {
        version.track();
        let queue = inspection.queue();
        if queue.is_empty() {
            return Some(view! { <p class="hint">{t!(inspector.queue_empty)}</p> }.into_any());
        }
        let row = |command: duplex_leptos::trace::QueuedCommand| {
            let tries = ["×", &command.attempts.to_string()].concat();
            view! { <li><span>{command.topic.to_string()}</span> <span class="mono">{command.id.as_str().to_owned()}</span> <span>{tries}</span></li> }
        };
        let rows = queue.into_iter().map(row).collect_view();
        Some(view! { <ol class="inspector-queue">{rows}</ol> }.into_any())
    });
    view! {
        <section class="inspector-section" aria-labelledby="inspector-queue">
            <h3 id="inspector-queue">{t!(inspector.queue)}</h3>
            {rows}
        </section>
    }
}

#[component]
fn Downloads(inspection: Inspection) -> impl IntoView {
    let har_inspection = inspection.clone();
    let save_json = move |_| {
        let file = inspection.trace().with(|trace| {
            let read = |frame: &_| frame_text::json(&inspection, frame);
            export::session(trace, &page_context(), read).to_string()
        });
        let _ = download("duplex-session.json", "application/json", &file);
    };
    let save_har = move |_| {
        let inspection = har_inspection.clone();
        spawn_local(async move {
            let handshakes = fetch_handshakes(&inspection).await;
            let file = inspection
                .trace()
                .with(|trace| export::har(trace, &page_context(), &handshakes).to_string());
            let _ = download("duplex-session.har", "application/json", &file);
        });
    };
    view! {
        <div class="row">
            <button type="button" class="button small" data-action="json" on:click=save_json>{t!(inspector.save_json)}</button>
            <button type="button" class="button small" data-action="har" on:click=save_har>{t!(inspector.save_har)}</button>
        </div>
    }
}

fn page_context() -> export::PageContext {
    let origin = window().location().origin().unwrap_or_default();
    let time_origin = js_sys::Date::now() - duplex_leptos::trace::now();
    export::PageContext { origin, time_origin }
}

/// Fetches the handshakes of the newest WebSockets, by trace id.
async fn fetch_handshakes(inspection: &Inspection) -> Vec<(String, Handshake)> {
    let traces: Vec<String> = inspection.trace().with(|trace| {
        let events = trace.events.iter().rev();
        let traces = events.filter_map(|event| match &event.kind {
            EventKind::Opening { handshake_id, .. } => handshake_id.clone(),
            _ => None,
        });
        traces.take(MAX_HANDSHAKES).collect()
    });
    let mut found = Vec::new();
    for trace in traces {
        if let Ok(handshake) = handshake::fetch_handshake(&trace).await {
            found.push((trace, handshake));
        }
    }
    found
}
