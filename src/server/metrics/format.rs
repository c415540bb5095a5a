//! Prometheus's text exposition format, and the definition of a metric.

use std::fmt::Write as _;

use super::super::snapshot::NodeSnapshot;
use duplex_hub::log::{LATENCY_BOUNDS, LatencySnapshot, LogStats};

/// The data from which metrics are read.
pub struct MetricInput<'a> {
    pub node: &'a NodeSnapshot,
    pub log: &'a LogStats,
}

pub struct Metric {
    pub name: &'static str,
    /// The help text; the README shows it too.
    pub help: &'static str,
    /// Names of the labels, for the README.
    pub labels: &'static str,
    pub value: Value,
}

pub enum Value {
    Counter(fn(&MetricInput<'_>, &mut MetricWriter)),
    Gauge(fn(&MetricInput<'_>, &mut MetricWriter)),
    /// In seconds.
    Histogram(fn(&MetricInput<'_>) -> LatencySnapshot),
}

impl Metric {
    pub const fn type_name(&self) -> &'static str {
        match self.value {
            Value::Counter(_) => "counter",
            Value::Gauge(_) => "gauge",
            Value::Histogram(_) => "histogram",
        }
    }
}

/// Writes the lines of one metric.
pub struct MetricWriter {
    pub name: &'static str,
    pub text: String,
}

impl MetricWriter {
    pub fn float(&mut self, value: f64) {
        self.write_sample("", &[], value);
    }

    pub fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.write_sample("", labels, value as f64);
    }

    pub fn write_sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{opening}{label}=\"{}\"", escaped(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    pub fn histogram(&mut self, latency: &LatencySnapshot) {
        let mut cumulative = 0;
        for (bound, count) in LATENCY_BOUNDS.iter().zip(latency.buckets) {
            cumulative += count;
            let bound = (*bound as f64 / 1e6).to_string();
            self.write_sample("_bucket", &[("le", &bound)], cumulative as f64);
        }
        self.write_sample("_bucket", &[("le", "+Inf")], latency.count() as f64);
        self.write_sample("_sum", &[], latency.sum_micros as f64 / 1e6);
        self.write_sample("_count", &[], latency.count() as f64);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub const fn counter(
    name: &'static str,
    labels: &'static str,
    help: &'static str,
    write: fn(&MetricInput<'_>, &mut MetricWriter),
) -> Metric {
    let value = Value::Counter(write);
    Metric {
        name,
        help,
        labels,
        value,
    }
}

pub const fn gauge(
    name: &'static str,
    labels: &'static str,
    help: &'static str,
    write: fn(&MetricInput<'_>, &mut MetricWriter),
) -> Metric {
    let value = Value::Gauge(write);
    Metric {
        name,
        help,
        labels,
        value,
    }
}

/// Renders all metrics of the list.
pub fn render(metrics: &[Metric], node: &NodeSnapshot, log: &LogStats) -> String {
    let source = MetricInput { node, log };
    let mut all = String::new();
    for metric in metrics {
        let mut out = MetricWriter {
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
            kind = metric.type_name(),
            lines = out.text
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut out = MetricWriter {
            name: "m",
            text: String::new(),
        };
        out.sample(&[("a", "x\"\\\n"), ("b", "y")], 7);
        assert_eq!(out.text, "m{a=\"x\\\"\\\\\\n\",b=\"y\"} 7\n");
    }

    #[test]
    fn buckets_are_cumulative() {
        let mut latency = LatencySnapshot::default();
        (latency.buckets[0], latency.buckets[1], latency.buckets[17]) = (2, 3, 1);
        latency.sum_micros = 1_500_000;
        let mut out = MetricWriter {
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
