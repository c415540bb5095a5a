//! Who steers which body: the seat that holds it, what its player wants next, and how long it waits for one who is gone.
//! Knows neither world nor wire.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::apps::arena::model::body::Intent;
use crate::apps::arena::model::world::{Event, FIRST_BOT};
use crate::apps::arena::wire::HELD_SECONDS;
use duplex_protocol::person::{Person, PersonId};

/// Bodies of people at once; each costs every viewer near it some bytes in every tick.
pub const MAX_PLAYERS: usize = 200;
/// Intents that wait for their ticks: one message of them. Beyond the second bound the client's clock runs ahead, or a
/// network let go of what it held: the oldest are skipped, so that a body does what its player wants now.
const MAX_WAITING: usize = 15;
const CALM: usize = 4;
const HURRIED: usize = 8;
/// Ticks without a word after which a body pushes no more.
const SILENT: u32 = 30;

/// One seat, for as long as the server runs.
pub type SeatNumber = u64;

#[derive(Debug)]
pub struct Pilot {
    pub person: Person,
    /// None: gone since then, and may come back.
    pub seat: Result<SeatNumber, Instant>,
    /// With their numbers.
    waiting: VecDeque<(u32, Intent)>,
    pub acked: u32,
    steers: Intent,
    silent: u32,
}

/// By the body's id.
#[derive(Debug, Default)]
pub struct Pilots {
    by_id: BTreeMap<u16, Pilot>,
    last_id: u16,
}

impl Pilots {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn ids(&self) -> impl Iterator<Item = u16> {
        self.by_id.keys().copied()
    }

    pub fn get(&self, id: u16) -> Option<&Pilot> {
        self.by_id.get(&id)
    }

    pub fn remove(&mut self, id: u16) -> Option<Pilot> {
        self.by_id.remove(&id)
    }

    pub fn of(&mut self, person: &PersonId) -> Option<(u16, &mut Pilot)> {
        let found = self.by_id.iter_mut().find(|(_, pilot)| pilot.person.id == *person);
        found.map(|(id, pilot)| (*id, pilot))
    }

    /// None: there are as many as there may be.
    pub fn add(&mut self, person: Person, seat: SeatNumber) -> Option<u16> {
        if self.by_id.len() >= MAX_PLAYERS {
            return None;
        }
        loop {
            self.last_id = self.last_id % (FIRST_BOT - 1) + 1;
            if !self.by_id.contains_key(&self.last_id) {
                break;
            }
        }
        let pilot = Pilot {
            person,
            seat: Ok(seat),
            waiting: VecDeque::new(),
            acked: 0,
            steers: Intent::default(),
            silent: 0,
        };
        self.by_id.insert(self.last_id, pilot);
        Some(self.last_id)
    }

    /// The seat is given back; its body waits a while.
    pub fn leave(&mut self, seat: SeatNumber) {
        for pilot in self.by_id.values_mut().filter(|pilot| pilot.seat == Ok(seat)) {
            pilot.seat = Err(Instant::now());
            pilot.waiting.clear();
        }
    }

    /// Bodies whose player did not come back in time.
    pub fn lapsed(&self) -> Vec<u16> {
        let held = Duration::from_secs(HELD_SECONDS.into());
        let lapsed = |pilot: &Pilot| matches!(pilot.seat, Err(since) if since.elapsed() >= held);
        let found = self.by_id.iter().filter(|(_, pilot)| lapsed(pilot));
        found.map(|(id, _)| *id).collect()
    }

    /// What the seat that holds the body wants. Numbers ascend: what was heard before, or comes from another seat, is nothing.
    pub fn hear(&mut self, id: u16, seat: SeatNumber, first: u32, intents: &[Intent]) {
        let Some(pilot) = self.by_id.get_mut(&id).filter(|pilot| pilot.seat == Ok(seat)) else {
            return;
        };
        for (number, intent) in (first..=u32::MAX).zip(intents) {
            let last = pilot.waiting.back().map_or(pilot.acked, |(last, _)| *last);
            if number > last {
                pilot.waiting.push_back((number, *intent));
            }
        }
        while pilot.waiting.len() > MAX_WAITING {
            pilot.waiting.pop_front();
        }
    }

    /// Gives the body to this seat; says from whom it was taken.
    pub fn take(pilot: &mut Pilot, seat: SeatNumber) -> Option<SeatNumber> {
        if pilot.seat == Ok(seat) {
            return None;
        }
        let before = std::mem::replace(&mut pilot.seat, Ok(seat));
        pilot.waiting.clear();
        // The client that comes numbers from one on.
        pilot.acked = 0;
        before.ok()
    }

    /// One tick: of each pilot the next intent, if it is another than the last.
    pub fn steer(&mut self) -> Vec<Event> {
        let steered = self.by_id.iter_mut().filter_map(|(id, pilot)| {
            let wanted = pilot.next();
            (wanted != pilot.steers).then(|| {
                pilot.steers = wanted;
                Event::Steer(*id, wanted)
            })
        });
        steered.collect()
    }

    /// A new world knows nothing of what was wanted.
    pub fn begin_anew(&mut self) {
        for pilot in self.by_id.values_mut() {
            pilot.steers = Intent::default();
        }
    }
}

impl Pilot {
    fn next(&mut self) -> Intent {
        if self.waiting.len() > HURRIED {
            self.waiting.drain(..self.waiting.len() - CALM);
        }
        if let Some((number, intent)) = self.waiting.pop_front() {
            (self.acked, self.silent) = (number, 0);
            return intent;
        }
        self.silent = self.silent.saturating_add(1);
        if self.seat.is_err() || self.silent > SILENT {
            return Intent::default();
        }
        self.steers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::arena::model::body::FULL;

    fn person(id: u8) -> Person {
        Person {
            id: PersonId(format!("{id:016x}")),
            name: String::new(),
        }
    }

    fn to(heading: u8) -> Intent {
        Intent {
            heading,
            push: FULL,
            boost: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn intents_have_their_ticks_in_order_and_once() {
        let mut pilots = Pilots::default();
        let id = pilots.add(person(1), 7).unwrap();
        pilots.hear(id, 8, 1, &[to(9)]);
        assert_eq!(pilots.steer(), [], "another seat steers nothing");
        pilots.hear(id, 7, 1, &[to(1), to(2)]);
        pilots.hear(id, 7, 2, &[to(200), to(3)]);
        let steered: Vec<_> = (0..4).flat_map(|_| pilots.steer()).collect();
        assert_eq!(steered, [1, 2, 3].map(|heading| Event::Steer(id, to(heading))));
        assert_eq!(pilots.get(id).unwrap().acked, 3);
        pilots.hear(id, 7, u32::MAX, &[to(4), to(5)]);
        assert_eq!(pilots.steer(), [Event::Steer(id, to(4))]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_hurries_is_caught_up_with_and_who_is_silent_stops() {
        let mut pilots = Pilots::default();
        let id = pilots.add(person(1), 7).unwrap();
        let many: Vec<_> = (1..=15).map(to).collect();
        pilots.hear(id, 7, 1, &many);
        assert_eq!(pilots.steer(), [Event::Steer(id, to(12))]);
        let later: Vec<_> = (0..100).flat_map(|_| pilots.steer()).collect();
        assert_eq!(later.last(), Some(&Event::Steer(id, Intent::default())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_twenty_seconds_and_is_taken_back() {
        let mut pilots = Pilots::default();
        let id = pilots.add(person(1), 7).unwrap();
        pilots.leave(7);
        tokio::time::advance(Duration::from_secs(19)).await;
        assert!(pilots.lapsed().is_empty());
        let (same, pilot) = pilots.of(&person(1).id).unwrap();
        assert_eq!(Pilots::take(pilot, 9), None);
        assert_eq!((same, pilot.seat), (id, Ok(9)));
        pilots.leave(8);
        assert!(pilots.lapsed().is_empty());
        pilots.leave(9);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(pilots.lapsed(), [id]);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_only_so_many_players() {
        let mut pilots = Pilots::default();
        for seat in 0..MAX_PLAYERS as u64 {
            assert!(pilots.add(person(0), seat).is_some());
        }
        assert_eq!(pilots.add(person(0), 999), None);
    }
}
