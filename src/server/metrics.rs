//! `GET /metrics`: the node's figures as Prometheus reads them. Written here, from the node's own counters, rather than by a
//! recorder beside them: there is one count of each thing, and it is exact.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::figures::{Figures, census};
use super::hub::{HubStats, counters};
use super::log::{Census, LATENCY_BOUNDS, Latency};
use super::state::ServerState;

/// What one metric is made of.
struct Source<'a> {
    now: &'a Figures,
    kept: &'a Census,
}

pub struct Metric {
    pub name: &'static str,
    /// For the README, and for whoever reads the metrics.
    pub help: &'static str,
    /// By which its values differ.
    pub labels: &'static str,
    value: Value,
}

enum Value {
    Counter(fn(&Source<'_>, &mut Out)),
    Gauge(fn(&Source<'_>, &mut Out)),
    /// In seconds.
    Histogram(fn(&Source<'_>) -> Latency),
}

impl Metric {
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Counter(_) => "counter",
            Value::Gauge(_) => "gauge",
            Value::Histogram(_) => "histogram",
        }
    }
}

/// The lines of one metric.
struct Out {
    name: &'static str,
    text: String,
}

impl Out {
    fn one(&mut self, value: f64) {
        self.line("", &[], value);
    }

    fn put(&mut self, labels: &[(&str, &str)], value: u64) {
        self.line("", labels, value as f64);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        // To a string, which takes everything.
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{opening}{label}=\"{}\"", escaped(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    fn histogram(&mut self, latency: &Latency) {
        let mut below = 0;
        for (bound, count) in LATENCY_BOUNDS.iter().zip(latency.buckets) {
            below += count;
            let bound = (*bound as f64 / 1e6).to_string();
            self.line("_bucket", &[("le", &bound)], below as f64);
        }
        self.line("_bucket", &[("le", "+Inf")], latency.count() as f64);
        self.line("_sum", &[], latency.sum_micros as f64 / 1e6);
        self.line("_count", &[], latency.count() as f64);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const fn counter(
    name: &'static str,
    labels: &'static str,
    help: &'static str,
    write: fn(&Source<'_>, &mut Out),
) -> Metric {
    let value = Value::Counter(write);
    Metric {
        name,
        help,
        labels,
        value,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static str,
    help: &'static str,
    write: fn(&Source<'_>, &mut Out),
) -> Metric {
    let value = Value::Gauge(write);
    Metric {
        name,
        help,
        labels,
        value,
    }
}

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
            for way in counters::Way::ALL {
                out.put(&[("transport", way.name())], counters.ways[way as usize]);
            }
        },
    ),
    counter(
        "duplex_connections_opened_total",
        "transport",
        "A poll is one",
        |of, out| {
            for way in counters::Way::ALL {
                out.put(&[("transport", way.name())], of.now.counters.opened[way as usize]);
            }
        },
    ),
    counter(
        "duplex_cut_offs_total",
        "reason",
        "Conversations that the server ended: the peer took nothing (slow), said nothing (silent) or broke the protocol (breach)",
        |of, out| {
            for cut in counters::Cut::ALL {
                out.put(&[("reason", cut.name())], of.now.counters.cuts[cut as usize]);
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
                .zip(of.now.counters.answers)
            {
                out.put(&[("class", class)], count);
            }
        },
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
    let kept = census(&state).await;
    let text = write(&Figures::read(&state), &kept);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}

fn write(now: &Figures, kept: &Census) -> String {
    let source = Source { now, kept };
    let mut all = String::new();
    for metric in METRICS {
        let mut out = Out {
            name: metric.name,
            text: String::new(),
        };
        match metric.value {
            Value::Counter(write) | Value::Gauge(write) => write(&source, &mut out),
            Value::Histogram(read) => out.histogram(&read(&source)),
        }
        let _ = write!(
            all,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}",
            name = metric.name,
            help = metric.help,
            kind = metric.kind(),
            lines = out.text
        );
    }
    all
}

/// Counts every answer by its status.
pub async fn count(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    state.counters.answer(response.status().as_u16());
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

    #[test]
    fn a_label_cannot_break_its_line() {
        let mut out = Out {
            name: "m",
            text: String::new(),
        };
        out.put(&[("a", "x\"\\\n"), ("b", "y")], 7);
        assert_eq!(out.text, "m{a=\"x\\\"\\\\\\n\",b=\"y\"} 7\n");
    }

    #[test]
    fn buckets_are_cumulated() {
        let mut latency = Latency::default();
        (latency.buckets[0], latency.buckets[1], latency.buckets[17]) = (2, 3, 1);
        latency.sum_micros = 1_500_000;
        let mut out = Out {
            name: "d",
            text: String::new(),
        };
        out.histogram(&latency);
        let lines: Vec<_> = out.text.lines().collect();
        assert_eq!(lines[..2], ["d_bucket{le=\"0.00005\"} 2", "d_bucket{le=\"0.0001\"} 5"]);
        assert_eq!(
            lines[16..],
            [
                "d_bucket{le=\"10\"} 5",
                "d_bucket{le=\"+Inf\"} 6",
                "d_sum 1.5",
                "d_count 6"
            ]
        );
    }
}
