//! A recording of a round: its seed and its input events, saved as a file and replayed by the same simulation.

use super::body::{Input, TICK_RATE};
use super::visibility::Names;
use super::world::{Event, MAX_BODIES, World};
use crate::apps::arena::wire::bytes::{DecodeError, Reader, Writer};
use crate::apps::arena::wire::{MAX_NAME_BYTES, ROUND_SECONDS};

/// Maximum size of a round's events in bytes: enough for a hundred players who steer ten times a second. Later events are not
/// recorded.
pub const MAX_EVENTS: usize = 3 << 20;
/// Maximum size of a file that a page reads, in bytes.
pub const MAX_FILE: usize = MAX_EVENTS + (64 << 10);
/// Maximum number of names in a file.
const MAX_NAMES: usize = 16 * MAX_BODIES;
const MAGIC: [u8; 8] = *b"arena 1\n";

const ENTER: u8 = 0;
const LEAVE: u8 = 1;
const STEER: u8 = 2;

/// Records a round while it runs.
#[derive(Debug)]
pub struct Recorder {
    seed: u64,
    events: Writer,
    /// The tick of the last event.
    last_tick: u32,
    /// The tick of the last checkpoint and the world's hash at it.
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
            last_tick: 0,
            ticks: 0,
            hash: 0,
            names: Vec::new(),
            full: false,
        }
    }

    pub fn add_name(&mut self, id: u16, name: &str) {
        if !name.is_empty() && self.names.len() < MAX_NAMES {
            self.names.push((id, name.to_owned()));
        }
    }

    /// Records the events of a step; `tick` is the world's tick before it.
    pub fn record(&mut self, tick: u32, events: &[Event]) {
        if self.full {
            return;
        }
        for event in events {
            let writer = &mut self.events;
            writer.varint(tick - self.last_tick.min(tick));
            self.last_tick = tick;
            let (kind, id, input) = match *event {
                Event::Enter(id) => (ENTER, id, None),
                Event::Leave(id) => (LEAVE, id, None),
                Event::Steer(id, input) => (STEER, id, Some(input)),
            };
            writer.byte(kind);
            writer.u16_le(id);
            if let Some(input) = input {
                writer.0.extend(input.pack());
            }
        }
    }

    /// Takes a checkpoint once a second: a file ends at the last checkpoint, so the world is hashed once per second instead of
    /// every tick.
    pub fn checkpoint(&mut self, world: &World) {
        if !self.full && world.tick.is_multiple_of(TICK_RATE) {
            (self.ticks, self.hash) = (world.tick, world.hash());
            self.full = self.events.0.len() > MAX_EVENTS;
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer(MAGIC.to_vec());
        writer.u64_le(self.seed);
        writer.varint(self.ticks);
        writer.u64_le(self.hash);
        writer.varint(self.names.len() as u32);
        for (id, name) in &self.names {
            writer.u16_le(*id);
            writer.text(name);
        }
        writer.0.extend(&self.events.0);
        writer.0
    }
}

/// A decoded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    pub seed: u64,
    pub ticks: u32,
    /// The hash of the world after those ticks.
    pub hash: u64,
    pub names: Names,
    pub events: Vec<(u32, Event)>,
}

impl Recording {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        if bytes.len() > MAX_FILE + MAX_NAMES * MAX_NAME_BYTES || reader.array()? != MAGIC {
            return Err(DecodeError);
        }
        let (seed, ticks, hash) = (reader.u64_le()?, reader.varint()?, reader.u64_le()?);
        if ticks > ROUND_SECONDS * TICK_RATE {
            return Err(DecodeError);
        }
        let mut names = Names::new();
        for _ in 0..reader.count(MAX_NAMES)? {
            names.insert(reader.u16_le()?, reader.text(MAX_NAME_BYTES)?.into());
        }
        let (mut events, mut tick) = (Vec::new(), 0_u32);
        while !reader.0.is_empty() {
            tick = tick.checked_add(reader.varint()?).ok_or(DecodeError)?;
            let (kind, id) = (reader.byte()?, reader.u16_le()?);
            let event = match kind {
                ENTER => Event::Enter(id),
                LEAVE => Event::Leave(id),
                STEER => Event::Steer(id, Input::unpack(reader.array()?).ok_or(DecodeError)?),
                _ => return Err(DecodeError),
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

/// A recording in playback.
#[derive(Debug)]
pub struct Replay {
    pub recording: Recording,
    pub world: World,
    next: usize,
}

impl Replay {
    pub fn new(recording: Recording) -> Self {
        Self {
            world: World::new(recording.seed),
            recording,
            next: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.world.tick >= self.recording.ticks
    }

    /// Whether the replay reached its end with the same world as the server.
    pub fn is_verified(&self) -> bool {
        self.is_over() && self.world.hash() == self.recording.hash
    }

    pub fn step(&mut self) {
        if self.is_over() {
            return;
        }
        let rest = self.recording.events.get(self.next..).unwrap_or_default();
        let due: Vec<Event> = rest
            .iter()
            .take_while(|(tick, _)| *tick <= self.world.tick)
            .map(|(_, event)| *event)
            .collect();
        self.next += due.len();
        self.world.step(&due);
    }

    /// Seeks to a tick. Seeking backwards replays from the start.
    pub fn seek(&mut self, tick: u32) {
        if tick < self.world.tick {
            self.world = World::new(self.recording.seed);
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
    use crate::apps::arena::model::body::MAX_THRUST;

    fn recorded(seed: u64, steers: &[(u32, u16, u8)]) -> (Recorder, World) {
        let (mut world, mut recorder) = (World::new(seed), Recorder::new(seed));
        recorder.add_name(1, "민지");
        for tick in 0..300 {
            let input = |heading| Input {
                heading,
                thrust: MAX_THRUST,
                boost: heading % 3 == 0,
            };
            let steered = steers
                .iter()
                .filter(|(at, ..)| *at == tick)
                .map(|(_, id, heading)| Event::Steer(*id, input(*heading)));
            let entered = (tick == 3)
                .then_some([Event::Enter(1), Event::Enter(2)])
                .into_iter()
                .flatten();
            let left = (tick == 250).then_some(Event::Leave(2));
            let events: Vec<Event> = entered.chain(steered).chain(left).collect();
            recorder.record(tick, &events);
            world.step(&events);
            recorder.checkpoint(&world);
        }
        (recorder, world)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn a_file_replays_the_same_round(seed: u64, mut steers in prop::collection::vec((0..300_u32, 1..4_u16, any::<u8>()), 0..60)) {
            steers.sort_unstable();
            let (recorder, world) = recorded(seed, &steers);
            let mut replay = Replay::new(Recording::decode(&recorder.encode()).unwrap());
            prop_assert_eq!(replay.recording.names.get(&1).map(|name| &**name), Some("민지"));
            replay.seek(300);
            prop_assert!(replay.is_verified());
            prop_assert_eq!(&replay.world, &world);
            replay.seek(100);
            prop_assert!(!replay.is_over() && replay.world.tick == 100);
            replay.seek(u32::MAX);
            prop_assert!(replay.is_verified());
        }

        #[test]
        fn invalid_bytes_are_rejected_without_a_panic(mut bytes: Vec<u8>) {
            prop_assert!(Recording::decode(&bytes).is_err());
            bytes.splice(0..0, MAGIC);
            let _ = Recording::decode(&bytes);
        }
    }
}
