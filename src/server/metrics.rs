//! `GET /metrics`: the node's figures as Prometheus reads them. Written here, from the node's own counters, rather than by a
//! recorder beside them: there is one count of each thing, and it is exact.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

mod format;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use self::format::{Metric, Out, Source, Value, counter, gauge, write};
use super::snapshot::{NodeSnapshot, log_stats};
use super::state::ServerState;
use duplex_axum::connection;
use duplex_hub::HubStats;

fn by_kind(of: &Source<'_>, out: &mut Out, field: fn(&HubStats) -> u64) {
    for (kind, stats) in &of.now.kinds {
        out.put(&[("kind", kind)], field(stats));
    }
}

/// All of them; the README has this list.
pub const METRICS: &[Metric] = &[
    gauge(
        "duplex_info",
        "node, version",
        "1, with the node's name and version",
        |of, out| {
            out.put(&[("node", &of.now.node), ("version", env!("CARGO_PKG_VERSION"))], 1);
        },
    ),
    gauge("duplex_uptime_seconds", "", "Since the start", |of, out| {
        out.one(of.now.uptime.as_secs_f64())
    }),
    gauge(
        "duplex_connections",
        "transport",
        "Open now; echo: endpoints' sockets, stage: what is no topic, signals: the vitals' sockets",
        |of, out| {
            let counters = &of.now.counters;
            for kind in connection::TransportKind::ALL {
                out.put(&[("transport", kind.name())], counters.open(kind));
            }
        },
    ),
    counter(
        "duplex_connections_opened_total",
        "transport",
        "A poll is one",
        |of, out| {
            for kind in connection::TransportKind::ALL {
                out.put(&[("transport", kind.name())], of.now.counters.opened(kind));
            }
        },
    ),
    counter(
        "duplex_cut_offs_total",
        "reason",
        "Conversations that the server ended: the peer took nothing (slow), said nothing (silent), broke the protocol (breach), held most of full buffers (memory) or was banned (banned)",
        |of, out| {
            for cut in connection::DisconnectReason::ALL {
                out.put(&[("reason", cut.name())], of.now.counters.disconnects(cut));
            }
        },
    ),
    counter(
        "duplex_refused_total",
        "limit",
        "Asked beyond a limit of one address or one person, and refused",
        |of, out| {
            for (limit, count) in &of.now.refused {
                out.put(&[("limit", limit)], *count);
            }
        },
    ),
    counter(
        "duplex_messages_received_total",
        "",
        "WebSocket messages and posted frames",
        |of, out| out.put(&[], of.now.counters.received),
    ),
    counter(
        "duplex_messages_sent_total",
        "",
        "WebSocket messages, and frames over the fallbacks",
        |of, out| out.put(&[], of.now.counters.sent),
    ),
    counter(
        "duplex_network_received_bytes_total",
        "",
        "Over TCP, whatever they carry",
        |of, out| out.put(&[], of.now.counters.bytes_in),
    ),
    counter(
        "duplex_network_sent_bytes_total",
        "",
        "Over TCP, whatever they carry",
        |of, out| out.put(&[], of.now.counters.bytes_out),
    ),
    counter(
        "duplex_http_responses_total",
        "class",
        "By status, 1xx to 5xx",
        |of, out| {
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .into_iter()
                .zip(of.now.counters.responses)
            {
                out.put(&[("class", class)], count);
            }
        },
    ),
    counter(
        "duplex_requests_refused_total",
        "reason",
        "Turned away before any route saw them: for a host that is not served (host), from a page of another origin (origin)",
        |of, out| {
            for why in connection::RefusalReason::ALL {
                out.put(&[("reason", why.name())], of.now.counters.refused(why));
            }
        },
    ),
    counter(
        "duplex_tls_handshakes_failed_total",
        "",
        "Connections that spoke no TLS, or took too long to",
        |of, out| out.put(&[], of.now.counters.failed_handshakes),
    ),
    gauge("duplex_topics", "kind", "Awake now", |of, out| {
        by_kind(of, out, |stats| stats.topics)
    }),
    gauge(
        "duplex_members",
        "kind",
        "Sessions in topics now; one counts once for each of its topics",
        |of, out| by_kind(of, out, |stats| stats.members),
    ),
    counter(
        "duplex_commands_total",
        "kind, outcome",
        "Answered: accepted, rejected, or again (sent twice, answered from memory)",
        |of, out| {
            for (kind, stats) in &of.now.kinds {
                for (outcome, count) in [
                    ("accepted", stats.commands),
                    ("rejected", stats.rejected),
                    ("again", stats.again),
                ] {
                    out.put(&[("kind", kind), ("outcome", outcome)], count);
                }
            }
        },
    ),
    counter(
        "duplex_refused_parts_total",
        "kind",
        "Parts of accepted commands that did not count, such as readings of a report that are no numbers",
        |of, out| {
            for (kind, count) in &of.now.refused_parts {
                out.put(&[("kind", kind)], *count);
            }
        },
    ),
    counter("duplex_events_total", "kind", "Kept and shown", |of, out| {
        by_kind(of, out, |stats| stats.events)
    }),
    counter(
        "duplex_deliveries_total",
        "kind",
        "Events given to readers; one counts once for each reader",
        |of, out| by_kind(of, out, |stats| stats.delivered),
    ),
    counter(
        "duplex_conflated_events_total",
        "kind",
        "Events that slow readers were spared",
        |of, out| by_kind(of, out, |stats| stats.conflated),
    ),
    counter(
        "duplex_appends_total",
        "kind",
        "Batches of commands handed to the log",
        |of, out| by_kind(of, out, |stats| stats.appends),
    ),
    counter(
        "duplex_failed_appends_total",
        "kind",
        "Of those, the ones that the log did not keep",
        |of, out| by_kind(of, out, |stats| stats.failed_appends),
    ),
    counter(
        "duplex_log_reads_total",
        "kind",
        "Pages read from the log for readers that the ring could not serve",
        |of, out| by_kind(of, out, |stats| stats.log_reads),
    ),
    counter(
        "duplex_forwards_total",
        "outcome",
        "Commands from topic to topic: delivered or lost",
        |of, out| {
            out.put(&[("outcome", "delivered")], of.now.hub.forwards);
            out.put(&[("outcome", "lost")], of.now.hub.forwards_lost);
        },
    ),
    gauge(
        "duplex_forwards_waiting",
        "",
        "Commands from topic to topic that are kept and not delivered yet",
        |of, out| out.put(&[], of.now.forwards_waiting),
    ),
    gauge(
        "duplex_waiting_commands",
        "",
        "Commands and questions in the topics' queues",
        |of, out| out.put(&[], of.now.waiting()),
    ),
    gauge(
        "duplex_log_waiting_jobs",
        "",
        "In the queue of the log's writer",
        |of, out| out.put(&[], of.now.log.waiting),
    ),
    counter(
        "duplex_log_commits_total",
        "",
        "Each one wait for the disk",
        |of, out| out.put(&[], of.now.log.commits),
    ),
    Metric {
        name: "duplex_log_commit_duration_seconds",
        help: "From a batch's beginning until it is on the disk",
        labels: "le",
        value: Value::Histogram(|of| of.now.log.latency),
    },
    gauge(
        "duplex_log_size_bytes",
        "",
        "On the disk, the journal included",
        |of, out| out.put(&[], of.kept.bytes),
    ),
    gauge(
        "duplex_log_limit_bytes",
        "",
        "What its size may be before appends are refused; the disk may end before",
        |of, out| {
            if let Some(most) = of.kept.most {
                out.put(&[], most);
            }
        },
    ),
    gauge("duplex_log_topics", "kind", "That ever had an event", |of, out| {
        for (kind, census) in &of.kept.kinds {
            out.put(&[("kind", kind)], census.topics);
        }
    }),
    gauge("duplex_log_events", "kind", "That retention left", |of, out| {
        for (kind, census) in &of.kept.kinds {
            out.put(&[("kind", kind)], census.events);
        }
    }),
    counter(
        "duplex_log_lines_total",
        "level",
        "Lines of error and warn that `--log` lets through",
        |of, out| {
            out.put(&[("level", "error")], of.now.errors);
            out.put(&[("level", "warn")], of.now.warnings);
        },
    ),
    gauge(
        "duplex_feed_running",
        "feed",
        "1, or 0 while it waits to be started again",
        |of, out| {
            for feed in &of.now.feeds {
                out.put(&[("feed", &feed.name)], feed.running.into());
            }
        },
    ),
    counter(
        "duplex_feed_failures_total",
        "feed",
        "Times that it ended before the node",
        |of, out| {
            for feed in &of.now.feeds {
                out.put(&[("feed", &feed.name)], feed.failures);
            }
        },
    ),
    gauge("process_resident_memory_bytes", "", "As the kernel says", |of, out| {
        out.put(&[], of.now.process.resident_bytes)
    }),
    counter("process_cpu_seconds_total", "", "User and system time", |of, out| {
        out.one(of.now.process.cpu_seconds)
    }),
    gauge("process_open_fds", "", "Open file descriptors", |of, out| {
        out.put(&[], of.now.process.open_files)
    }),
];

/// `GET /metrics`
pub async fn show(State(state): State<ServerState>) -> Response {
    let kept = log_stats(&state).await;
    let text = write(METRICS, &NodeSnapshot::read(&state), &kept);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}

/// Counts every answer by its status.
pub async fn count(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    state.counters.count_response(response.status().as_u16());
    response
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_say_what_they_are() {
        let mut names = HashSet::new();
        for Metric { name, value, .. } in METRICS {
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("duplex_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), matches!(value, Value::Counter(_)), "{name}");
            for (unit, written) in [("bytes", "_bytes"), ("seconds", "_seconds")] {
                let base = name.trim_end_matches("_total");
                assert_eq!(name.contains(unit), base.ends_with(written), "{name}");
            }
        }
    }

    /// The README's table is made of this list; when it is not, what it should be is printed here.
    #[test]
    fn every_metric_is_in_the_readme() {
        let rows = METRICS.iter().map(|metric| {
            format!(
                "| `{}` | {} | {} | {} |\n",
                metric.name,
                metric.kind(),
                metric.labels,
                metric.help
            )
        });
        let table: String = rows.collect();
        assert!(
            include_str!("../../README.md").contains(&table),
            "the README has no\n\n{table}"
        );
    }
}
