//! The log: the ordered, durable events of each topic, as a trait with three implementations. Events are opaque bytes here.
//!
//! | module | store |
//! | --- | --- |
//! | [`memory`] | in memory, for tests and ephemeral kinds |
//! | `postgres` | a PostgreSQL database (feature `postgres`) |
//! | `sqlite` | an embedded SQLite file (feature `sqlite`) |

pub mod chain;
mod forward;
mod key;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod private;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod snapshot;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod stats;
mod tail;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
pub mod transfer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use self::forward::{ForwardKey, ForwardRecord, PendingForward};
pub use self::key::LogSecret;
pub use self::stats::{KindStats, LATENCY_BOUNDS, LatencyHistogram, LatencySnapshot, LogStats, WriterStats};
pub use self::tail::{AnswerCounts, LogTail, MovedHeads, TailStart};

use futures_util::future::BoxFuture;

use crate::bus::Bus;
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{CommandId, Rejection};
use duplex_protocol::topic::TopicName;

/// A time in milliseconds since the Unix epoch.
pub type Millis = u64;

/// The retention of a topic: an event beyond either bound is removed once a snapshot contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The number of newest events; the hub requests at least 1,024.
    pub events: u64,
    /// The maximum age of an event; `None` for no limit.
    pub age: Option<Duration>,
}

impl Retention {
    /// Returns a predicate for removable events. Call it from the oldest event on until it returns false. `seq` is the snapshot's,
    /// `last` the newest event.
    fn removable(self, seq: Seq, last: Seq, now: Millis) -> impl Fn(Seq, Millis) -> bool {
        let surplus = last.saturating_sub(self.events);
        let oldest = self.age.map_or(0, |age| now.saturating_sub(millis(age)));
        move |event, at| event <= seq && (event <= surplus || at < oldest)
    }
}

/// The number of these rows, oldest first, that may be removed: all up to the last removable one. A row with a future time, from
/// a clock that was ahead, is removed with the next removable row and does not stop the search.
fn count_removable(
    rows: impl Iterator<Item = (u64, Millis)>,
    now: Millis,
    is_removable: impl Fn(u64, Millis) -> bool,
) -> usize {
    let mut count = 0;
    for (position, (number, at)) in (1..).zip(rows) {
        if is_removable(number, at) {
            count = position;
        } else if at <= now {
            break;
        }
    }
    count
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// Everything that is read to start a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartData {
    /// The first and last event.
    pub head: Head,
    /// The newest snapshot: its seq, and the state after the event of that seq.
    pub snapshot: Option<(Seq, Vec<u8>)>,
    /// The newest accepted commands, the oldest first, within the limits passed to [`Log::open`].
    pub commands: Vec<AcceptedCommand>,
    /// The newest rejected commands, likewise.
    pub rejections: Vec<RejectedCommand>,
    /// The newest timestamp among the ids that were removed from either list.
    pub forgotten: Option<Millis>,
}

/// An accepted command. An id belongs to its sender: the same id from another sender is another command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedCommand {
    /// The sender.
    pub sender: PersonId,
    /// The command's id.
    pub command: CommandId,
    /// The topic's newest event after the command.
    pub seq: Seq,
}

/// A command with a final rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedCommand {
    /// The sender.
    pub sender: PersonId,
    /// The command's id.
    pub command: CommandId,
    /// The answer.
    pub rejection: Rejection,
}

/// The first and last event of a topic's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The log's identity.
    pub epoch: Epoch,
    /// The oldest stored event; `last + 1` if there is none.
    pub first: Seq,
    /// The newest event; 0 if there was none.
    pub last: Seq,
    /// The checksum of the log up to `last`.
    pub checksum: Option<Checksum>,
    /// The number of answers.
    pub answers: AnswerCounts,
}

/// The expected end of a topic's log, for an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// The newest event.
    pub seq: Seq,
    /// The checksum up to it; `None` if it is unknown or need not be compared.
    pub checksum: Option<Checksum>,
    /// The number of answers; `None` if it need not be compared. An append of another node that stored answers without events is
    /// found by it.
    pub answers: Option<AnswerCounts>,
}

impl From<Seq> for LogEnd {
    fn from(seq: Seq) -> Self {
        Self {
            seq,
            checksum: None,
            answers: None,
        }
    }
}

impl LogEnd {
    /// Whether the topic's log ends there: at `seq`, with `checksum` and this number of answers.
    fn is_at(self, seq: Seq, checksum: Option<Checksum>, answers: AnswerCounts) -> bool {
        self.seq == seq
            && (self.checksum.is_none() || self.checksum == checksum)
            && self.answers.is_none_or(|expected| expected == answers)
    }

    fn conflict(self, last: Seq) -> LogError {
        let expected = self.seq;
        LogError::Conflict { expected, last }
    }
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The event's position.
    pub seq: Seq,
    /// The time of the event.
    pub at: Millis,
    /// The event that it amends.
    pub amends: Option<Seq>,
    /// The checksum of the log up to and including it; `None` for an event that was written by a release without checksums.
    pub checksum: Option<Checksum>,
    /// The event as JSON, which other tools can read.
    pub event: Vec<u8>,
}

/// An answered command and its events. An entry is stored completely or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The command's id.
    pub command: CommandId,
    /// The sender.
    pub sender: PersonId,
    /// The time of the command and its events.
    pub at: Millis,
    /// Its events: the event that each amends, and its JSON. May be empty; the answer is stored anyway.
    pub events: Vec<(Option<Seq>, Vec<u8>)>,
    /// The final rejection; there are no events then.
    pub rejection: Option<Rejection>,
    /// The commands for other topics that follow from the events: stored with them until they are delivered.
    pub forwards: Vec<ForwardRecord>,
    /// The forward that this command delivers, if it is one; the same commit removes it.
    pub delivers: Option<ForwardKey>,
}

/// The redaction of earlier events by an append. An overwritten event keeps its seq, its time and the event that it amends;
/// afterwards neither readers nor backups see its old payload. Its undelivered forwards are removed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactionWrite {
    /// The redacted events.
    pub redacted: RedactedEvents,
    /// The state after the newest event of the append. It replaces the snapshot, which may contain redacted content.
    pub state: Vec<u8>,
}

/// The events that a [`RedactionWrite`] applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedactedEvents {
    /// Replaces the payloads of these events. An event that is no longer stored is skipped.
    Payloads(Vec<(Seq, Vec<u8>)>),
    /// Removes all events before this one, as retention does.
    Before(Seq),
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The events, by seq.
    pub records: Vec<Record>,
    /// Whether the page reaches the beginning of the history.
    pub reaches_start: bool,
    /// The first and last event.
    pub head: Head,
}

/// Error of a log operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Another writer appended, or the log lost its tail: the caller's state was built from different events. If both seqs are
    /// equal, the checksums or the numbers of answers differ.
    #[error("the log of the topic ends at {last} instead of the expected {expected}")]
    Conflict {
        /// The newest event as the caller knows it.
        expected: Seq,
        /// The newest event of the log.
        last: Seq,
    },
    /// The disk is full, or the log is at its size limit.
    #[error("the disk is full, or the log reached its size limit")]
    Full,
    /// The store failed; it is unknown whether the request had an effect. The text is the cause.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

/// A store of events. Every method returns a future that does not block its thread; requests of one topic may be concurrent.
/// Errors are [`LogError::Unavailable`] unless stated otherwise.
///
/// - An append is durable when its future completes, and no reader sees it earlier: a `kill -9` right after it loses nothing.
/// - Seqs of a topic run from 1 without gaps. An append is atomic and its entries are contiguous.
/// - Concurrent appends to many topics share one commit.
/// - Each event has a checksum of the log up to it, computed by [`chain::next_checksum`].
/// - A read sees committed data, and never waits for an append.
pub trait Log: Send + Sync + 'static {
    /// The data from which a topic is started, with the newest `commands` accepted commands and as many rejected ones; those
    /// whose ids contain no time are included only if they are not older than `since`. A topic without events is not an error.
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<StartData, LogError>>;

    /// Appends entries after `expected`. Returns the newest seq.
    ///
    /// # Errors
    ///
    /// [`LogError::Conflict`] if the log does not end at `expected`; [`LogError::Full`].
    fn append(&self, topic: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>>;

    /// Appends as [`Log::append`] and redacts earlier events in the same commit. The state becomes the snapshot of the newest
    /// event.
    ///
    /// # Errors
    ///
    /// See [`Log::append`].
    fn redact(
        &self,
        topic: &TopicName,
        expected: LogEnd,
        entries: Vec<Entry>,
        redaction: RedactionWrite,
    ) -> BoxFuture<'_, Result<Seq, LogError>>;

    /// The given events, as far as they are stored, and all events that amend one of them, by seq.
    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// Up to `limit` events after `after`, by seq. Removed events are skipped silently; the caller detects this by the first seq.
    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// Everything that was appended to a topic after `start`, as one consistent read. `None` if that is more than `limit` events or
    /// answers, if part of it was removed, or if the log ends before `start`: the caller then opens the topic again. The default
    /// suits a log that only one node uses.
    fn tail(
        &self,
        _topic: &TopicName,
        _start: TailStart,
        _limit: usize,
    ) -> BoxFuture<'_, Result<Option<LogTail>, LogError>> {
        Box::pin(async { Ok(None) })
    }

    /// The topics whose newest event changed since `version`; without a version, only the current version. A topic may be
    /// returned again later, and none is missed. The default suits a log that only one node uses: it returns none.
    fn heads_since(&self, _version: Option<u64>) -> BoxFuture<'_, Result<MovedHeads, LogError>> {
        Box::pin(async { Ok(MovedHeads::default()) })
    }

    /// The checksum of the log up to the event `seq`, if that event is stored or is the newest removed one.
    fn checksum(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Checksum>, LogError>>;

    /// The newest `limit` events before `before` that amend nothing, and all events that amend one of them, of any seq.
    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>>;

    /// Stores `state` as the snapshot of the event `seq`, and removes the events up to `seq` that `retention` does not cover.
    /// Does nothing if a newer snapshot is stored.
    ///
    /// # Errors
    ///
    /// [`LogError::Conflict`] if `seq` is after the newest event.
    fn snapshot(
        &self,
        topic: &TopicName,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> BoxFuture<'_, Result<(), LogError>>;

    /// The undelivered forwards of one topic, or of all; those of a topic in the order of their events.
    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<PendingForward>, LogError>>;

    /// Removes delivered forwards. One that is no longer stored is skipped.
    fn remove_forwards(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>>;

    /// The topics of a kind that ever had an event, by name.
    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>>;

    /// Gives the lease `name` to `holder` for `duration` from now by the log's clock, unless another holder has it. Returns whether
    /// `holder` has it now. The default suits a log that only one node uses: the node has every lease.
    fn lease(&self, _name: &str, _holder: u64, _duration: Duration) -> BoxFuture<'_, Result<bool, LogError>> {
        Box::pin(async { Ok(true) })
    }

    /// Ends the lease `name`, if `holder` has it.
    fn end_lease(&self, _name: &str, _holder: u64) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Ok(()) })
    }

    /// The bus of the nodes that use this log; `None` for a log that only one node uses.
    fn bus(&self) -> Option<Arc<dyn Bus>> {
        None
    }

    /// The secret from which public ids are derived. A backup of the log has the same secret.
    fn secret(&self) -> &LogSecret;

    /// Counters that are kept in memory.
    fn writer_stats(&self) -> WriterStats {
        WriterStats::default()
    }

    /// The size of the store. Does not read events.
    fn stats(&self) -> BoxFuture<'_, Result<LogStats, LogError>> {
        Box::pin(async { Ok(LogStats::default()) })
    }

    /// The path of the store, if it is a file.
    fn path(&self) -> Option<PathBuf> {
        None
    }

    /// Backs up the committed data to a new file, which can be opened as a log.
    ///
    /// # Errors
    ///
    /// If the store cannot be backed up, or a file of that name exists.
    fn backup(&self, _to: &Path) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Err(LogError::Unavailable("this log cannot be backed up".to_owned())) })
    }

    /// Closes the store. Completes when all earlier requests are durable.
    fn close(&self) -> BoxFuture<'_, ()>;
}
