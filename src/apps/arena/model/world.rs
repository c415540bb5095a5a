//! The world of a round: bodies, motes and thorns, and the simulation of one tick. It is deterministic: the seed and the events
//! determine it, with integer arithmetic, on server and client. Independent of clock, names and network.

use serde::Serialize;

use super::body::{
    Input, MAX_ENERGY, MAX_MASS, Motion, START_MASS, TICK_RATE, WORLD_SIZE, bounds, distance_squared, radius,
    step_motion,
};
use super::bots;
use super::hash::Fnv;
use super::position_index::PositionIndex;
use super::random::Random;

/// Maximum number of bodies, bots included; every tick searches them for each viewer.
pub const MAX_BODIES: usize = 256;
/// The number of motes that the world refills to.
pub const MAX_AMBIENT_MOTES: usize = 1200;
/// Maximum number of motes, including motes scattered by bursting bodies.
pub const MAX_MOTES: usize = 1600;
pub const THORN_COUNT: usize = 28;
/// A thorn's radius; smaller bodies are unaffected.
pub const THORN_RADIUS: i32 = 44 * 16;
/// The first id of bots; players have lower ones.
pub const FIRST_BOT: u16 = 0x8000;
/// Ticks for which a new body can neither eat nor be eaten.
pub const SHIELD_TICKS: u16 = 3 * TICK_RATE as u16;
const BURST_SHIELD_TICKS: u16 = TICK_RATE as u16;
/// The mass of a common mote, and of a rare one: one in twelve.
pub const COMMON_VALUE: u8 = 5;
pub const RARE_VALUE: u8 = 25;
/// The distance beyond its radius at which a body collects motes.
const MOTE_REACH: i32 = 8 * 16;
/// Maximum number of motes that a tick adds.
const MOTES_PER_TICK: usize = 6;
/// The number of motes into which lost mass scatters.
const SCATTER_COUNT: u32 = 14;

/// An input of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Enter(u16),
    Leave(u16),
    Steer(u16, Input),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    pub id: u16,
    pub mass: u32,
    /// The body's largest mass so far: its score.
    pub peak: u32,
    pub shield: u16,
    pub input: Input,
    pub motion: Motion,
}

impl Body {
    pub const fn is_bot(&self) -> bool {
        self.id >= FIRST_BOT
    }

    /// Whether this body is a quarter heavier and neither is shielded.
    pub const fn may_eat(&self, other: &Self) -> bool {
        self.shield == 0 && other.shield == 0 && can_eat(self.mass, other.mass)
    }
}

pub const fn can_eat(mass: u32, other: u32) -> bool {
    mass * 4 >= other * 5
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mote {
    /// The mote's slot, which is reused once it is free.
    pub id: u16,
    pub x: u16,
    pub y: u16,
    pub value: u8,
}

/// The end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    pub id: u16,
    pub by: u16,
    pub peak: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    pub tick: u32,
    random: Random,
    /// Sorted by id.
    bodies: Vec<Body>,
    motes: Vec<Option<Mote>>,
    thorns: Vec<(u16, u16)>,
    bots_spawned: u16,
}

/// The thorns of a seed: clients compute them, so they are never sent.
pub fn thorns(seed: u64) -> Vec<(u16, u16)> {
    let mut random = Random(seed ^ 0x7468_6f72_6e73);
    let mut coordinate = || random.between(4 * THORN_RADIUS, WORLD_SIZE - 4 * THORN_RADIUS) as u16;
    (0..THORN_COUNT).map(|_| (coordinate(), coordinate())).collect()
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            tick: 0,
            random: Random(seed),
            bodies: Vec::new(),
            motes: vec![None; MAX_MOTES],
            thorns: thorns(seed),
            bots_spawned: 0,
        };
        world.spawn_motes(MAX_AMBIENT_MOTES);
        world
    }

    pub fn bodies(&self) -> &[Body] {
        &self.bodies
    }

    pub fn body(&self, id: u16) -> Option<&Body> {
        self.index_of(id).ok().and_then(|at| self.bodies.get(at))
    }

    pub fn motes(&self) -> impl Iterator<Item = &Mote> + Clone {
        self.motes.iter().flatten()
    }

    pub fn thorns(&self) -> &[(u16, u16)] {
        &self.thorns
    }

    /// Advances the world by one tick; returns the bodies that were eaten.
    pub fn step(&mut self, events: &[Event]) -> Vec<Death> {
        events.iter().for_each(|event| self.apply(*event));
        self.adjust_bots();
        for body in &mut self.bodies {
            step_motion(&mut body.motion, body.mass, body.input);
            body.shield = body.shield.saturating_sub(1);
        }
        self.collect_motes();
        self.apply_thorns();
        let deaths = self.eat();
        if self.tick.is_multiple_of(TICK_RATE) {
            self.decay_mass();
        }
        self.spawn_motes(MOTES_PER_TICK);
        for body in &mut self.bodies {
            body.peak = body.peak.max(body.mass);
        }
        self.tick += 1;
        deaths
    }

    fn index_of(&self, id: u16) -> Result<usize, usize> {
        self.bodies.binary_search_by_key(&id, |body| body.id)
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Enter(id) => self.enter(id),
            Event::Leave(id) => {
                if let Ok(at) = self.index_of(id) {
                    self.bodies.remove(at);
                }
            }
            Event::Steer(id, input) => {
                if let Ok(at) = self.index_of(id)
                    && let Some(body) = self.bodies.get_mut(at)
                {
                    body.input = input;
                }
            }
        }
    }

    fn enter(&mut self, id: u16) {
        let Err(at) = self.index_of(id) else { return };
        if self.bodies.len() >= MAX_BODIES {
            return;
        }
        let (x, y) = self.spawn_point();
        let motion = Motion {
            x,
            y,
            energy: MAX_ENERGY,
            ..Motion::default()
        };
        let body = Body {
            id,
            mass: START_MASS,
            peak: START_MASS,
            shield: SHIELD_TICKS,
            input: Input::default(),
            motion,
        };
        self.bodies.insert(at, body);
    }

    /// The one of six random positions that is farthest from any body.
    fn spawn_point(&mut self) -> (i32, i32) {
        let mut best = (-1, (WORLD_SIZE / 2, WORLD_SIZE / 2));
        for _ in 0..6 {
            let (low, high) = bounds(MAX_MASS);
            let at = (self.random.between(low, high), self.random.between(low, high));
            let distance = |body: &Body| distance_squared(at, (body.motion.x, body.motion.y));
            let clearance = self.bodies.iter().map(distance).min().unwrap_or(i64::MAX);
            if clearance > best.0 {
                best = (clearance, at);
            }
        }
        best.1
    }

    /// Adds or removes at most one bot every half second, to keep the world populated; then steers all bots.
    fn adjust_bots(&mut self) {
        if self.tick.is_multiple_of(TICK_RATE / 2) {
            let bots = self.bodies.iter().filter(|body| body.is_bot()).count();
            let target = bots::bot_count(self.bodies.len() - bots);
            if bots < target {
                self.bots_spawned = self.bots_spawned.wrapping_add(1) % FIRST_BOT;
                self.enter(FIRST_BOT + self.bots_spawned);
            } else {
                let smallest = self
                    .bodies
                    .iter()
                    .filter(|body| body.is_bot())
                    .min_by_key(|body| body.mass);
                let overweight = self
                    .bodies
                    .iter()
                    .find(|body| body.is_bot() && body.mass > bots::MAX_BOT_MASS);
                let leaving = if bots > target { smallest } else { overweight };
                if let Some(id) = leaving.map(|body| body.id) {
                    self.apply(Event::Leave(id));
                }
            }
        }
        for at in 0..self.bodies.len() {
            let chance = self.random.next_u64();
            if let Some(input) = bots::next_input(self, at, chance)
                && let Some(body) = self.bodies.get_mut(at)
            {
                body.input = input;
            }
        }
    }

    fn collect_motes(&mut self) {
        let positions = self.motes().map(|mote| (mote.id.into(), (mote.x, mote.y)));
        let index = PositionIndex::new(self.motes.len(), positions);
        for body in &mut self.bodies {
            let reach = radius(body.mass) + MOTE_REACH;
            let (x, y) = (body.motion.x, body.motion.y);
            for slot in index.near((x, y), reach) {
                let Some(slot) = self.motes.get_mut(slot) else { continue };
                let Some(mote) = slot else { continue };
                let (dx, dy) = (i32::from(mote.x) - x, i32::from(mote.y) - y);
                if dx.abs() <= reach && dy.abs() <= reach && dx * dx + dy * dy <= reach * reach {
                    body.mass = (body.mass + u32::from(mote.value)).min(MAX_MASS);
                    *slot = None;
                }
            }
        }
    }

    /// A body larger than a thorn that covers its center scatters a third of its mass.
    fn apply_thorns(&mut self) {
        for at in 0..self.bodies.len() {
            let Some(body) = self.bodies.get_mut(at) else { continue };
            let size = radius(body.mass);
            let middle = (body.motion.x, body.motion.y);
            let covers = |(x, y): &(u16, u16)| {
                distance_squared((i32::from(*x), i32::from(*y)), middle) < i64::from(size) * i64::from(size)
            };
            if body.shield > 0 || size <= THORN_RADIUS || !self.thorns.iter().any(covers) {
                continue;
            }
            let lost = body.mass / 3;
            body.mass -= lost;
            body.shield = BURST_SHIELD_TICKS;
            (body.motion.vx, body.motion.vy) = (-body.motion.vx, -body.motion.vy);
            self.scatter(middle, size, lost);
        }
    }

    fn eat(&mut self) -> Vec<Death> {
        let mut deaths: Vec<Death> = Vec::new();
        for hunter in 0..self.bodies.len() {
            for prey in 0..self.bodies.len() {
                let (Some(eater), Some(eaten)) = (self.bodies.get(hunter), self.bodies.get(prey)) else {
                    continue;
                };
                let is_dead = |id| deaths.iter().any(|death| death.id == id);
                if hunter == prey
                    || !eater.may_eat(eaten)
                    || !covers(eater, eaten)
                    || is_dead(eater.id)
                    || is_dead(eaten.id)
                {
                    continue;
                }
                let (id, peak, gained) = (eaten.id, eaten.peak, eaten.mass / 5 * 4);
                deaths.push(Death { id, by: eater.id, peak });
                if let Some(eater) = self.bodies.get_mut(hunter) {
                    eater.mass = (eater.mass + gained).min(MAX_MASS);
                }
            }
        }
        self.bodies
            .retain(|body| deaths.iter().all(|death| death.id != body.id));
        deaths
    }

    /// Every second a body loses a four-hundredth of its mass above [`START_MASS`].
    fn decay_mass(&mut self) {
        for body in &mut self.bodies {
            body.mass -= body.mass.saturating_sub(START_MASS) / 400;
        }
    }

    fn spawn_motes(&mut self, max: usize) {
        let missing = MAX_AMBIENT_MOTES.saturating_sub(self.motes().count()).min(max);
        for _ in 0..missing {
            let at = (
                self.random.between(0, WORLD_SIZE - 1),
                self.random.between(0, WORLD_SIZE - 1),
            );
            let value = if self.random.below(12) == 0 {
                RARE_VALUE
            } else {
                COMMON_VALUE
            };
            self.place_mote(at, value);
        }
    }

    fn scatter(&mut self, (x, y): (i32, i32), size: i32, lost: u32) {
        let value = (lost / SCATTER_COUNT).clamp(1, 255) as u8;
        for _ in 0..SCATTER_COUNT {
            let (dx, dy) = super::angle::direction(self.random.below(256) as u8);
            let distance = self.random.between(size + 2 * MOTE_REACH, 2 * size + 4 * MOTE_REACH);
            let at = |from: i32, along: i32| (from + along * distance / super::angle::UNIT).clamp(0, WORLD_SIZE - 1);
            self.place_mote((at(x, dx), at(y, dy)), value);
        }
    }

    /// Adds a mote if a slot is free.
    fn place_mote(&mut self, (x, y): (i32, i32), value: u8) {
        if let Some(id) = self.motes.iter().position(Option::is_none)
            && let Some(slot) = self.motes.get_mut(id)
        {
            *slot = Some(Mote {
                id: id as u16,
                x: x as u16,
                y: y as u16,
                value,
            });
        }
    }

    /// A hash of the whole state.
    pub fn hash(&self) -> u64 {
        let mut hash = Fnv::default();
        hash.add([u64::from(self.tick), self.random.0, u64::from(self.bots_spawned)]);
        for Body {
            id,
            mass,
            peak,
            shield,
            input,
            motion,
        } in &self.bodies
        {
            let [heading, rest] = input.pack();
            hash.add([*id, *shield, u16::from(heading), u16::from(rest)].map(u64::from));
            hash.add([*mass, *peak, u32::from(motion.energy), u32::from(motion.boosting)].map(u64::from));
            hash.add([motion.x, motion.y, motion.vx, motion.vy].map(|part| part as u64));
        }
        for Mote { id, x, y, value } in self.motes() {
            hash.add([*id, *x, *y, u16::from(*value)].map(u64::from));
        }
        hash.0
    }
}

/// Whether the eater covers the other body past its center.
fn covers(eater: &Body, eaten: &Body) -> bool {
    let reach = i64::from(radius(eater.mass) - radius(eaten.mass) / 3);
    let distance = distance_squared((eater.motion.x, eater.motion.y), (eaten.motion.x, eaten.motion.y));
    distance < reach * reach
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apps::arena::model::body::MAX_THRUST;

    /// The events of a game of some players, from a seed.
    fn script(seed: u64, ticks: u32) -> Vec<Vec<Event>> {
        let mut random = Random(seed);
        let event = |random: &mut Random| {
            let id = 1 + random.below(8) as u16;
            match random.below(20) {
                0 => Event::Enter(id),
                1 if random.below(10) == 0 => Event::Leave(id),
                _ => Event::Steer(
                    id,
                    Input {
                        heading: random.below(256) as u8,
                        thrust: MAX_THRUST,
                        boost: random.below(4) == 0,
                    },
                ),
            }
        };
        (0..ticks)
            .map(|_| (0..random.below(4)).map(|_| event(&mut random)).collect())
            .collect()
    }

    fn play(seed: u64, script: &[Vec<Event>]) -> World {
        let mut world = World::new(seed);
        for events in script {
            world.step(events);
        }
        world
    }

    /// The hash of a minute's game must be the same in every build on every machine. Update it when the rules change.
    #[test]
    fn the_same_seed_and_events_make_the_same_world() {
        let script = script(11, 1800);
        let world = play(42, &script);
        assert_eq!(world, play(42, &script));
        assert_ne!(world.hash(), play(43, &script).hash());
        assert_eq!(format!("{:016x}", world.hash()), GOLDEN);
    }

    const GOLDEN: &str = "d209f3af0dab0692";

    #[test]
    fn a_heavier_body_eats_a_lighter_one() {
        let mut world = World::new(1);
        world.step(&[Event::Enter(1), Event::Enter(2)]);
        for (at, mass) in [(0, 500), (1, 100)] {
            let body = &mut world.bodies[at];
            (body.mass, body.shield, body.motion.x, body.motion.y) = (mass, 0, 30_000, 30_000);
        }
        let mut shielded = world.clone();
        shielded.bodies[1].shield = 5;
        assert_eq!(shielded.step(&[]), []);
        let deaths = world.step(&[]);
        assert_eq!(
            deaths,
            [Death {
                id: 2,
                by: 1,
                peak: 100
            }]
        );
        assert!(world.body(2).is_none() && world.body(1).unwrap().mass >= 580);
    }

    #[test]
    fn a_thorn_bursts_wide_bodies_and_lets_small_ones_pass() {
        let mut world = World::new(1);
        world.step(&[Event::Enter(1)]);
        let (x, y) = world.thorns[0];
        for (mass, burst) in [(200, false), (3000, true)] {
            let body = &mut world.bodies[0];
            (body.mass, body.shield, body.motion.x, body.motion.y) = (mass, 0, x.into(), y.into());
            world.apply_thorns();
            assert_eq!(world.bodies[0].mass < mass, burst, "{mass}");
        }
    }

    #[test]
    fn bots_join_few_players_and_leave_for_many() {
        let mut world = World::new(5);
        let bots = |world: &World| world.bodies.iter().filter(|body| body.is_bot()).count();
        (0..300).for_each(|_| drop(world.step(&[])));
        assert_eq!(bots(&world), bots::bot_count(0));
        let people: Vec<_> = (1..=20).map(Event::Enter).collect();
        world.step(&people);
        (0..300).for_each(|_| drop(world.step(&[])));
        assert_eq!(bots(&world), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// No sequence of events breaks the world's invariants.
        #[test]
        fn the_bounds_hold(seed in any::<u64>(), ticks in 1..400_u32) {
            let mut world = World::new(seed);
            for events in script(!seed, ticks) {
                for Death { id, by, .. } in world.step(&events) {
                    prop_assert!(world.body(id).is_none() && id != by);
                }
                prop_assert!(world.bodies.len() <= MAX_BODIES && world.motes.len() == MAX_MOTES);
                for pair in world.bodies.windows(2) { prop_assert!(pair[0].id < pair[1].id); }
                for body in &world.bodies {
                    prop_assert!((1..=MAX_MASS).contains(&body.mass) && body.peak >= body.mass);
                    prop_assert!((0..WORLD_SIZE).contains(&body.motion.x) && (0..WORLD_SIZE).contains(&body.motion.y));
                }
            }
        }
    }
}
