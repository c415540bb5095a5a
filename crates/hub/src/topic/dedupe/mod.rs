//! Which commands were answered, and how: a command that comes again has no second effect and gets its first answer.
//! A command's id belongs to its sender: another person's use of the same id is another command.
//! Pure: the time comes in. Knows no log; what it holds is what the log keeps.
//!
//! # Ids that carry a time
//!
//! No id that carries a time ([`CommandId::time`]) has two effects, and none that was refused for good has one, whatever the
//! clock does and however often the topic sleeps or the process is killed:
//!
//! - The newest ids **by their own time**, so many of the accepted and as many of the refused, are known with their answers.
//!   Both are kept in the log, in the commit of their effect or before the refusal is told.
//! - `forgotten` is the newest time of an id that is no longer known. It never goes back: the log has one too, which it raises in
//!   the transaction that deletes an answer. An id that is not newer is refused, whether it was ever seen or not
//!   ([`Rejection::IdTooOld`] with `no_effect: false`): its sender looks at the topic and sends anew.
//! - An id above `forgotten` that is not known was never answered. If it is older than [`Bounds::age`] it is refused all the
//!   same, with `no_effect: true`: its sender can send it anew without looking. A topic that is awake forgets nothing by age, and
//!   what the log lets go by age raises `forgotten`: no step of the clock opens a way to a second effect.
//! - An id ahead of the clock by more than [`Bounds::ahead`] is refused: it would stay known for longer than it should. This
//!   refusal alone is not remembered, because such an id would be the last to be forgotten. Where `forgotten` lies ahead of a
//!   clock that was set back, ids just above it are taken, and refusals tell the time to use.
//!
//! Ids by time, not by arrival, because otherwise one id of 60 s ahead would take along every id of the last minute when
//! it is forgotten. For the same reason a refusal is not given for good while the known ones are all younger than
//! [`Bounds::young`]: `forgotten` would come close to the clock, and stop everybody. Whoever sends so many commands that are
//! refused is told that they are too fast.
//!
//! Commands of the server itself are judged by `forgotten` alone, because their ids carry the time of the event that caused
//! them, and the server may have been down for days since; forwards not even by that, because the log keeps one exactly until it has
//! had its effect. Those of programs have no limit of age: their ids may carry the times of
//! readings.
//!
//! # Ids without a time
//!
//! They are known within a window: the newest so many of the accepted and of the refused, for [`Bounds::age`]. Beyond it the
//! same id has its effect again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::decider::Millis;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Rejection};

/// How much is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of the accepted commands; of the refused ones as many again, so that refusals push no accepted command out. Twice:
    /// with a time in their ids, and without.
    pub known: usize,
    pub age: Millis,
    /// How far an id may be ahead of the clock.
    pub ahead: Millis,
    /// What is refused is not forgotten before.
    pub young: Millis,
}

/// The newest commands and their first answers.
#[derive(Debug)]
pub(crate) struct Dedupe {
    bounds: Bounds,
    accepted: Known<Seq>,
    refused: Known<Rejection>,
    /// The newest time of an id that is no longer known.
    forgotten: Option<Millis>,
}

/// What a command's id says before anybody looks at the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    Again(Answer),
    Refused(Rejection),
}

/// Whose command it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    /// By a request with a token: a device that was away for days posts what it measured then.
    Program,
    Server,
    /// A forward that the log keeps until it has had its effect: what is not known has had none.
    Outbox,
}

/// Whether a refusal is given for good, and so to be remembered.
pub(super) const fn is_final(why: &Rejection) -> bool {
    !why.may_retry() && !matches!(why, Rejection::IdTooNew { .. })
}

impl Dedupe {
    /// `forgotten`: as the log says.
    pub(crate) fn new(bounds: Bounds, forgotten: Option<Millis>) -> Self {
        Self {
            bounds,
            accepted: Known::new(bounds),
            refused: Known::new(bounds),
            forgotten,
        }
    }

    pub(crate) fn look(&self, by: &PersonId, id: &CommandId, now: Millis, sender: Sender) -> Verdict {
        let name = Name::of(by, id);
        if let Some(answer) = self.answer(&name, id, now) {
            return Verdict::Again(answer);
        }
        if sender == Sender::Outbox {
            return Verdict::New;
        }
        let Some(time) = id.time() else { return Verdict::New };
        let now_ms = self
            .forgotten
            .map_or(now, |forgotten| now.max(forgotten.saturating_add(1)));
        let too_old = |no_effect| Verdict::Refused(Rejection::IdTooOld { no_effect, now_ms });
        if self.forgotten.is_some_and(|forgotten| time <= forgotten) {
            return too_old(false);
        }
        if sender == Sender::Server {
            return Verdict::New;
        }
        if time > now.saturating_add(self.bounds.ahead).max(now_ms) {
            return Verdict::Refused(Rejection::IdTooNew { now_ms });
        }
        if sender == Sender::Client && time < now.saturating_sub(self.bounds.age) {
            return too_old(true);
        }
        Verdict::New
    }

    fn answer(&self, name: &Name, id: &CommandId, now: Millis) -> Option<Answer> {
        let accepted = self
            .accepted
            .get(name, id, now)
            .map(|seq| Answer::Accepted { seq: *seq });
        accepted.or_else(|| self.refused.get(name, id, now).cloned().map(Answer::Rejected))
    }

    /// Whether a refusal of this id may be given for good.
    pub(crate) fn may_refuse(&self, id: &CommandId, now: Millis) -> bool {
        let timed = &self.refused.timed;
        let full = timed.len() >= self.bounds.known;
        let oldest = timed.first_key_value().and_then(|(name, _)| name.time());
        let young = oldest.is_some_and(|oldest| oldest > now.saturating_sub(self.bounds.young));
        id.time().is_none() || !(full && young)
    }

    pub(crate) fn accepted(&mut self, by: &PersonId, id: &CommandId, seq: Seq, now: Millis) {
        let gone = self.accepted.put(Name::of(by, id), id, seq, now);
        self.forgotten = self.forgotten.max(gone);
    }

    /// A refusal that may turn into something else later is not remembered.
    pub(crate) fn refused(&mut self, by: &PersonId, id: &CommandId, why: &Rejection, now: Millis) {
        if is_final(why) {
            let gone = self.refused.put(Name::of(by, id), id, why.clone(), now);
            self.forgotten = self.forgotten.max(gone);
        }
    }
}

/// One kind of answers.
#[derive(Debug)]
struct Known<T> {
    /// By the time in the id, since that stands first in it.
    timed: BTreeMap<Name, T>,
    other: Window<T>,
    most: usize,
}

impl<T> Known<T> {
    fn new(bounds: Bounds) -> Self {
        Self {
            timed: BTreeMap::new(),
            other: Window::new(bounds.known, bounds.age),
            most: bounds.known,
        }
    }

    fn get(&self, name: &Name, id: &CommandId, now: Millis) -> Option<&T> {
        match id.time() {
            Some(_) => self.timed.get(name),
            None => self.other.get(name, now),
        }
    }

    /// The first stays. Returns the time of an id that is forgotten for it.
    fn put(&mut self, name: Name, id: &CommandId, value: T, now: Millis) -> Option<Millis> {
        if id.time().is_none() {
            self.other.put(name, value, now);
            return None;
        }
        self.timed.entry(name).or_insert(value);
        let full = self.timed.len() > self.most;
        full.then(|| self.timed.pop_first()).flatten()?.0.time()
    }
}

#[derive(Debug)]
struct Window<T> {
    known: HashMap<Name, (Millis, T)>,
    /// Oldest first.
    order: VecDeque<Name>,
    most: usize,
    age: Millis,
}

impl<T> Window<T> {
    fn new(most: usize, age: Millis) -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
            most,
            age,
        }
    }

    fn get(&self, name: &Name, now: Millis) -> Option<&T> {
        let (at, value) = self.known.get(name)?;
        (now.saturating_sub(*at) <= self.age).then_some(value)
    }

    /// The first stays, unless it is too old to be known.
    fn put(&mut self, name: Name, value: T, now: Millis) {
        self.forget(now);
        if self.most == 0 || self.known.contains_key(&name) {
            return;
        }
        while self.order.len() >= self.most {
            self.forget_oldest();
        }
        self.order.push_back(name);
        self.known.insert(name, (now, value));
    }

    fn forget(&mut self, now: Millis) {
        while let Some((at, _)) = self.order.front().and_then(|name| self.known.get(name)) {
            if now.saturating_sub(*at) <= self.age {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(name) = self.order.pop_front() {
            self.known.remove(&name);
        }
    }
}

/// Sender and id in a fraction of the memory: an id is the number that it writes, a sender is 128 bits of a hash, as many as
/// a public id has. Ordered by id, and so by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Name {
    id: u128,
    by: u128,
}

impl Name {
    fn of(PersonId(by): &PersonId, id: &CommandId) -> Self {
        let by = CommandId::digest_bits(&Sha256::digest(by));
        Self { id: id.bits(), by }
    }

    fn time(&self) -> Option<Millis> {
        CommandId::from_bits(self.id).time()
    }
}

#[cfg(test)]
mod tests;
