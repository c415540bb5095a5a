//! Counters of the hub's topics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::handle::TopicShared;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// Counts of a hub: totals since the start, except `topics` and `subscriptions`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HubStats {
    /// Topics that are awake now.
    pub topics: u64,
    /// Subscriptions now: a session counts once for each of its topics.
    #[serde(rename = "members")]
    pub subscriptions: u64,
    /// Commands accepted.
    pub commands: u64,
    /// Commands rejected, for any reason.
    pub rejected: u64,
    /// Duplicate commands, answered from memory.
    #[serde(rename = "again")]
    pub duplicates: u64,
    /// Events decided.
    pub events: u64,
    /// Events delivered to readers; an event counts once for each of them.
    pub delivered: u64,
    /// Appends to the log, each with a batch of commands.
    pub appends: u64,
    /// Appends that failed.
    pub failed_appends: u64,
    /// Events omitted for slow readers, superseded by a newer event of the same key.
    pub conflated: u64,
    /// Pages read from the log for readers behind the ring.
    pub log_reads: u64,
    /// Forwards delivered.
    pub forwards: u64,
    /// Forwards that were rejected or removed.
    #[serde(rename = "forwards_lost")]
    pub forwards_dropped: u64,
}

impl HubStats {
    /// Adds the counts of a kind, of which `topics` are awake.
    pub(crate) fn add(&mut self, topics: u64, counters: &KindCounters) {
        let read = |count: &AtomicU64| count.load(Relaxed);
        self.topics += topics;
        self.subscriptions += read(&counters.subscriptions);
        self.commands += read(&counters.commands);
        self.rejected += read(&counters.rejected);
        self.duplicates += read(&counters.duplicates);
        self.events += read(&counters.events);
        self.delivered += read(&counters.delivered);
        self.appends += read(&counters.appends);
        self.failed_appends += read(&counters.failed_appends);
        self.conflated += read(&counters.conflated);
        self.log_reads += read(&counters.log_reads);
        self.forwards += read(&counters.forwards);
        self.forwards_dropped += read(&counters.forwards_dropped);
    }
}

/// An awake topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicStats {
    /// The topic's name.
    pub topic: TopicName,
    /// The newest event.
    pub seq: Seq,
    /// The newest event when the topic was started.
    #[serde(skip)]
    pub start_seq: Seq,
    /// Sessions that are subscribed.
    pub subscribers: u64,
    /// Requests in the topic's queue.
    #[serde(rename = "waiting")]
    pub queued: u64,
}

/// The counters of one kind.
#[derive(Debug, Default)]
pub(crate) struct KindCounters {
    pub subscriptions: AtomicU64,
    pub commands: AtomicU64,
    pub rejected: AtomicU64,
    pub duplicates: AtomicU64,
    pub events: AtomicU64,
    pub delivered: AtomicU64,
    pub appends: AtomicU64,
    pub failed_appends: AtomicU64,
    pub conflated: AtomicU64,
    pub log_reads: AtomicU64,
    pub forwards: AtomicU64,
    pub forwards_dropped: AtomicU64,
}

pub(crate) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

pub(crate) fn subtract(count: &AtomicU64, less: u64) {
    count.fetch_sub(less, Relaxed);
}

impl TopicShared {
    pub(crate) fn stats(&self) -> TopicStats {
        TopicStats {
            topic: self.name.clone(),
            seq: self.head(),
            start_seq: self.start_seq,
            subscribers: self.subscribers.presence().session_count() as u64,
            queued: (self.requests.max_capacity() - self.requests.capacity()) as u64,
        }
    }
}
