//! The dashboard: defines the chart panels and tables of the status page.

use leptos::prelude::*;

use super::bans::bans;
use super::head;
use super::panel::{Panel, Unit, format_quotient, panel};
use super::table::table;
use crate::apps::status::model::Status;
use crate::i18n::*;
use crate::ui::format::grouped;
use crate::ui::text::{optional_text, t, text_key};
use crate::wire::status::{BusyTopic, SAMPLE_SECONDS, Series};
use duplex_leptos::topic::TopicStatus;

const PANELS: &[Panel] = &[
    Panel {
        id: "connections",
        title: text_key!(status.connections),
        unit: Unit::Count,
        lines: &[
            (Series::WebSocket, "websocket", text_key!(status.websocket)),
            (Series::Sse, "sse", text_key!(status.sse)),
            (Series::Poll, "poll", text_key!(status.poll)),
            (Series::Endpoint, "echo", text_key!(status.echo)),
            (Series::Simulation, "stage", text_key!(status.stage)),
        ],
    },
    Panel {
        id: "topics",
        title: text_key!(status.topics_members),
        unit: Unit::Count,
        lines: &[
            (Series::Topics, "topics-awake", text_key!(status.topics)),
            (Series::Subscribers, "members", text_key!(status.members)),
        ],
    },
    Panel {
        id: "commands",
        title: text_key!(status.commands),
        unit: Unit::Rate,
        lines: &[
            (Series::Commands, "accepted", text_key!(status.accepted)),
            (Series::Rejected, "rejected", text_key!(status.rejected)),
        ],
    },
    Panel {
        id: "events",
        title: text_key!(status.events),
        unit: Unit::Rate,
        lines: &[
            (Series::Events, "kept", text_key!(status.kept)),
            (Series::Delivered, "delivered", text_key!(status.delivered)),
        ],
    },
    Panel {
        id: "messages",
        title: text_key!(status.messages),
        unit: Unit::Rate,
        lines: &[
            (Series::MessagesIn, "messages-in", text_key!(status.messages_in)),
            (Series::MessagesOut, "messages-out", text_key!(status.messages_out)),
        ],
    },
    Panel {
        id: "network",
        title: text_key!(status.bytes),
        unit: Unit::ByteRate,
        lines: &[
            (Series::BytesIn, "bytes-in", text_key!(status.bytes_in)),
            (Series::BytesOut, "bytes-out", text_key!(status.bytes_out)),
        ],
    },
    Panel {
        id: "commits",
        title: text_key!(status.commits),
        unit: Unit::Micros,
        lines: &[
            (Series::CommitP50, "commit-half", text_key!(status.half)),
            (Series::CommitP99, "commit-most", text_key!(status.most)),
        ],
    },
    Panel {
        id: "queues",
        title: text_key!(status.queues),
        unit: Unit::Count,
        lines: &[
            (Series::QueuedRequests, "waiting", text_key!(status.waiting_topics)),
            (Series::QueuedLogJobs, "log-waiting", text_key!(status.waiting_log)),
        ],
    },
    Panel {
        id: "slow",
        title: text_key!(status.slow),
        unit: Unit::Rate,
        lines: &[
            (Series::Conflated, "conflated", text_key!(status.conflated)),
            (Series::Disconnects, "cuts", text_key!(status.cuts)),
        ],
    },
    Panel {
        id: "errors",
        title: text_key!(status.errors),
        unit: Unit::Rate,
        lines: &[(Series::Errors, "error-lines", text_key!(status.error_lines))],
    },
    Panel {
        id: "size",
        title: text_key!(status.size),
        unit: Unit::Bytes,
        lines: &[(Series::LogBytes, "log-bytes", text_key!(status.file))],
    },
    Panel {
        id: "memory",
        title: text_key!(status.memory),
        unit: Unit::Bytes,
        lines: &[(Series::Memory, "resident", text_key!(status.resident))],
    },
];

pub fn dashboard(state: ReadSignal<Status>, status: Signal<TopicStatus>) -> AnyView {
    let i18n = use_i18n();
    let empty_hint = optional_text(move || {
        let is_empty = state.with(|state| state.points.is_empty());
        is_empty.then(|| td_string!(i18n.get_locale(), status.waiting).to_owned())
    });
    let stale = Memo::new(move |_| matches!(status.get(), TopicStatus::Waiting | TopicStatus::Outdated));
    view! {
        {head::status_bar(state, status)}
        <p class="status-loading hint">{empty_hint}</p>
        <div class="status-dashboard" class:stale=stale>
            {PANELS.iter().map(|spec| panel(state, spec)).collect_view()}
        </div>
        <div class="status-tables">{busiest_topics_table(state)} {kinds_table(state)} {background_tasks_table(state)}</div>
        {bans()}
        <form method="post" action="/api/operator/sign-out" class="status-sign-out">
            <button class="button small">{t!(status.sign_out)}</button>
        </form>
    }
    .into_any()
}

fn busiest_topics_table(state: ReadSignal<Status>) -> AnyView {
    let rows = move || {
        state.with(|state| {
            let row = |topic: &BusyTopic| {
                vec![
                    topic.topic.to_string(),
                    grouped(topic.seq),
                    grouped(topic.subscribers),
                    format_quotient(topic.events, SAMPLE_SECONDS),
                ]
            };
            state.detail.busiest.iter().map(row).collect()
        })
    };
    table(
        "busiest",
        text_key!(status.busiest),
        &[
            text_key!(status.topic),
            text_key!(status.seq),
            text_key!(status.subscribers),
            text_key!(status.rate),
        ],
        text_key!(status.no_topics),
        Signal::derive(rows),
    )
}

fn kinds_table(state: ReadSignal<Status>) -> AnyView {
    let rows = move || {
        state.with(|state| {
            let kinds = state.detail.kinds.iter();
            kinds
                .map(|stats| vec![stats.kind.clone(), grouped(stats.topics), grouped(stats.events)])
                .collect()
        })
    };
    table(
        "kinds",
        text_key!(status.kinds),
        &[
            text_key!(status.kind),
            text_key!(status.topic),
            text_key!(status.events),
        ],
        text_key!(status.no_kinds),
        Signal::derive(rows),
    )
}

fn background_tasks_table(state: ReadSignal<Status>) -> AnyView {
    let i18n = use_i18n();
    let rows = move || {
        let locale = i18n.get_locale();
        let state_text = |running| {
            if running {
                td_string!(locale, status.running)
            } else {
                td_string!(locale, status.paused)
            }
        };
        state.with(|state| {
            let tasks = state.detail.tasks.iter();
            tasks
                .map(|task| {
                    vec![
                        task.name.clone(),
                        state_text(task.running).to_owned(),
                        grouped(task.failures),
                    ]
                })
                .collect()
        })
    };
    table(
        "feeds",
        text_key!(status.feeds),
        &[
            text_key!(status.feed),
            text_key!(status.state),
            text_key!(status.failures),
        ],
        text_key!(status.no_feeds),
        Signal::derive(rows),
    )
}
