//! A snapshot of the node's counters and statistics, from which the metrics and status samples are built.

use std::fs;
use std::time::Duration;

use super::state::ServerState;
use crate::wire::status::TaskStatus;
use duplex_axum::connection::CounterSnapshot;
use duplex_hub::log::{LogStats, WriterStats};
use duplex_hub::{HubStats, TopicStats};

#[derive(Debug, Clone)]
pub struct NodeSnapshot {
    pub node: String,
    pub uptime: Duration,
    pub counters: CounterSnapshot,
    pub hub: HubStats,
    /// By kind, without the forwards.
    pub kinds: Vec<(&'static str, HubStats)>,
    /// Rejected parts of accepted commands, by kind.
    pub rejected_parts: Vec<(&'static str, u64)>,
    pub topics: Vec<TopicStats>,
    pub pending_forwards: u64,
    pub log: WriterStats,
    /// Requests rejected by a quota, by the quota's name.
    pub rejected: Vec<(&'static str, u64)>,
    pub errors: u64,
    pub warnings: u64,
    pub tasks: Vec<TaskStatus>,
    pub process: ProcessStats,
}

impl NodeSnapshot {
    pub fn read(state: &ServerState) -> Self {
        Self {
            node: state.settings.node.clone(),
            uptime: state.started.elapsed(),
            counters: state.counters.snapshot(),
            hub: state.hub.stats(),
            kinds: state.hub.stats_of_kinds(),
            rejected_parts: state.hub.rejected_parts(),
            topics: state.hub.awake_topics(),
            pending_forwards: state.hub.pending_forwards() as u64,
            log: state.hub.log().writer_stats(),
            rejected: state.quotas.rejections(),
            errors: state.error_counter.errors(),
            warnings: state.error_counter.warnings(),
            tasks: state.task_statuses.read(),
            process: ProcessStats::read(),
        }
    }

    /// Requests queued at topics.
    pub fn queued_requests(&self) -> u64 {
        self.topics.iter().map(|topic| topic.queued).sum()
    }
}

/// Statistics of the stored log; if they cannot be read, logs a warning and returns the default.
pub async fn log_stats(state: &ServerState) -> LogStats {
    state.hub.log().stats().await.unwrap_or_else(|error| {
        tracing::warn!("cannot read the log's statistics: {error}");
        LogStats::default()
    })
}

/// Resource use of this process from `/proc`; zeros on other systems than Linux.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessStats {
    pub resident_bytes: u64,
    pub cpu_seconds: f64,
    pub open_files: u64,
}

/// `USER_HZ`, the unit of times in `/proc`: 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

impl ProcessStats {
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            resident_bytes: parse_vm_rss(&text("/proc/self/status")).unwrap_or(0),
            cpu_seconds: parse_cpu_ticks(&text("/proc/self/stat")).unwrap_or(0) as f64 / TICKS_PER_SECOND,
            open_files: open_files(),
        }
    }
}

/// Since Linux 6.2 the directory's size is the number of its entries. To list them takes milliseconds with thousands of connections.
fn open_files() -> u64 {
    const FILES: &str = "/proc/self/fd";
    match fs::metadata(FILES).map_or(0, |files| files.len()) {
        0 => fs::read_dir(FILES).map_or(0, |files| files.count() as u64),
        count => count,
    }
}

fn parse_vm_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// User and system time, fields 14 and 15. Field 2, the command name, may contain any character and ends with a parenthesis.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_parsed() {
        assert_eq!(parse_vm_rss("Name:\tx\nVmRSS:\t   10 kB\n"), Some(10_240));
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0";
        assert_eq!(parse_cpu_ticks(stat), Some(150));
        assert_eq!((parse_vm_rss(""), parse_cpu_ticks("")), (None, None));
        let process = ProcessStats::read();
        assert!(process.resident_bytes > 0 && process.open_files > 0, "{process:?}");
    }
}
