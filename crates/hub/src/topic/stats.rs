//! What the hub counts about its topics. Knows no topic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

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
    /// To readers; an event counts once for each of them.
    pub delivered: u64,
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

impl std::ops::Add for HubStats {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            topics: self.topics + more.topics,
            members: self.members + more.members,
            commands: self.commands + more.commands,
            rejected: self.rejected + more.rejected,
            again: self.again + more.again,
            events: self.events + more.events,
            delivered: self.delivered + more.delivered,
            appends: self.appends + more.appends,
            failed_appends: self.failed_appends + more.failed_appends,
            conflated: self.conflated + more.conflated,
            log_reads: self.log_reads + more.log_reads,
            forwards: self.forwards + more.forwards,
            forwards_lost: self.forwards_lost + more.forwards_lost,
        }
    }
}

/// One topic that is awake, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicStats {
    pub topic: TopicName,
    /// Of its newest event.
    pub seq: Seq,
    /// Of its newest event when it woke.
    #[serde(skip)]
    pub woke: Seq,
    /// Sessions.
    pub subscribers: u64,
    /// Commands and questions that wait for it.
    pub waiting: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub members: AtomicU64,
    pub commands: AtomicU64,
    pub rejected: AtomicU64,
    pub again: AtomicU64,
    pub events: AtomicU64,
    pub delivered: AtomicU64,
    pub appends: AtomicU64,
    pub failed_appends: AtomicU64,
    pub conflated: AtomicU64,
    pub log_reads: AtomicU64,
    pub forwards: AtomicU64,
    pub forwards_lost: AtomicU64,
}

impl Tally {
    pub(crate) fn read(&self, topics: u64) -> HubStats {
        let read = |count: &AtomicU64| count.load(Relaxed);
        HubStats {
            topics,
            members: read(&self.members),
            commands: read(&self.commands),
            rejected: read(&self.rejected),
            again: read(&self.again),
            events: read(&self.events),
            delivered: read(&self.delivered),
            appends: read(&self.appends),
            failed_appends: read(&self.failed_appends),
            conflated: read(&self.conflated),
            log_reads: read(&self.log_reads),
            forwards: read(&self.forwards),
            forwards_lost: read(&self.forwards_lost),
        }
    }
}

pub(crate) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

pub(crate) fn subtract(count: &AtomicU64, less: u64) {
    count.fetch_sub(less, Relaxed);
}
