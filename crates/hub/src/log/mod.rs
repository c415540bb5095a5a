//! The log: the ordered, durable events of each topic, as a trait with one contract and an implementation for each store. An event is
//! bytes here.
//!
//! | module | store |
//! | --- | --- |
//! | [`memory`] | this process: for tests, and for topics that end with it |
//! | `sqlite` | an embedded SQLite file (feature `sqlite`) |

pub mod chain;
mod figures;
mod forward;
mod key;
pub mod memory;
pub mod private;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::figures::{Health, Histogram, KindStats, LATENCY_BOUNDS, Latency, LogStats};
pub use self::forward::{Forward, ForwardKey, Undelivered};
pub use self::key::Key;

use futures_util::future::BoxFuture;

use duplex_protocol::cursor::{Check, Epoch, Seq};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{CommandId, Rejection};
use duplex_protocol::topic::TopicName;

/// A time in milliseconds since the Unix epoch.
pub type Millis = u64;

/// How much of a topic a log keeps: an event beyond either bound is removed once a snapshot contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The number of newest events; the hub asks for at least 1,024.
    pub events: u64,
    /// The greatest age of an event; none keeps events of any age.
    pub age: Option<Duration>,
}

impl Retention {
    /// Which events may go, asked of the oldest first until one stays: a snapshot of `seq` is kept, and the newest event
    /// is `last`.
    fn reaches(self, seq: Seq, last: Seq, now: Millis) -> impl Fn(Seq, Millis) -> bool {
        let surplus = last.saturating_sub(self.events);
        let oldest = self.age.map_or(0, |age| now.saturating_sub(millis(age)));
        move |event, at| event <= seq && (event <= surplus || at < oldest)
    }
}

/// How many of these rows, oldest first, may go: those up to the last that may. One that was stamped in the future, by a clock that was
/// ahead, goes with the next one that may, and holds up none by its age.
fn going(rows: impl Iterator<Item = (u64, Millis)>, now: Millis, goes: impl Fn(u64, Millis) -> bool) -> usize {
    let mut gone = 0;
    for (place, (number, at)) in (1..).zip(rows) {
        if goes(number, at) {
            gone = place;
        } else if at <= now {
            break;
        }
    }
    gone
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// What a topic is started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where the log begins and ends.
    pub head: Head,
    /// The newest snapshot: its seq, and the state after the event of that seq.
    pub snapshot: Option<(Seq, Vec<u8>)>,
    /// The newest accepted commands, the oldest first, within the window of [`Log::open`].
    pub commands: Vec<Answered>,
    /// The newest rejected commands, likewise.
    pub refusals: Vec<Refused>,
    /// The newest time in an id that was in one of the lists and is in neither any more.
    pub forgotten: Option<Millis>,
}

/// An accepted command. An id belongs to its sender: the same id from another sender is another command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The sender.
    pub by: PersonId,
    /// The command's id.
    pub command: CommandId,
    /// The topic's newest event after the command.
    pub seq: Seq,
}

/// A command that was rejected for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The sender.
    pub by: PersonId,
    /// The command's id.
    pub command: CommandId,
    /// The answer.
    pub why: Rejection,
}

/// Where a topic's log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The log's identity.
    pub epoch: Epoch,
    /// The oldest event that is kept; `last + 1` if none is.
    pub first: Seq,
    /// The newest event; 0 if there never was one.
    pub last: Seq,
    /// The check of the log up to `last`.
    pub check: Option<Check>,
}

/// The expected end of a topic's log, for an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The newest event.
    pub seq: Seq,
    /// The check up to it; none if it is not known or need not be compared.
    pub check: Option<Check>,
}

impl From<Seq> for End {
    fn from(seq: Seq) -> Self {
        Self { seq, check: None }
    }
}

impl End {
    /// Whether the log of the topic ends there: events up to `seq`, and `check` of them.
    fn is_at(self, seq: Seq, check: Option<Check>) -> bool {
        self.seq == seq && (self.check.is_none() || self.check == check)
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
    /// When it was made.
    pub at: Millis,
    /// The event that it amends.
    pub amends: Option<Seq>,
    /// The check of the log up to and including it; none for an event that was stored before logs had checks.
    pub check: Option<Check>,
    /// The event as JSON, which other tools can read.
    pub event: Vec<u8>,
}

/// An answered command and its events: all of it is stored, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The command's id.
    pub command: CommandId,
    /// The sender.
    pub by: PersonId,
    /// The time of the command and its events.
    pub at: Millis,
    /// Its events: the event that each amends, and its JSON. May be empty; the answer is stored all the same.
    pub events: Vec<(Option<Seq>, Vec<u8>)>,
    /// The final rejection; there are no events then.
    pub refused: Option<Rejection>,
    /// The commands for other topics that follow from the events: stored with them until they are delivered.
    pub forwards: Vec<Forward>,
    /// The forward that this command is, if it is one; it is removed in the same commit.
    pub delivers: Option<ForwardKey>,
}

/// What an append erases of earlier events. An overwritten event keeps its seq, its time and what it amends; no reader and no copy of
/// the log has its old payload afterwards. Its undelivered forwards are removed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// The erased events.
    pub erased: Erased,
    /// The state after the newest event of the append. It replaces the snapshot, which may contain what is erased.
    pub state: Vec<u8>,
}

/// The events that a [`Redaction`] erases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erased {
    /// Replaces the payloads of these events. An event that is no longer kept is skipped.
    Payloads(Vec<(Seq, Vec<u8>)>),
    /// Removes all events before this one, as retention does.
    Before(Seq),
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The events, by seq.
    pub records: Vec<Record>,
    /// There is no earlier event that amends nothing.
    pub first: bool,
    /// Where the log begins and ends.
    pub head: Head,
}

/// A log cannot do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Another writer appended, or the log lost its tail: the caller's state is of other events. If both seqs are the same, the checks
    /// differ.
    #[error("the log of the topic ends at {last}, not at {expected} as it was known")]
    Conflict {
        /// The newest event as the caller knows it.
        expected: Seq,
        /// The newest event of the log.
        last: Seq,
    },
    /// There is no room on the disk, or within the log's limit.
    #[error("the disk is full")]
    Full,
    /// The store failed; whether the request had an effect is unknown. The text says why.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
}

/// A store of events. Every method returns a future that does not block its thread; requests of one topic may come at the same time.
/// Every error is a [`LogError`]: [`LogError::Unavailable`] where nothing else is said.
///
/// - An append is durable when its future completes, and no reader sees it before: `kill -9` a moment later loses nothing.
/// - Seqs of a topic run from 1 without holes. Entries of one append follow each other; all are stored, or none.
/// - Appends to many topics at the same time share one commit.
/// - Each event has a check of the log up to it, by [`chain::next`].
/// - A read sees what is committed, and never waits for an append.
pub trait Log: Send + Sync + 'static {
    /// What a topic is started from, with the newest `commands` accepted commands and as many rejected ones; of those whose ids contain
    /// no time, only what is not older than `since`. A topic without events is not an error.
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<Opened, LogError>>;

    /// Appends entries after `expected`. Returns the newest seq.
    ///
    /// # Errors
    ///
    /// [`LogError::Conflict`] if the log does not end at `expected`; [`LogError::Full`].
    fn append(&self, topic: &TopicName, expected: End, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>>;

    /// Appends as [`Log::append`] and erases earlier events in the same commit; the snapshot is then of the newest event.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    fn redact(
        &self,
        topic: &TopicName,
        expected: End,
        entries: Vec<Entry>,
        redaction: Redaction,
    ) -> BoxFuture<'_, Result<Seq, LogError>>;

    /// Those of the given events that are kept, and all events that amend one of them, by seq.
    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// Up to `limit` events after `after`, by seq. Events that are no longer kept are missing: the caller compares the first seq.
    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// The check of the log up to the event `seq`, if that is kept or is the newest event that was removed.
    fn check(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Check>, LogError>>;

    /// The newest `limit` events before `before` that amend nothing, and every event that amends one of those, whatever its own seq.
    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>>;

    /// Stores `state` as the snapshot of the event `seq`, and removes what `retention` no longer asks for of the events that the snapshot
    /// contains. Does nothing if a newer snapshot is stored.
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
    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<Undelivered>, LogError>>;

    /// Removes delivered forwards. One that is no longer stored is skipped.
    fn delivered(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>>;

    /// The topics of a kind that ever had an event, by name.
    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>>;

    /// The secret from which public ids are derived. A copy of the log has the same.
    fn key(&self) -> &Key;

    /// Counts that need no read of the store.
    fn health(&self) -> Health {
        Health::default()
    }

    /// The size of the store. Reads each topic's head, and no event.
    fn stats(&self) -> BoxFuture<'_, Result<LogStats, LogError>> {
        Box::pin(async { Ok(LogStats::default()) })
    }

    /// The path of the store, if that is a file.
    fn place(&self) -> Option<PathBuf> {
        None
    }

    /// Writes what is committed now to a new file, from which such a log can be opened.
    ///
    /// # Errors
    ///
    /// If the store cannot be copied, or a file of that name exists.
    fn copy(&self, _to: &Path) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Err(LogError::Unavailable("this log cannot be copied".to_owned())) })
    }

    /// Closes the store; completes when all earlier requests are on the disk.
    fn close(&self) -> BoxFuture<'_, ()>;
}
