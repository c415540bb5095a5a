//! What a node reads to follow the appends of other nodes to the same log.

use super::{AcceptedCommand, Head, Record, RejectedCommand};
use duplex_protocol::cursor::{Checksum, Seq};
use duplex_protocol::topic::TopicName;

/// How many answers a topic's log ever stored. Every entry of an append adds one to one of the numbers, so an append changes them
/// even if it stores no event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// The accepted commands.
    pub accepted: u64,
    /// The finally rejected commands.
    pub rejected: u64,
}

impl AnswerCounts {
    /// Whether `later` has at most `limit` answers of each kind more than these.
    pub(super) fn is_within(self, later: Self, limit: usize) -> bool {
        let fits = |from: u64, to: u64| to.checked_sub(from).is_some_and(|count| count <= limit as u64);
        fits(self.accepted, later.accepted) && fits(self.rejected, later.rejected)
    }
}

/// The position after which a [`LogTail`] begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailStart {
    /// The newest known event.
    pub seq: Seq,
    /// The known answers.
    pub answers: AnswerCounts,
}

/// Everything that was appended to a topic after a position, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// The first and last event, and the number of answers.
    pub head: Head,
    /// The checksum of the log up to the start; `None` if it is unknown.
    pub checksum: Option<Checksum>,
    /// The seq of the newest snapshot; 0 if there is none.
    pub snapshot: Seq,
    /// The later events, by seq.
    pub records: Vec<Record>,
    /// The later accepted commands, the oldest first.
    pub commands: Vec<AcceptedCommand>,
    /// The later rejected commands, likewise.
    pub rejections: Vec<RejectedCommand>,
}

impl LogTail {
    /// Whether nothing between `start` and the head is missing.
    pub(super) fn is_complete(&self, start: TailStart) -> bool {
        let Head { last, answers, .. } = self.head;
        start.seq + self.records.len() as Seq == last
            && start.answers.accepted + self.commands.len() as u64 == answers.accepted
            && start.answers.rejected + self.rejections.len() as u64 == answers.rejected
    }
}

/// The topics that were appended to since an earlier call of [`Log::heads_since`](super::Log::heads_since).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovedHeads {
    /// The version from which the next call continues.
    pub version: u64,
    /// The topics and their newest events, in no order.
    pub heads: Vec<(TopicName, Seq)>,
}
