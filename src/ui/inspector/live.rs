//! The session now: whether anything was lost, by which way it runs, what it reads and what waits; and all of it as a file.

use leptos::{prelude::*, task::spawn_local};

use super::{
    drawer::Fresh,
    export, reading,
    words::{phase, status, transport},
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

/// Round trips that the chart has room for.
const CHART: usize = 60;
/// Handshakes that an export asks the server for.
const HANDSHAKES: usize = 16;

#[component]
pub fn Live(inspection: Inspection, fresh: Fresh) -> impl IntoView {
    let (shared, i18n) = (inspection.trace(), use_i18n());
    let trips = {
        let shared = shared.clone();
        Signal::derive(move || {
            fresh.track();
            shared.with(|trace| trace.round_trips.iter().copied().collect::<Vec<_>>())
        })
    };
    let trips_words = dynamic_text(move || {
        trips.with(|trips| {
            trips
                .last()
                .map_or_else(String::new, |trip| format::millis(i18n.get_locale(), *trip))
        })
    });
    view! {
        <Loss inspection=inspection.clone() fresh/>
        <Session inspection=inspection.clone() fresh/>
        <section class="inspector-part" aria-labelledby="inspector-trips">
            <h3 id="inspector-trips">{t!(inspector.round_trips)}</h3>
            <LineChart values=trips capacity=CHART label=trips_words/>
        </section>
        <Subscriptions inspection=inspection.clone() fresh/>
        <Queue inspection=inspection.clone() fresh/>
        <Files inspection/>
    }
}

/// A figure that follows the diary.
fn figure(
    inspection: &Inspection,
    fresh: Fresh,
    of: impl Fn(&SessionTrace) -> String + Send + Sync + 'static,
) -> Signal<String> {
    let shared = inspection.trace();
    dynamic_text(move || {
        fresh.track();
        shared.with(&of)
    })
}

#[component]
fn Loss(inspection: Inspection, fresh: Fresh) -> impl IntoView {
    let i18n = use_i18n();
    let count = |of: fn(&SessionTrace) -> u64| figure(&inspection, fresh, move |trace| format::grouped(of(trace)));
    let whole = {
        let shared = inspection.trace();
        Memo::new(move |_| {
            fresh.track();
            shared.with(|trace| trace.audit.counts()).is_whole()
        })
    };
    let verdict = dynamic_text(move || {
        let words: TextKey = if whole.get() {
            text_key!(inspector.nothing_lost)
        } else {
            text_key!(inspector.something_lost)
        };
        words(i18n.get_locale()).to_owned()
    });
    let events = count(|trace| trace.audit.counts().events);
    let gaps = count(|trace| trace.audit.counts().gaps);
    let duplicates = count(|trace| trace.audit.counts().duplicates);
    view! {
        <section class="inspector-loss" data-whole=dynamic_text(move || whole.get().to_string()) aria-labelledby="inspector-loss">
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
fn Session(inspection: Inspection, fresh: Fresh) -> impl IntoView {
    let i18n = use_i18n();
    let link = use_session_status();
    let way = dynamic_text(move || {
        link.get()
            .transport
            .map_or_else(|| "–".to_owned(), |way| transport(way).to_owned())
    });
    let state = dynamic_text(move || phase(link.get().phase)(i18n.get_locale()).to_owned());
    let count = |of: fn(&SessionTrace) -> String| figure(&inspection, fresh, of);
    let both = |frames: u64, bytes: u64| [&format::grouped(frames), " · ", &format::bytes(bytes)].concat();
    let session = count(|trace| {
        trace
            .session
            .as_ref()
            .map_or_else(|| "–".to_owned(), |session| session.0.clone())
    });
    let trace = count(|trace| super::how::newest_trace(trace).unwrap_or_else(|| "–".to_owned()));
    let received = figure(&inspection, fresh, move |trace| {
        both(trace.counters.frames_in, trace.counters.bytes_in)
    });
    let sent = figure(&inspection, fresh, move |trace| {
        both(trace.counters.frames_out, trace.counters.bytes_out)
    });
    let lines = count(|trace| format::grouped(trace.counters.connections));
    let lost = count(|trace| format::grouped(trace.counters.lost));
    let resumed = count(|trace| format::grouped(trace.counters.resumed));
    let replayed = count(|trace| format::grouped(trace.counters.replayed));
    let trip = figure(&inspection, fresh, move |trace| {
        trace
            .round_trips
            .back()
            .map_or_else(|| "–".to_owned(), |trip| format::millis(i18n.get_locale(), *trip))
    });
    view! {
        <section class="inspector-part" aria-labelledby="inspector-session">
            <h3 id="inspector-session">{t!(inspector.session)}</h3>
            <dl class="facts">
                {labeled_value(text_key!(inspector.transport), "transport", way)}
                {labeled_value(text_key!(inspector.phase), "phase", state)}
                {labeled_value(text_key!(inspector.session_id), "session", session)}
                {labeled_value(text_key!(inspector.trace), "trace", trace)}
                {labeled_value(text_key!(inspector.received), "received", received)}
                {labeled_value(text_key!(inspector.sent), "sent", sent)}
                {labeled_value(text_key!(inspector.lines), "lines", lines)}
                {labeled_value(text_key!(inspector.lost), "lost", lost)}
                {labeled_value(text_key!(inspector.resumed), "resumed", resumed)}
                {labeled_value(text_key!(inspector.replayed), "replayed", replayed)}
                {labeled_value(text_key!(inspector.round_trip), "round_trip", trip)}
            </dl>
        </section>
    }
}

#[component]
fn Subscriptions(inspection: Inspection, fresh: Fresh) -> impl IntoView {
    let i18n = use_i18n();
    let rows = dynamic_view(move || {
        fresh.track();
        let heads = inspection.trace().with(|trace| trace.heads.clone());
        let known = inspection.subscriptions();
        if known.is_empty() {
            return Some(view! { <p class="hint">{t!(inspector.no_topics)}</p> }.into_any());
        }
        let row = |read: SubscriptionInfo| {
            let head = heads
                .iter()
                .find(|(topic, _)| *topic == read.topic)
                .map(|(_, seq)| *seq);
            let lag = head
                .zip(read.cursor)
                .map(|(head, cursor)| head.saturating_sub(cursor.seq));
            let number = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), format::grouped);
            view! {
                <tr data-topic=read.topic.to_string()>
                    <th scope="row">{read.topic.to_string()}</th>
                    <td class="number" data-fact="cursor">{number(read.cursor.map(|cursor| cursor.seq))}</td>
                    <td class="number" data-fact="head">{number(head)}</td>
                    <td class="number" data-fact="lag">{number(lag)}</td>
                    <td data-fact="status">{status(read.status)(i18n.get_locale())}</td>
                </tr>
            }
        };
        let rows = known.into_iter().map(row).collect_view();
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
        <section class="inspector-part" aria-labelledby="inspector-topics">
            <h3 id="inspector-topics">{t!(inspector.topics)}</h3>
            {rows}
        </section>
    }
}

#[component]
fn Queue(inspection: Inspection, fresh: Fresh) -> impl IntoView {
    let rows = dynamic_view(move || {
        fresh.track();
        let waiting = inspection.queue();
        if waiting.is_empty() {
            return Some(view! { <p class="hint">{t!(inspector.queue_empty)}</p> }.into_any());
        }
        let row = |command: duplex_leptos::trace::QueuedCommand| {
            let tries = ["×", &command.attempts.to_string()].concat();
            view! { <li><span>{command.topic.to_string()}</span> <span class="mono">{command.id.as_str().to_owned()}</span> <span>{tries}</span></li> }
        };
        let rows = waiting.into_iter().map(row).collect_view();
        Some(view! { <ol class="inspector-queue">{rows}</ol> }.into_any())
    });
    view! {
        <section class="inspector-part" aria-labelledby="inspector-queue">
            <h3 id="inspector-queue">{t!(inspector.queue)}</h3>
            {rows}
        </section>
    }
}

#[component]
fn Files(inspection: Inspection) -> impl IntoView {
    let other = inspection.clone();
    let save_json = move |_| {
        let file = inspection.trace().with(|trace| {
            let read = |frame: &_| reading::json(&inspection, frame);
            export::session(trace, &place(), read).to_string()
        });
        let _ = download("duplex-session.json", "application/json", &file);
    };
    let save_har = move |_| {
        let inspection = other.clone();
        spawn_local(async move {
            let handshakes = known_handshakes(&inspection).await;
            let file = inspection
                .trace()
                .with(|trace| export::har(trace, &place(), &handshakes).to_string());
            let _ = download("duplex-session.har", "application/json", &file);
        });
    };
    view! {
        <div class="row">
            <button type="button" class="button small" data-act="json" on:click=save_json>{t!(inspector.save_json)}</button>
            <button type="button" class="button small" data-act="har" on:click=save_har>{t!(inspector.save_har)}</button>
        </div>
    }
}

fn place() -> export::Place {
    let origin = window().location().origin().unwrap_or_default();
    let epoch = js_sys::Date::now() - duplex_leptos::trace::now();
    export::Place { origin, epoch }
}

/// Of the newest WebSockets.
async fn known_handshakes(inspection: &Inspection) -> Vec<(String, Handshake)> {
    let traces: Vec<String> = inspection.trace().with(|trace| {
        let events = trace.events.iter().rev();
        let traces = events.filter_map(|event| match &event.kind {
            EventKind::Opening { trace, .. } => trace.clone(),
            _ => None,
        });
        traces.take(HANDSHAKES).collect()
    });
    let mut found = Vec::new();
    for trace in traces {
        if let Ok(handshake) = handshake::fetch(&trace).await {
            found.push((trace, handshake));
        }
    }
    found
}
