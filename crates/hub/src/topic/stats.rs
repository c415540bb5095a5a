//! What the hub counts about its topics. Knows no topic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// Counts of a hub: totals since the start, but for `topics` and `members`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HubStats {
    /// Topics that are awake now.
    pub topics: u64,
    /// Subscriptions now: a session counts once for each of its topics.
    pub members: u64,
    /// Commands accepted.
    pub commands: u64,
    /// Commands rejected, for any reason.
    pub rejected: u64,
    /// Commands sent again and answered from memory.
    pub again: u64,
    /// Events made.
    pub events: u64,
    /// Events given to readers; an event counts once for each of them.
    pub delivered: u64,
    /// Appends to the log, each with a batch of commands.
    pub appends: u64,
    /// Appends that failed.
    pub failed_appends: u64,
    /// Events left out for slow readers, because a newer one of the same key replaces them.
    pub conflated: u64,
    /// Pages read from the log for readers that the ring could not serve.
    pub log_reads: u64,
    /// Forwards delivered.
    pub forwards: u64,
    /// Forwards that were given up.
    pub forwards_lost: u64,
}

impl HubStats {
    /// Adds the counts of a kind, of which `topics` are awake.
    pub(crate) fn add(&mut self, topics: u64, tally: &Tally) {
        let read = |count: &AtomicU64| count.load(Relaxed);
        self.topics += topics;
        self.members += read(&tally.members);
        self.commands += read(&tally.commands);
        self.rejected += read(&tally.rejected);
        self.again += read(&tally.again);
        self.events += read(&tally.events);
        self.delivered += read(&tally.delivered);
        self.appends += read(&tally.appends);
        self.failed_appends += read(&tally.failed_appends);
        self.conflated += read(&tally.conflated);
        self.log_reads += read(&tally.log_reads);
        self.forwards += read(&tally.forwards);
        self.forwards_lost += read(&tally.forwards_lost);
    }
}

/// A topic that is awake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicStats {
    /// The topic's name.
    pub topic: TopicName,
    /// The newest event.
    pub seq: Seq,
    /// The newest event when the topic woke.
    #[serde(skip)]
    pub woke: Seq,
    /// Sessions that are subscribed.
    pub subscribers: u64,
    /// Requests in the topic's queue.
    pub waiting: u64,
}

/// The counts of one kind.
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

pub(crate) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

pub(crate) fn subtract(count: &AtomicU64, less: u64) {
    count.fetch_sub(less, Relaxed);
}
