//! Which commands were answered, and how: a command that comes again has no second effect and gets its first answer.
//! A command's id belongs to its sender: who guesses the id of somebody else's command, or uses it first, changes nothing for them.
//! Pure: the time comes in. Knows no log; what it holds of accepted commands is what the log kept with them.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use super::decider::Millis;
use crate::wire::cursor::Seq;
use crate::wire::person::PersonId;
use crate::wire::session::{Answer, CommandId, Rejection};

/// How much a window holds; what either bound says may go, goes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub accepted: usize,
    /// Of the rejected ones. They have their own, so that rejections push no accepted command out.
    pub rejected: usize,
    pub age: Millis,
}

/// The newest commands and their first answers.
#[derive(Debug)]
pub struct Dedupe {
    accepted: Window<Seq>,
    rejected: Window<Rejection>,
}

impl Dedupe {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            accepted: Window::new(bounds.accepted, bounds.age),
            rejected: Window::new(bounds.rejected, bounds.age),
        }
    }

    pub fn first(&self, by: &PersonId, id: &CommandId, now: Millis) -> Option<Answer> {
        let name = Name::of(by, id)?;
        let accepted = self.accepted.get(&name, now).map(|seq| Answer::Accepted { seq: *seq });
        accepted.or_else(|| self.rejected.get(&name, now).cloned().map(Answer::Rejected))
    }

    pub fn accepted(&mut self, by: &PersonId, id: &CommandId, seq: Seq, now: Millis) {
        if let Some(name) = Name::of(by, id) {
            self.accepted.put(name, seq, now);
        }
    }

    /// A rejection that may turn into something else later is not remembered.
    pub fn rejected(&mut self, by: &PersonId, id: &CommandId, why: &Rejection, now: Millis) {
        if !why.may_retry()
            && let Some(name) = Name::of(by, id)
        {
            self.rejected.put(name, why.clone(), now);
        }
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
/// a public id has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    by: u128,
    id: u128,
}

impl Name {
    fn of(PersonId(by): &PersonId, id: &CommandId) -> Option<Self> {
        let hash = Sha256::digest(by);
        let by = hash.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        let id = u128::from_str_radix(id.as_str(), 16).ok()?;
        Some(Self { by, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds {
        accepted: 2,
        rejected: 1,
        age: 100,
    };

    fn me() -> PersonId {
        PersonId("0a".to_owned())
    }

    fn id(number: u128) -> CommandId {
        CommandId::from_random(number)
    }

    #[test]
    fn a_command_that_comes_again_gets_its_first_answer() {
        let mut dedupe = Dedupe::new(BOUNDS);
        dedupe.accepted(&me(), &id(1), 7, 0);
        dedupe.accepted(&me(), &id(1), 8, 1);
        assert_eq!(dedupe.first(&me(), &id(1), 1), Some(Answer::Accepted { seq: 7 }));
        assert_eq!(dedupe.first(&me(), &id(2), 1), None);
    }

    #[test]
    fn final_rejections_are_known_and_push_nothing_accepted_out() {
        let mut dedupe = Dedupe::new(BOUNDS);
        dedupe.accepted(&me(), &id(1), 7, 0);
        let refused = Rejection::refused("no");
        for number in 2..20 {
            dedupe.rejected(&me(), &id(number), &refused, 0);
        }
        dedupe.rejected(&me(), &id(30), &Rejection::Unavailable, 0);
        assert_eq!(dedupe.first(&me(), &id(1), 0), Some(Answer::Accepted { seq: 7 }));
        assert_eq!(dedupe.first(&me(), &id(19), 0), Some(Answer::Rejected(refused)));
        assert_eq!(dedupe.first(&me(), &id(18), 0), None);
        assert_eq!(dedupe.first(&me(), &id(30), 0), None);
    }

    #[test]
    fn an_id_is_its_senders_alone() {
        let mut dedupe = Dedupe::new(BOUNDS);
        let [other, third] = ["0b", "0c"].map(|id| PersonId(id.to_owned()));
        dedupe.accepted(&other, &id(1), 7, 0);
        dedupe.rejected(&other, &id(2), &Rejection::refused("no"), 0);
        assert_eq!(dedupe.first(&me(), &id(1), 0), None);
        assert_eq!(dedupe.first(&me(), &id(2), 0), None);
        dedupe.accepted(&me(), &id(1), 9, 0);
        let answers = [other, me(), third].map(|by| dedupe.first(&by, &id(1), 0));
        let accepted = |seq| Some(Answer::Accepted { seq });
        assert_eq!(answers, [accepted(7), accepted(9), None]);
    }

    proptest! {
        /// The newest `accepted` within the age are known with their first answer, and no more is held than the bounds say.
        #[test]
        fn the_newest_are_known(most in 0usize..6, age in 0u64..40, steps in prop::collection::vec((0u128..12, 0u64..10), 0..60)) {
            let mut dedupe = Dedupe::new(Bounds { accepted: most, rejected: 0, age });
            let mut said: Vec<(u128, Seq, Millis)> = Vec::new();
            let mut now = 0;
            for (seq, (number, later)) in (1..).zip(steps) {
                now += later;
                said.retain(|(_, _, at)| now - at <= age);
                if dedupe.first(&me(), &id(number), now).is_none() {
                    said.push((number, seq, now));
                    if said.len() > most { said.remove(0); }
                }
                dedupe.accepted(&me(), &id(number), seq, now);
                for number in 0..12 {
                    let expected = said.iter().find(|known| known.0 == number).map(|known| Answer::Accepted { seq: known.1 });
                    prop_assert_eq!(dedupe.first(&me(), &id(number), now), expected);
                }
                prop_assert!(dedupe.accepted.order.len() <= most);
                prop_assert_eq!(dedupe.accepted.order.len(), dedupe.accepted.known.len());
            }
        }
    }
}
