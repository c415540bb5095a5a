//! `GET /metrics` in Prometheus's text format. The metrics are rendered from the node's own counters, not from a separate recorder,
//! so no quantity is counted twice. <https://prometheus.io/docs/instrumenting/exposition_formats/>

mod format;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use self::format::{Metric, MetricInput, MetricWriter, Value, counter, gauge, render};
use super::snapshot::{NodeSnapshot, log_stats};
use super::state::ServerState;
use duplex_axum::connection;
use duplex_hub::HubStats;

fn by_kind(source: &MetricInput<'_>, out: &mut MetricWriter, field: fn(&HubStats) -> u64) {
    for (kind, stats) in &source.node.kinds {
        out.sample(&[("kind", kind)], field(stats));
    }
}

/// All metrics. The README lists them; a test compares the two.
pub const METRICS: &[Metric] = &[
    gauge(
        "duplex_info",
        "node, version",
        "1, with the node's name and version",
        |source, out| {
            out.sample(
                &[("node", &source.node.node), ("version", env!("CARGO_PKG_VERSION"))],
                1,
            );
        },
    ),
    gauge("duplex_uptime_seconds", "", "Time since the start", |source, out| {
        out.float(source.node.uptime.as_secs_f64())
    }),
    gauge(
        "duplex_connections",
        "transport",
        "Open connections; echo: sockets of application endpoints, stage: simulations, signals: sockets of server-owned values",
        |source, out| {
            let counters = &source.node.counters;
            for kind in connection::ConnectionKind::ALL {
                out.sample(&[("transport", kind.metric_label())], counters.open(kind));
            }
        },
    ),
    counter(
        "duplex_connections_opened_total",
        "transport",
        "Connections opened; each poll counts as one",
        |source, out| {
            for kind in connection::ConnectionKind::ALL {
                out.sample(&[("transport", kind.metric_label())], source.node.counters.opened(kind));
            }
        },
    ),
    counter(
        "duplex_cut_offs_total",
        "reason",
        "Connections that the server closed: the peer did not read (slow), sent nothing (silent), violated the protocol (breach), held the most buffered bytes when the buffers were full (memory) or was banned (banned)",
        |source, out| {
            for reason in connection::DisconnectReason::ALL {
                out.sample(
                    &[("reason", reason.metric_label())],
                    source.node.counters.disconnects(reason),
                );
            }
        },
    ),
    counter(
        "duplex_refused_total",
        "limit",
        "Requests rejected by a quota of one address or one person",
        |source, out| {
            for (limit, count) in &source.node.rejected {
                out.sample(&[("limit", limit)], *count);
            }
        },
    ),
    counter(
        "duplex_messages_received_total",
        "",
        "WebSocket messages and posted frames received",
        |source, out| out.sample(&[], source.node.counters.received),
    ),
    counter(
        "duplex_messages_sent_total",
        "",
        "WebSocket messages sent, and frames sent over the fallbacks",
        |source, out| out.sample(&[], source.node.counters.sent),
    ),
    counter(
        "duplex_network_received_bytes_total",
        "",
        "Bytes received over TCP, all protocols",
        |source, out| out.sample(&[], source.node.counters.bytes_in),
    ),
    counter(
        "duplex_network_sent_bytes_total",
        "",
        "Bytes sent over TCP, all protocols",
        |source, out| out.sample(&[], source.node.counters.bytes_out),
    ),
    counter(
        "duplex_http_responses_total",
        "class",
        "HTTP responses by status class, 1xx to 5xx",
        |source, out| {
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .into_iter()
                .zip(source.node.counters.responses)
            {
                out.sample(&[("class", class)], count);
            }
        },
    ),
    counter(
        "duplex_requests_refused_total",
        "reason",
        "Requests rejected before routing: for a host that is not served (host), from a page of another origin (origin)",
        |source, out| {
            for reason in connection::RejectionReason::ALL {
                out.sample(
                    &[("reason", reason.metric_label())],
                    source.node.counters.rejected(reason),
                );
            }
        },
    ),
    counter(
        "duplex_tls_handshakes_failed_total",
        "",
        "TLS handshakes that failed or timed out",
        |source, out| out.sample(&[], source.node.counters.failed_handshakes),
    ),
    gauge("duplex_topics", "kind", "Active topics", |source, out| {
        by_kind(source, out, |stats| stats.topics)
    }),
    gauge(
        "duplex_members",
        "kind",
        "Current subscriptions; a session counts once for each of its topics",
        |source, out| by_kind(source, out, |stats| stats.subscriptions),
    ),
    counter(
        "duplex_commands_total",
        "kind, outcome",
        "Commands answered: accepted, rejected, or again: a duplicate, answered with the original answer",
        |source, out| {
            for (kind, stats) in &source.node.kinds {
                for (outcome, count) in [
                    ("accepted", stats.commands),
                    ("rejected", stats.rejected),
                    ("again", stats.duplicates),
                ] {
                    out.sample(&[("kind", kind), ("outcome", outcome)], count);
                }
            }
        },
    ),
    counter(
        "duplex_refused_parts_total",
        "kind",
        "Rejected parts of accepted commands, such as readings of a report that are not numbers",
        |source, out| {
            for (kind, count) in &source.node.rejected_parts {
                out.sample(&[("kind", kind)], *count);
            }
        },
    ),
    counter(
        "duplex_events_total",
        "kind",
        "Events appended and published",
        |source, out| by_kind(source, out, |stats| stats.events),
    ),
    counter(
        "duplex_deliveries_total",
        "kind",
        "Events delivered; one counts once for each reader",
        |source, out| by_kind(source, out, |stats| stats.delivered),
    ),
    counter(
        "duplex_conflated_events_total",
        "kind",
        "Events skipped for slow readers, superseded by newer ones",
        |source, out| by_kind(source, out, |stats| stats.conflated),
    ),
    counter(
        "duplex_appends_total",
        "kind",
        "Batches appended to the log",
        |source, out| by_kind(source, out, |stats| stats.appends),
    ),
    counter(
        "duplex_failed_appends_total",
        "kind",
        "Batches that the log failed to append",
        |source, out| by_kind(source, out, |stats| stats.failed_appends),
    ),
    counter(
        "duplex_log_reads_total",
        "kind",
        "Batches read from the log for readers that fell behind the ring",
        |source, out| by_kind(source, out, |stats| stats.log_reads),
    ),
    counter(
        "duplex_forwards_total",
        "outcome",
        "Forwards (commands from a topic to another): delivered or lost",
        |source, out| {
            out.sample(&[("outcome", "delivered")], source.node.hub.forwards);
            out.sample(&[("outcome", "lost")], source.node.hub.forwards_dropped);
        },
    ),
    gauge(
        "duplex_forwards_waiting",
        "",
        "Forwards that are stored and not delivered yet",
        |source, out| out.sample(&[], source.node.pending_forwards),
    ),
    gauge(
        "duplex_waiting_commands",
        "",
        "Requests in the topics' queues",
        |source, out| out.sample(&[], source.node.queued_requests()),
    ),
    gauge(
        "duplex_log_waiting_jobs",
        "",
        "Jobs in the queue of the log's writer",
        |source, out| out.sample(&[], source.node.log.queued),
    ),
    counter(
        "duplex_log_commits_total",
        "",
        "Commits of the log; each is one sync to disk",
        |source, out| out.sample(&[], source.node.log.commits),
    ),
    Metric {
        name: "duplex_log_commit_duration_seconds",
        help: "Duration of a commit, from the start of the batch until it is on disk",
        labels: "le",
        value: Value::Histogram(|source| source.node.log.latency),
    },
    gauge(
        "duplex_log_size_bytes",
        "",
        "Size of the log on disk, including the journal",
        |source, out| out.sample(&[], source.log.bytes),
    ),
    gauge(
        "duplex_log_limit_bytes",
        "",
        "Size at which the log rejects appends; the disk may be full earlier",
        |source, out| {
            if let Some(most) = source.log.max_bytes {
                out.sample(&[], most);
            }
        },
    ),
    gauge(
        "duplex_log_topics",
        "kind",
        "Topics that ever had an event",
        |source, out| {
            for (kind, stats) in &source.log.kinds {
                out.sample(&[("kind", kind)], stats.topics);
            }
        },
    ),
    gauge(
        "duplex_log_events",
        "kind",
        "Events retained in the log",
        |source, out| {
            for (kind, stats) in &source.log.kinds {
                out.sample(&[("kind", kind)], stats.events);
            }
        },
    ),
    counter(
        "duplex_log_lines_total",
        "level",
        "Log lines of the levels error and warn that pass the filter of `--log`",
        |source, out| {
            out.sample(&[("level", "error")], source.node.errors);
            out.sample(&[("level", "warn")], source.node.warnings);
        },
    ),
    gauge(
        "duplex_feed_running",
        "feed",
        "1 while the background task runs, 0 while it waits to be restarted",
        |source, out| {
            for task in &source.node.tasks {
                out.sample(&[("feed", &task.name)], task.running.into());
            }
        },
    ),
    counter(
        "duplex_feed_failures_total",
        "feed",
        "Times that the background task ended or panicked",
        |source, out| {
            for task in &source.node.tasks {
                out.sample(&[("feed", &task.name)], task.failures);
            }
        },
    ),
    gauge("process_resident_memory_bytes", "", "Resident memory", |source, out| {
        out.sample(&[], source.node.process.resident_bytes)
    }),
    counter(
        "process_cpu_seconds_total",
        "",
        "User and system time",
        |source, out| out.float(source.node.process.cpu_seconds),
    ),
    gauge("process_open_fds", "", "Open file descriptors", |source, out| {
        out.sample(&[], source.node.process.open_files)
    }),
];

/// `GET /metrics`
pub async fn get_metrics(State(state): State<ServerState>) -> Response {
    let log = log_stats(&state).await;
    let text = render(METRICS, &NodeSnapshot::read(&state), &log);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}

/// Middleware that counts every response by its status.
pub async fn count_responses(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    state.counters.count_response(response.status().as_u16());
    response
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn metric_names_follow_prometheus_conventions() {
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

    /// On failure, prints the table that the README should contain.
    #[test]
    fn every_metric_is_in_the_readme() {
        let rows = METRICS.iter().map(|metric| {
            format!(
                "| `{}` | {} | {} | {} |\n",
                metric.name,
                metric.type_name(),
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
