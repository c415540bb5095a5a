//! The charts and the tables: what is shown of a node, in which order and unit.

use leptos::prelude::*;

use super::bans::bans;
use super::head;
use super::panel::{Panel, Unit, panel, tenths};
use super::table::table;
use crate::apps::status::model::Status;
use crate::i18n::*;
use crate::ui::format::grouped;
use crate::ui::words::{note, say, words};
use crate::wire::status::{BusyTopic, SAMPLE_SECONDS, Series};
use duplex_leptos::topic::TopicStatus;

const PANELS: &[Panel] = &[
    Panel {
        id: "connections",
        title: words!(status.connections),
        unit: Unit::Level,
        lines: &[
            (Series::WebSocket, "websocket", words!(status.websocket)),
            (Series::Sse, "sse", words!(status.sse)),
            (Series::Poll, "poll", words!(status.poll)),
            (Series::Echo, "echo", words!(status.echo)),
            (Series::Stage, "stage", words!(status.stage)),
        ],
    },
    Panel {
        id: "topics",
        title: words!(status.topics_members),
        unit: Unit::Level,
        lines: &[
            (Series::Topics, "topics-awake", words!(status.topics)),
            (Series::Members, "members", words!(status.members)),
        ],
    },
    Panel {
        id: "commands",
        title: words!(status.commands),
        unit: Unit::Rate,
        lines: &[
            (Series::Commands, "accepted", words!(status.accepted)),
            (Series::Rejected, "rejected", words!(status.rejected)),
        ],
    },
    Panel {
        id: "events",
        title: words!(status.events),
        unit: Unit::Rate,
        lines: &[
            (Series::Events, "kept", words!(status.kept)),
            (Series::Delivered, "delivered", words!(status.delivered)),
        ],
    },
    Panel {
        id: "messages",
        title: words!(status.messages),
        unit: Unit::Rate,
        lines: &[
            (Series::MessagesIn, "messages-in", words!(status.messages_in)),
            (Series::MessagesOut, "messages-out", words!(status.messages_out)),
        ],
    },
    Panel {
        id: "network",
        title: words!(status.bytes),
        unit: Unit::ByteRate,
        lines: &[
            (Series::BytesIn, "bytes-in", words!(status.bytes_in)),
            (Series::BytesOut, "bytes-out", words!(status.bytes_out)),
        ],
    },
    Panel {
        id: "commits",
        title: words!(status.commits),
        unit: Unit::Micros,
        lines: &[
            (Series::CommitHalf, "commit-half", words!(status.half)),
            (Series::CommitMost, "commit-most", words!(status.most)),
        ],
    },
    Panel {
        id: "queues",
        title: words!(status.queues),
        unit: Unit::Level,
        lines: &[
            (Series::Waiting, "waiting", words!(status.waiting_topics)),
            (Series::LogWaiting, "log-waiting", words!(status.waiting_log)),
        ],
    },
    Panel {
        id: "slow",
        title: words!(status.slow),
        unit: Unit::Rate,
        lines: &[
            (Series::Conflated, "conflated", words!(status.conflated)),
            (Series::Cuts, "cuts", words!(status.cuts)),
        ],
    },
    Panel {
        id: "errors",
        title: words!(status.errors),
        unit: Unit::Rate,
        lines: &[(Series::Errors, "error-lines", words!(status.error_lines))],
    },
    Panel {
        id: "size",
        title: words!(status.size),
        unit: Unit::Bytes,
        lines: &[(Series::LogBytes, "log-bytes", words!(status.file))],
    },
    Panel {
        id: "memory",
        title: words!(status.memory),
        unit: Unit::Bytes,
        lines: &[(Series::Memory, "resident", words!(status.resident))],
    },
];

pub fn board(state: ReadSignal<Status>, status: Signal<TopicStatus>) -> AnyView {
    let i18n = use_i18n();
    let nothing_yet = note(move || {
        let waits = state.with(|state| state.points.is_empty());
        waits.then(|| td_string!(i18n.get_locale(), status.waiting).to_owned())
    });
    let stale = Memo::new(move |_| matches!(status.get(), TopicStatus::Waiting | TopicStatus::Outdated));
    view! {
        {head::state(state, status)}
        <p class="status-loading hint">{nothing_yet}</p>
        <div class="status-board" class:stale=stale>
            {PANELS.iter().map(|shown| panel(state, shown)).collect_view()}
        </div>
        <div class="status-tables">{busiest(state)} {kinds(state)} {feeds(state)}</div>
        {bans()}
        <form method="post" action="/api/operator/sign-out" class="status-leave">
            <button class="button small">{say!(status.sign_out)}</button>
        </form>
    }
    .into_any()
}

fn busiest(state: ReadSignal<Status>) -> AnyView {
    let rows = move || {
        state.with(|state| {
            let row = |busy: &BusyTopic| {
                vec![
                    busy.topic.to_string(),
                    grouped(busy.seq),
                    grouped(busy.subscribers),
                    tenths(busy.events, SAMPLE_SECONDS),
                ]
            };
            state.detail.busiest.iter().map(row).collect()
        })
    };
    table(
        "busiest",
        words!(status.busiest),
        &[
            words!(status.topic),
            words!(status.seq),
            words!(status.subscribers),
            words!(status.rate),
        ],
        words!(status.no_topics),
        Signal::derive(rows),
    )
}

fn kinds(state: ReadSignal<Status>) -> AnyView {
    let rows = move || {
        state.with(|state| {
            let kinds = state.detail.kinds.iter();
            kinds
                .map(|kept| vec![kept.kind.clone(), grouped(kept.topics), grouped(kept.events)])
                .collect()
        })
    };
    table(
        "kinds",
        words!(status.kinds),
        &[words!(status.kind), words!(status.topic), words!(status.events)],
        words!(status.no_kinds),
        Signal::derive(rows),
    )
}

fn feeds(state: ReadSignal<Status>) -> AnyView {
    let i18n = use_i18n();
    let rows = move || {
        let locale = i18n.get_locale();
        let word = |running| {
            if running {
                td_string!(locale, status.running)
            } else {
                td_string!(locale, status.paused)
            }
        };
        state.with(|state| {
            let feeds = state.detail.feeds.iter();
            feeds
                .map(|feed| vec![feed.name.clone(), word(feed.running).to_owned(), grouped(feed.failures)])
                .collect()
        })
    };
    table(
        "feeds",
        words!(status.feeds),
        &[words!(status.feed), words!(status.state), words!(status.failures)],
        words!(status.no_feeds),
        Signal::derive(rows),
    )
}
