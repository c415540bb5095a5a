//! The deduplication of commands: a resent command has no second effect and gets its first answer. A command's id belongs to its
//! sender: the same id from another person is another command. Pure: the clock is an argument. The log stores the same answers;
//! this module does not access it.
//!
//! # Ids with a timestamp (UUIDv7)
//!
//! An id with a timestamp ([`CommandId::time`]) never has two effects, and has none after a final rejection, regardless of clock
//! changes, sleep of the topic or a killed process:
//!
//! - The newest ids **by their timestamp** are remembered with their answers: up to `max_known` accepted and as many rejected ones.
//!   The log stores both: an acceptance in the commit of its effect, a rejection before it is sent.
//! - `forgotten` is the newest timestamp of an id that is no longer remembered. It never decreases: the log stores it too, and
//!   raises it in the transaction that deletes an answer. An id that is not newer is rejected, whether it was ever seen or not
//!   ([`Rejection::IdTooOld`] with `no_effect: false`): its sender checks the topic and sends the command under a new id.
//! - An unknown id above `forgotten` was never answered. If it is older than [`DedupeLimits::max_age`] it is rejected anyway, with
//!   `no_effect: true`: its sender can send the command under a new id without checking. An awake topic forgets nothing by age, and
//!   what the log removes by age raises `forgotten`, so no change of the clock permits a second effect.
//! - An id ahead of the clock by more than [`DedupeLimits::max_ahead`] is rejected, because it would be remembered for too long.
//!   This rejection alone is not stored, because such an id would be evicted last. If the clock was set back below `forgotten`, ids
//!   just above `forgotten` are accepted, and rejections return the time to use.
//!
//! Ids are evicted by timestamp and not by arrival: otherwise evicting one id that is 60 s ahead would invalidate all ids of the
//! last minute. For the same reason a rejection is not final while all remembered ones are younger than
//! [`DedupeLimits::min_rejection_age`]: `forgotten` would advance to the current time and reject every sender. A client with so
//! many rejected commands is rejected with [`Rejection::TooFast`].
//!
//! Server commands are checked against `forgotten` alone, because their ids have the timestamp of the event that caused them, and
//! the server may have been down for days since. Forwards are not even checked against that, because the log stores a forward
//! exactly until it has had its effect. Program commands have no age limit: their ids may have the timestamps of readings.
//!
//! # Ids without a timestamp
//!
//! They are remembered within a window: the newest accepted and rejected ones, for [`DedupeLimits::max_age`]. Beyond the window the
//! same id has its effect again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::decider::Millis;
use crate::log::{AcceptedCommand, RejectedCommand};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Rejection};

/// The limits of the deduplication.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DedupeLimits {
    /// The number of remembered accepted commands, and of remembered rejected ones, so that rejections do not evict accepted
    /// commands. Counted separately for ids with and without a timestamp.
    pub max_known: usize,
    pub max_age: Millis,
    /// The maximum lead of an id's timestamp over the clock.
    pub max_ahead: Millis,
    /// The minimum age at which a rejection may be forgotten.
    pub min_rejection_age: Millis,
}

/// The newest commands and their first answers.
#[derive(Debug)]
pub(crate) struct Dedupe {
    limits: DedupeLimits,
    accepted: AnswerTable<Seq>,
    rejected: AnswerTable<Rejection>,
    /// The newest timestamp of an id that is no longer remembered.
    forgotten: Option<Millis>,
}

/// The result of looking up a command's id before the command is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LookupResult {
    New,
    Duplicate(Answer),
    Rejected(Rejection),
}

/// The kind of sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DedupeSource {
    Visitor,
    /// A request with a token: a device that was offline for days posts old readings.
    Program,
    Server,
    /// A forward, which the log stores until it has had its effect: an unknown one has had none.
    Outbox,
}

/// Whether a rejection is final, and therefore stored.
pub(super) const fn is_final(why: &Rejection) -> bool {
    !why.may_retry() && !matches!(why, Rejection::IdTooNew { .. })
}

impl Dedupe {
    /// `forgotten` is the value that the log stores.
    pub(crate) fn new(limits: DedupeLimits, forgotten: Option<Millis>) -> Self {
        Self {
            limits,
            accepted: AnswerTable::new(limits),
            rejected: AnswerTable::new(limits),
            forgotten,
        }
    }

    pub(crate) fn look_up(&self, by: &PersonId, id: &CommandId, now: Millis, sender: DedupeSource) -> LookupResult {
        let key = CommandKey::new(by, id);
        if let Some(answer) = self.answer(&key, id, now) {
            return LookupResult::Duplicate(answer);
        }
        if sender == DedupeSource::Outbox {
            return LookupResult::New;
        }
        let Some(time) = id.time() else {
            return LookupResult::New;
        };
        let now_ms = self
            .forgotten
            .map_or(now, |forgotten| now.max(forgotten.saturating_add(1)));
        let too_old = |no_effect| LookupResult::Rejected(Rejection::IdTooOld { no_effect, now_ms });
        if self.forgotten.is_some_and(|forgotten| time <= forgotten) {
            return too_old(false);
        }
        if sender == DedupeSource::Server {
            return LookupResult::New;
        }
        if time > now.saturating_add(self.limits.max_ahead).max(now_ms) {
            return LookupResult::Rejected(Rejection::IdTooNew { now_ms });
        }
        if sender == DedupeSource::Visitor && time < now.saturating_sub(self.limits.max_age) {
            return too_old(true);
        }
        LookupResult::New
    }

    /// Whether the id is unknown, and so old that its answer may have been forgotten.
    pub(crate) fn may_have_forgotten(&self, by: &PersonId, id: &CommandId) -> bool {
        let Some(time) = id.time() else { return true };
        let key = CommandKey::new(by, id);
        self.forgotten.is_some_and(|forgotten| time <= forgotten) && self.answer(&key, id, time).is_none()
    }

    fn answer(&self, key: &CommandKey, id: &CommandId, now: Millis) -> Option<Answer> {
        let accepted = self
            .accepted
            .get(key, id, now)
            .map(|seq| Answer::Accepted { seq: *seq });
        accepted.or_else(|| self.rejected.get(key, id, now).cloned().map(Answer::Rejected))
    }

    /// Whether a rejection of this id may be final, and therefore stored.
    pub(crate) fn can_store_rejection(&self, id: &CommandId, now: Millis) -> bool {
        let timed = &self.rejected.timed;
        let full = timed.len() >= self.limits.max_known;
        let oldest = timed.first_key_value().and_then(|(key, _)| key.time());
        let is_young = oldest.is_some_and(|oldest| oldest > now.saturating_sub(self.limits.min_rejection_age));
        id.time().is_none() || !(full && is_young)
    }

    /// Adds answers from the log.
    pub(crate) fn add(&mut self, commands: &[AcceptedCommand], rejections: &[RejectedCommand], now: Millis) {
        for AcceptedCommand { sender, command, seq } in commands {
            self.accepted(sender, command, *seq, now);
        }
        for rejected in rejections {
            self.rejected(&rejected.sender, &rejected.command, &rejected.rejection, now);
        }
    }

    pub(crate) fn accepted(&mut self, by: &PersonId, id: &CommandId, seq: Seq, now: Millis) {
        let evicted = self.accepted.insert(CommandKey::new(by, id), id, seq, now);
        self.forgotten = self.forgotten.max(evicted);
    }

    /// Stores a rejection, if it is final.
    pub(crate) fn rejected(&mut self, by: &PersonId, id: &CommandId, why: &Rejection, now: Millis) {
        if is_final(why) {
            let evicted = self.rejected.insert(CommandKey::new(by, id), id, why.clone(), now);
            self.forgotten = self.forgotten.max(evicted);
        }
    }
}

/// Remembered answers: accepted or rejected.
#[derive(Debug)]
struct AnswerTable<T> {
    /// Ordered by the timestamp in the id, which comes first in the key.
    timed: BTreeMap<CommandKey, T>,
    untimed: Window<T>,
    max: usize,
}

impl<T> AnswerTable<T> {
    fn new(limits: DedupeLimits) -> Self {
        Self {
            timed: BTreeMap::new(),
            untimed: Window::new(limits.max_known, limits.max_age),
            max: limits.max_known,
        }
    }

    fn get(&self, key: &CommandKey, id: &CommandId, now: Millis) -> Option<&T> {
        match id.time() {
            Some(_) => self.timed.get(key),
            None => self.untimed.get(key, now),
        }
    }

    /// Inserts a value, unless the key has one. Returns the time of an id that is evicted for it.
    fn insert(&mut self, key: CommandKey, id: &CommandId, value: T, now: Millis) -> Option<Millis> {
        if id.time().is_none() {
            self.untimed.insert(key, value, now);
            return None;
        }
        self.timed.entry(key).or_insert(value);
        let full = self.timed.len() > self.max;
        full.then(|| self.timed.pop_first()).flatten()?.0.time()
    }
}

#[derive(Debug)]
struct Window<T> {
    entries: HashMap<CommandKey, (Millis, T)>,
    /// The oldest first.
    order: VecDeque<CommandKey>,
    max: usize,
    age: Millis,
}

impl<T> Window<T> {
    fn new(max: usize, age: Millis) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            max,
            age,
        }
    }

    fn get(&self, key: &CommandKey, now: Millis) -> Option<&T> {
        let (at, value) = self.entries.get(key)?;
        (now.saturating_sub(*at) <= self.age).then_some(value)
    }

    /// Inserts a value, unless the key has one that is not too old.
    fn insert(&mut self, key: CommandKey, value: T, now: Millis) {
        self.forget(now);
        if self.max == 0 || self.entries.contains_key(&key) {
            return;
        }
        while self.order.len() >= self.max {
            self.forget_oldest();
        }
        self.order.push_back(key);
        self.entries.insert(key, (now, value));
    }

    fn forget(&mut self, now: Millis) {
        while let Some((at, _)) = self.order.front().and_then(|key| self.entries.get(key)) {
            if now.saturating_sub(*at) <= self.age {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(key) = self.order.pop_front() {
            self.entries.remove(&key);
        }
    }
}

/// A compact key of sender and command id: the id as its number, the sender as 128 bits of a hash, the size of a public id. Ordered
/// by id, and so by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct CommandKey {
    id: u128,
    by: u128,
}

impl CommandKey {
    fn new(PersonId(by): &PersonId, id: &CommandId) -> Self {
        let by = CommandId::digest_bits(&Sha256::digest(by));
        Self { id: id.bits(), by }
    }

    fn time(&self) -> Option<Millis> {
        CommandId::from_bits(self.id).time()
    }
}

#[cfg(test)]
mod tests;
