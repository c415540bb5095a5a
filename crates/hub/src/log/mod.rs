//! The log: the ordered, durable events of each topic, as a port with one contract and an implementation for each store.
//! Knows no hub: an event is bytes here, and what it means is somebody else's business.

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

/// Milliseconds since 1970.
pub type Millis = u64;

/// How much of a topic a log keeps. What either bound says may go, goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many events; at least what a ring holds.
    pub events: u64,
    /// None keeps events of any age.
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

/// What a topic starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub head: Head,
    /// The newest snapshot: its seq, and the state after the event of that seq.
    pub snapshot: Option<(Seq, Vec<u8>)>,
    /// The newest accepted commands with their answers, oldest first, within the window of [`Log::open`].
    pub commands: Vec<Answered>,
    /// As many of the refused ones.
    pub refusals: Vec<Refused>,
    /// The newest time of an id that is in neither list and was in one once.
    pub forgotten: Option<Millis>,
}

/// An accepted command: an id is its sender's alone, and the same id from somebody else is another command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub by: PersonId,
    pub command: CommandId,
    /// The newest event when it was kept.
    pub seq: Seq,
}

/// A command that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub by: PersonId,
    pub command: CommandId,
    pub why: Rejection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub epoch: Epoch,
    /// The oldest event that is kept; `last + 1` if none is.
    pub first: Seq,
    /// 0 if there never was an event.
    pub last: Seq,
    /// Of the log up to `last`.
    pub check: Option<Check>,
}

/// Where a topic's log is to end for an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub seq: Seq,
    /// None if it does not matter, or is not known.
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub seq: Seq,
    pub at: Millis,
    pub amends: Option<Seq>,
    /// Of the log up to this event. None of one that was kept before logs had checks.
    pub check: Option<Check>,
    /// JSON: readable in ten years, and by other tools.
    pub event: Vec<u8>,
}

/// One answered command and what it made: all of it is kept, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub command: CommandId,
    pub by: PersonId,
    pub at: Millis,
    /// The event that each amends, and its JSON. May be empty: the answer is kept all the same.
    pub events: Vec<(Option<Seq>, Vec<u8>)>,
    /// Why it was refused for good. It has no events then.
    pub refused: Option<Rejection>,
    /// The commands for other topics that follow from the events: kept with them until they are delivered.
    pub forwards: Vec<Forward>,
    /// The forward that this command is: it is removed in the same commit.
    pub delivers: Option<ForwardKey>,
}

/// What an append takes away from what was kept before it. Each event that is overwritten keeps its seq, its time and what it
/// amends; no reader and no copy of the log finds its old payload any more. Forwards of such an event that were not delivered yet are
/// removed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    pub erased: Erased,
    /// The state after the newest event of the append. It takes the place of the snapshot, which may hold what goes.
    pub state: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erased {
    /// The payloads of these events become these. One that is no longer kept is left out.
    Payloads(Vec<(Seq, Vec<u8>)>),
    /// All events before this one go, as if retention had let them go.
    Before(Seq),
}

/// A page of what lies before a seq: the newest `limit` events there that amend nothing, and every event that amends one
/// of those, whatever its own seq; by seq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    pub records: Vec<Record>,
    /// Nothing that amends nothing lies before these.
    pub first: bool,
    pub head: Head,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Somebody else appended, or the log is not what it was: the caller's state is of other events. Of the same `last` the check
    /// differs.
    #[error("the log of the topic ends at {last}, not at {expected} as it was known")]
    Conflict { expected: Seq, last: Seq },
    #[error("the disk is full")]
    Full,
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
}

/// What the hub asks of a store. Every implementation passes `tests/log.rs`.
///
/// - An append is durable when its future is ready, and before that no reader sees it: `kill -9` a moment later loses nothing.
/// - Seqs of a topic run from 1 without holes. Entries of one append follow each other; all are kept, or none.
/// - Appends of many topics that come at the same time share one commit.
/// - Each event keeps a check of the log up to it, by [`chain::next`].
/// - A read is served from what is committed, and never waits for an append.
pub trait Log: Send + Sync + 'static {
    /// With the newest `commands` accepted commands and as many refusals; of those whose ids carry no time, only what is not older
    /// than `since`.
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<Opened, LogError>>;

    /// Appends after the event `expected`, which must be the newest. Returns the newest seq then.
    fn append(&self, topic: &TopicName, expected: End, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>>;

    /// As [`Log::append`], and in the same commit what `redaction` says; the snapshot is of the newest event then.
    fn redact(
        &self,
        topic: &TopicName,
        expected: End,
        entries: Vec<Entry>,
        redaction: Redaction,
    ) -> BoxFuture<'_, Result<Seq, LogError>>;

    /// Of these events those that are kept, and all that amend one of them, by seq.
    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// Up to `limit` events after `after`, by seq. Events that are no longer kept are not there: compare the first seq.
    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// Of the log up to the event `seq`, if it is kept, or was the newest of those that are not kept any more.
    fn check(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Check>, LogError>>;

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>>;

    /// Keeps `state` as the newest snapshot, and lets go what `retention` no longer asks for, never anything that the
    /// snapshot does not contain. Does nothing if a newer one is kept; one from after the newest event is a conflict.
    fn snapshot(
        &self,
        topic: &TopicName,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> BoxFuture<'_, Result<(), LogError>>;

    /// The forwards that were not delivered, of one topic or of all; those of a topic in the order of their events.
    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<Undelivered>, LogError>>;

    /// Removes forwards. One that is no longer kept is left out.
    fn delivered(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>>;

    /// The topics of a kind that ever had an event, by name.
    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>>;

    /// What public ids are made with. A copy of the log has the same.
    fn key(&self) -> &Key;

    /// What the log knows of itself at once.
    fn health(&self) -> Health {
        Health::default()
    }

    /// What is kept. Looks at each topic, and at no event.
    fn stats(&self) -> BoxFuture<'_, Result<LogStats, LogError>> {
        Box::pin(async { Ok(LogStats::default()) })
    }

    /// Where it is kept, if that is a file.
    fn place(&self) -> Option<PathBuf> {
        None
    }

    /// Writes what is committed now to a new file, from which such a log can be opened. Writes over nothing.
    fn copy(&self, _to: &Path) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Err(LogError::Unavailable("this log cannot be copied".to_owned())) })
    }

    /// Ready when everything that was asked for before is on the disk and the store is closed.
    fn close(&self) -> BoxFuture<'_, ()>;
}
