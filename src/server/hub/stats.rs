//! What the hub counts about its topics. Knows no topic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// Totals since the start, but for `topics` and `sessions`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubStats {
    /// Awake now.
    pub topics: u64,
    /// Memberships now: a session counts once for each of its topics.
    pub members: u64,
    /// Accepted.
    pub commands: u64,
    /// Rejected, for whatever reason.
    pub rejected: u64,
    /// Sent again and answered from memory.
    pub again: u64,
    pub events: u64,
    /// Each one commit for a batch of commands.
    pub appends: u64,
    pub failed_appends: u64,
    /// Events that slow readers were spared.
    pub conflated: u64,
    /// Pages read from the log for readers that the ring could not serve.
    pub log_reads: u64,
    pub forwards: u64,
    /// Not delivered.
    pub forwards_lost: u64,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub members: AtomicU64,
    pub commands: AtomicU64,
    pub rejected: AtomicU64,
    pub again: AtomicU64,
    pub events: AtomicU64,
    pub appends: AtomicU64,
    pub failed_appends: AtomicU64,
    pub conflated: AtomicU64,
    pub log_reads: AtomicU64,
    pub forwards: AtomicU64,
    pub forwards_lost: AtomicU64,
}

impl Tally {
    pub fn read(&self, topics: u64) -> HubStats {
        let read = |count: &AtomicU64| count.load(Relaxed);
        HubStats {
            topics,
            members: read(&self.members),
            commands: read(&self.commands),
            rejected: read(&self.rejected),
            again: read(&self.again),
            events: read(&self.events),
            appends: read(&self.appends),
            failed_appends: read(&self.failed_appends),
            conflated: read(&self.conflated),
            log_reads: read(&self.log_reads),
            forwards: read(&self.forwards),
            forwards_lost: read(&self.forwards_lost),
        }
    }
}

pub fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

pub fn subtract(count: &AtomicU64, less: u64) {
    count.fetch_sub(less, Relaxed);
}
