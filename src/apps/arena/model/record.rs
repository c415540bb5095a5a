//! A round from its seed and what came from outside: to be kept as a file, and played again by the same simulation.

use super::body::{Intent, RATE};
use super::sight::Names;
use super::world::{Event, MAX_BODIES, World};
use crate::apps::arena::wire::bytes::{Garbled, Reader, Writer};
use crate::apps::arena::wire::{MAX_NAME_BYTES, ROUND_SECONDS};

/// Bytes of a round's events: a hundred players who change their minds ten times a second fit. What comes after is left out.
pub const MAX_EVENTS: usize = 3 << 20;
/// Bytes of a file that a page reads.
pub const MAX_FILE: usize = MAX_EVENTS + (64 << 10);
/// Names of a file.
const MAX_NAMES: usize = 16 * MAX_BODIES;
const MAGIC: [u8; 8] = *b"arena 1\n";

const ENTER: u8 = 0;
const LEAVE: u8 = 1;
const STEER: u8 = 2;

/// Writes while the round goes on.
#[derive(Debug)]
pub struct Recorder {
    seed: u64,
    events: Writer,
    /// The tick of the last event, and the ticks that are kept.
    last: u32,
    ticks: u32,
    hash: u64,
    names: Vec<(u16, String)>,
    full: bool,
}

impl Recorder {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            events: Writer::default(),
            last: 0,
            ticks: 0,
            hash: 0,
            names: Vec::new(),
            full: false,
        }
    }

    pub fn name(&mut self, id: u16, name: &str) {
        if !name.is_empty() && self.names.len() < MAX_NAMES {
            self.names.push((id, name.to_owned()));
        }
    }

    /// `tick`: the world's before the step that these events are for.
    pub fn note(&mut self, tick: u32, events: &[Event]) {
        if self.full {
            return;
        }
        for event in events {
            let to = &mut self.events;
            to.number(tick - self.last.min(tick));
            self.last = tick;
            let (kind, id, intent) = match *event {
                Event::Enter(id) => (ENTER, id, None),
                Event::Leave(id) => (LEAVE, id, None),
                Event::Steer(id, intent) => (STEER, id, Some(intent)),
            };
            to.byte(kind);
            to.pair(id);
            if let Some(intent) = intent {
                to.0.extend(intent.pack());
            }
        }
    }

    /// The step was made. The world is asked for its hash only now and then: a file ends at such a tick.
    pub fn stepped(&mut self, world: &World) {
        if !self.full && world.tick.is_multiple_of(RATE) {
            (self.ticks, self.hash) = (world.tick, world.hash());
            self.full = self.events.0.len() > MAX_EVENTS;
        }
    }

    pub fn file(&self) -> Vec<u8> {
        let mut to = Writer(MAGIC.to_vec());
        to.wide(self.seed);
        to.number(self.ticks);
        to.wide(self.hash);
        to.number(self.names.len() as u32);
        for (id, name) in &self.names {
            to.pair(*id);
            to.text(name);
        }
        to.0.extend(&self.events.0);
        to.0
    }
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub seed: u64,
    pub ticks: u32,
    /// Of the world after those ticks.
    pub hash: u64,
    pub names: Names,
    pub events: Vec<(u32, Event)>,
}

impl Record {
    pub fn read(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut from = Reader(bytes);
        if bytes.len() > MAX_FILE + MAX_NAMES * MAX_NAME_BYTES || from.take()? != MAGIC {
            return Err(Garbled);
        }
        let (seed, ticks, hash) = (from.wide()?, from.number()?, from.wide()?);
        if ticks > ROUND_SECONDS * RATE {
            return Err(Garbled);
        }
        let mut names = Names::new();
        for _ in 0..from.count(MAX_NAMES)? {
            names.insert(from.pair()?, from.text(MAX_NAME_BYTES)?.to_owned());
        }
        let (mut events, mut tick) = (Vec::new(), 0_u32);
        while !from.0.is_empty() {
            tick = tick.checked_add(from.number()?).ok_or(Garbled)?;
            let (kind, id) = (from.byte()?, from.pair()?);
            let event = match kind {
                ENTER => Event::Enter(id),
                LEAVE => Event::Leave(id),
                STEER => Event::Steer(id, Intent::unpack(from.take()?).ok_or(Garbled)?),
                _ => return Err(Garbled),
            };
            events.push((tick, event));
        }
        Ok(Self {
            seed,
            ticks,
            hash,
            names,
            events,
        })
    }
}

/// A record that is played.
#[derive(Debug)]
pub struct Replay {
    pub record: Record,
    pub world: World,
    next: usize,
}

impl Replay {
    pub fn new(record: Record) -> Self {
        Self {
            world: World::new(record.seed),
            record,
            next: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.world.tick >= self.record.ticks
    }

    /// At the end: is it the world that the server had?
    pub fn is_true(&self) -> bool {
        self.is_over() && self.world.hash() == self.record.hash
    }

    pub fn step(&mut self) {
        if self.is_over() {
            return;
        }
        let rest = self.record.events.get(self.next..).unwrap_or_default();
        let due: Vec<Event> = rest
            .iter()
            .take_while(|(tick, _)| *tick <= self.world.tick)
            .map(|(_, event)| *event)
            .collect();
        self.next += due.len();
        self.world.step(&due);
    }

    /// Back to a tick means from the beginning: the past follows from the seed.
    pub fn seek(&mut self, tick: u32) {
        if tick < self.world.tick {
            self.world = World::new(self.record.seed);
            self.next = 0;
        }
        while self.world.tick < tick && !self.is_over() {
            self.step();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apps::arena::model::body::FULL;

    fn recorded(seed: u64, steers: &[(u32, u16, u8)]) -> (Recorder, World) {
        let (mut world, mut recorder) = (World::new(seed), Recorder::new(seed));
        recorder.name(1, "민지");
        for tick in 0..300 {
            let intent = |heading| Intent {
                heading,
                push: FULL,
                boost: heading % 3 == 0,
            };
            let steered = steers
                .iter()
                .filter(|(at, ..)| *at == tick)
                .map(|(_, id, heading)| Event::Steer(*id, intent(*heading)));
            let entered = (tick == 3)
                .then_some([Event::Enter(1), Event::Enter(2)])
                .into_iter()
                .flatten();
            let left = (tick == 250).then_some(Event::Leave(2));
            let events: Vec<Event> = entered.chain(steered).chain(left).collect();
            recorder.note(tick, &events);
            world.step(&events);
            recorder.stepped(&world);
        }
        (recorder, world)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn a_file_plays_the_same_round(seed: u64, mut steers in prop::collection::vec((0..300_u32, 1..4_u16, any::<u8>()), 0..60)) {
            steers.sort_unstable();
            let (recorder, world) = recorded(seed, &steers);
            let mut replay = Replay::new(Record::read(&recorder.file()).unwrap());
            prop_assert_eq!(replay.record.names.get(&1).map(String::as_str), Some("민지"));
            replay.seek(300);
            prop_assert!(replay.is_true());
            prop_assert_eq!(&replay.world, &world);
            replay.seek(100);
            prop_assert!(!replay.is_over() && replay.world.tick == 100);
            replay.seek(u32::MAX);
            prop_assert!(replay.is_true());
        }

        #[test]
        fn garbage_is_no_file_and_no_panic(mut bytes: Vec<u8>) {
            prop_assert!(Record::read(&bytes).is_err());
            bytes.splice(0..0, MAGIC);
            let _ = Record::read(&bytes);
        }
    }
}
