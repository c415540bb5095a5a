//! The world of a round: bodies, motes and thorns, and what one tick does to them. Everything follows from the seed and the
//! events, in whole numbers: the same on the server and in a browser. Knows no clock, no name and no network.

use serde::Serialize;

use super::body::{BIRTH, BREATH, HEAVIEST, Intent, Motion, RATE, WORLD, edges, glide, radius};
use super::bots;
use super::random::Random;

/// Bodies at once, bots among them: each viewer's part of them is looked for in every tick.
pub const MAX_BODIES: usize = 256;
/// Motes that lie about by themselves, and all that there is room for.
pub const AMBIENT: usize = 1200;
pub const MAX_MOTES: usize = 1600;
pub const THORNS: usize = 28;
/// Half of a thorn's width: who is smaller passes beneath.
pub const THORN: i32 = 44 * 16;
/// Ids from here on are bots.
pub const FIRST_BOT: u16 = 0x8000;
/// A new body can neither eat nor be eaten for so many ticks.
pub const SHIELD: u16 = 3 * RATE as u16;
const SHIELD_AFTER_BURST: u16 = RATE as u16;
/// What a mote is worth: most of them, and one of twelve.
pub const COMMON: u8 = 5;
pub const RARE: u8 = 25;
/// How far beside itself a body reaches for a mote.
const REACH: i32 = 8 * 16;
const SPAWNS: usize = 6;
const SHARDS: u32 = 14;

/// What comes into the world from outside, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Enter(u16),
    Leave(u16),
    Steer(u16, Intent),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    pub id: u16,
    pub mass: u32,
    /// The most that it weighed: its score.
    pub peak: u32,
    pub shield: u16,
    pub intent: Intent,
    pub motion: Motion,
}

impl Body {
    pub const fn is_bot(&self) -> bool {
        self.id >= FIRST_BOT
    }

    /// A quarter heavier, and neither is shielded.
    pub const fn may_eat(&self, other: &Self) -> bool {
        self.shield == 0 && other.shield == 0 && can_eat(self.mass, other.mass)
    }
}

pub const fn can_eat(mass: u32, other: u32) -> bool {
    mass * 4 >= other * 5
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mote {
    /// Its place among the motes; a new one may take it when it is free.
    pub id: u16,
    pub x: u16,
    pub y: u16,
    pub value: u8,
}

/// The end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    pub id: u16,
    pub by: u16,
    pub peak: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    pub tick: u32,
    random: Random,
    /// By id.
    bodies: Vec<Body>,
    motes: Vec<Option<Mote>>,
    thorns: Vec<(u16, u16)>,
    bots_made: u16,
}

/// Where the thorns of a seed stand: nobody needs to be told.
pub fn thorns(seed: u64) -> Vec<(u16, u16)> {
    let mut random = Random(seed ^ 0x7468_6f72_6e73);
    let mut place = || random.between(4 * THORN, WORLD - 4 * THORN) as u16;
    (0..THORNS).map(|_| (place(), place())).collect()
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            tick: 0,
            random: Random(seed),
            bodies: Vec::new(),
            motes: vec![None; MAX_MOTES],
            thorns: thorns(seed),
            bots_made: 0,
        };
        world.spawn_motes(AMBIENT);
        world
    }

    pub fn bodies(&self) -> &[Body] {
        &self.bodies
    }

    pub fn body(&self, id: u16) -> Option<&Body> {
        self.place(id).ok().and_then(|at| self.bodies.get(at))
    }

    pub fn motes(&self) -> impl Iterator<Item = &Mote> {
        self.motes.iter().flatten()
    }

    pub fn thorns(&self) -> &[(u16, u16)] {
        &self.thorns
    }

    /// One tick. Says who was eaten in it.
    pub fn step(&mut self, events: &[Event]) -> Vec<Fall> {
        events.iter().for_each(|event| self.happen(*event));
        self.keep_bots();
        for body in &mut self.bodies {
            glide(&mut body.motion, body.mass, body.intent);
            body.shield = body.shield.saturating_sub(1);
        }
        self.gather();
        self.prick();
        let falls = self.devour();
        if self.tick.is_multiple_of(RATE) {
            self.waste();
        }
        self.spawn_motes(SPAWNS);
        for body in &mut self.bodies {
            body.peak = body.peak.max(body.mass);
        }
        self.tick += 1;
        falls
    }

    fn place(&self, id: u16) -> Result<usize, usize> {
        self.bodies.binary_search_by_key(&id, |body| body.id)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Enter(id) => self.enter(id),
            Event::Leave(id) => {
                if let Ok(at) = self.place(id) {
                    self.bodies.remove(at);
                }
            }
            Event::Steer(id, intent) => {
                if let Ok(at) = self.place(id)
                    && let Some(body) = self.bodies.get_mut(at)
                {
                    body.intent = intent;
                }
            }
        }
    }

    fn enter(&mut self, id: u16) {
        let Err(at) = self.place(id) else { return };
        if self.bodies.len() >= MAX_BODIES {
            return;
        }
        let (x, y) = self.clearing();
        let motion = Motion {
            x,
            y,
            breath: BREATH,
            ..Motion::default()
        };
        let body = Body {
            id,
            mass: BIRTH,
            peak: BIRTH,
            shield: SHIELD,
            intent: Intent::default(),
            motion,
        };
        self.bodies.insert(at, body);
    }

    /// Of six places the one that is farthest from any body.
    fn clearing(&mut self) -> (i32, i32) {
        let mut best = (-1, (WORLD / 2, WORLD / 2));
        for _ in 0..6 {
            let (low, high) = edges(HEAVIEST);
            let at = (self.random.between(low, high), self.random.between(low, high));
            let far = |body: &Body| distance2(at, (body.motion.x, body.motion.y));
            let room = self.bodies.iter().map(far).min().unwrap_or(i64::MAX);
            if room > best.0 {
                best = (room, at);
            }
        }
        best.1
    }

    /// As many as keep a few players company; one more or one less in half a second. Then each wants something.
    fn keep_bots(&mut self) {
        if self.tick.is_multiple_of(RATE / 2) {
            let bots = self.bodies.iter().filter(|body| body.is_bot()).count();
            let wanted = bots::wanted(self.bodies.len() - bots);
            if bots < wanted {
                self.bots_made = self.bots_made.wrapping_add(1) % FIRST_BOT;
                self.enter(FIRST_BOT + self.bots_made);
            } else {
                let smallest = self
                    .bodies
                    .iter()
                    .filter(|body| body.is_bot())
                    .min_by_key(|body| body.mass);
                let sated = self.bodies.iter().find(|body| body.is_bot() && body.mass > bots::SATED);
                let leaves = if bots > wanted { smallest } else { sated };
                if let Some(id) = leaves.map(|body| body.id) {
                    self.happen(Event::Leave(id));
                }
            }
        }
        for at in 0..self.bodies.len() {
            let chance = self.random.draw();
            if let Some(intent) = bots::want(self, at, chance)
                && let Some(body) = self.bodies.get_mut(at)
            {
                body.intent = intent;
            }
        }
    }

    fn gather(&mut self) {
        for body in &mut self.bodies {
            let reach = radius(body.mass) + REACH;
            let (x, y) = (body.motion.x, body.motion.y);
            for slot in &mut self.motes {
                let Some(mote) = slot else { continue };
                let (dx, dy) = (i32::from(mote.x) - x, i32::from(mote.y) - y);
                if dx.abs() <= reach && dy.abs() <= reach && dx * dx + dy * dy <= reach * reach {
                    body.mass = (body.mass + u32::from(mote.value)).min(HEAVIEST);
                    *slot = None;
                }
            }
        }
    }

    /// Who is wider than a thorn and covers its middle loses a third, which lies about then.
    fn prick(&mut self) {
        for at in 0..self.bodies.len() {
            let Some(body) = self.bodies.get_mut(at) else { continue };
            let wide = radius(body.mass);
            let middle = (body.motion.x, body.motion.y);
            let covers = |(x, y): &(u16, u16)| {
                distance2((i32::from(*x), i32::from(*y)), middle) < i64::from(wide) * i64::from(wide)
            };
            if body.shield > 0 || wide <= THORN || !self.thorns.iter().any(covers) {
                continue;
            }
            let lost = body.mass / 3;
            body.mass -= lost;
            body.shield = SHIELD_AFTER_BURST;
            (body.motion.vx, body.motion.vy) = (-body.motion.vx, -body.motion.vy);
            self.scatter(middle, wide, lost);
        }
    }

    fn devour(&mut self) -> Vec<Fall> {
        let mut falls: Vec<Fall> = Vec::new();
        for hunter in 0..self.bodies.len() {
            for prey in 0..self.bodies.len() {
                let (Some(eats), Some(eaten)) = (self.bodies.get(hunter), self.bodies.get(prey)) else {
                    continue;
                };
                let gone = |id| falls.iter().any(|fall| fall.id == id);
                if hunter == prey || !eats.may_eat(eaten) || !covers(eats, eaten) || gone(eats.id) || gone(eaten.id) {
                    continue;
                }
                let (id, peak, gained) = (eaten.id, eaten.peak, eaten.mass / 5 * 4);
                falls.push(Fall { id, by: eats.id, peak });
                if let Some(eats) = self.bodies.get_mut(hunter) {
                    eats.mass = (eats.mass + gained).min(HEAVIEST);
                }
            }
        }
        self.bodies.retain(|body| falls.iter().all(|fall| fall.id != body.id));
        falls
    }

    /// Weight is work: in a second a body loses a four-hundredth of what it has beyond its birth.
    fn waste(&mut self) {
        for body in &mut self.bodies {
            body.mass -= body.mass.saturating_sub(BIRTH) / 400;
        }
    }

    fn spawn_motes(&mut self, most: usize) {
        let missing = AMBIENT.saturating_sub(self.motes().count()).min(most);
        for _ in 0..missing {
            let at = (self.random.between(0, WORLD - 1), self.random.between(0, WORLD - 1));
            let value = if self.random.below(12) == 0 { RARE } else { COMMON };
            self.lay(at, value);
        }
    }

    fn scatter(&mut self, (x, y): (i32, i32), wide: i32, lost: u32) {
        let value = (lost / SHARDS).clamp(1, 255) as u8;
        for _ in 0..SHARDS {
            let (dx, dy) = super::angle::direction(self.random.below(256) as u8);
            let far = self.random.between(wide + 2 * REACH, 2 * wide + 4 * REACH);
            let at = |from: i32, along: i32| (from + along * far / super::angle::UNIT).clamp(0, WORLD - 1);
            self.lay((at(x, dx), at(y, dy)), value);
        }
    }

    /// Where there is a free slot; else the world has enough.
    fn lay(&mut self, (x, y): (i32, i32), value: u8) {
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

    /// The same for the same world, and hardly for another.
    pub fn hash(&self) -> u64 {
        let mut hash = Fnv::default();
        hash.add([u64::from(self.tick), self.random.0, u64::from(self.bots_made)]);
        for Body {
            id,
            mass,
            peak,
            shield,
            intent,
            motion,
        } in &self.bodies
        {
            let [heading, rest] = intent.pack();
            hash.add([*id, *shield, u16::from(heading), u16::from(rest)].map(u64::from));
            hash.add([*mass, *peak, u32::from(motion.breath), u32::from(motion.boosting)].map(u64::from));
            hash.add([motion.x, motion.y, motion.vx, motion.vy].map(|part| part as u64));
        }
        for Mote { id, x, y, value } in self.motes() {
            hash.add([*id, *x, *y, u16::from(*value)].map(u64::from));
        }
        hash.0
    }
}

/// The eaten one's middle, and some more of it, lies within.
fn covers(eats: &Body, eaten: &Body) -> bool {
    let reach = i64::from(radius(eats.mass) - radius(eaten.mass) / 3);
    let apart = distance2((eats.motion.x, eats.motion.y), (eaten.motion.x, eaten.motion.y));
    apart < reach * reach
}

pub fn distance2(a: (i32, i32), b: (i32, i32)) -> i64 {
    let (dx, dy) = (i64::from(a.0 - b.0), i64::from(a.1 - b.1));
    dx * dx + dy * dy
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add<const N: usize>(&mut self, parts: [u64; N]) {
        for byte in parts.iter().flat_map(|part| part.to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apps::arena::model::body::FULL;

    /// What a game of some players is like, from one number.
    fn script(seed: u64, ticks: u32) -> Vec<Vec<Event>> {
        let mut random = Random(seed);
        let event = |random: &mut Random| {
            let id = 1 + random.below(8) as u16;
            match random.below(20) {
                0 => Event::Enter(id),
                1 if random.below(10) == 0 => Event::Leave(id),
                _ => Event::Steer(
                    id,
                    Intent {
                        heading: random.below(256) as u8,
                        push: FULL,
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

    /// The hash of a minute's game, which every build for every machine must come to. When the rules change, it does.
    #[test]
    fn the_same_seed_and_events_are_the_same_world_everywhere() {
        let script = script(11, 1800);
        let world = play(42, &script);
        assert_eq!(world, play(42, &script));
        assert_ne!(world.hash(), play(43, &script).hash());
        assert_eq!(format!("{:016x}", world.hash()), GOLDEN);
    }

    const GOLDEN: &str = "d209f3af0dab0692";

    #[test]
    fn the_heavier_eats_the_lighter_and_says_so() {
        let mut world = World::new(1);
        world.step(&[Event::Enter(1), Event::Enter(2)]);
        for (at, mass) in [(0, 500), (1, 100)] {
            let body = &mut world.bodies[at];
            (body.mass, body.shield, body.motion.x, body.motion.y) = (mass, 0, 30_000, 30_000);
        }
        let mut shielded = world.clone();
        shielded.bodies[1].shield = 5;
        assert_eq!(shielded.step(&[]), []);
        let falls = world.step(&[]);
        assert_eq!(
            falls,
            [Fall {
                id: 2,
                by: 1,
                peak: 100
            }]
        );
        assert!(world.body(2).is_none() && world.body(1).unwrap().mass >= 580);
    }

    #[test]
    fn a_thorn_pricks_the_wide_and_lets_the_small_pass() {
        let mut world = World::new(1);
        world.step(&[Event::Enter(1)]);
        let (x, y) = world.thorns[0];
        for (mass, pricked) in [(200, false), (3000, true)] {
            let body = &mut world.bodies[0];
            (body.mass, body.shield, body.motion.x, body.motion.y) = (mass, 0, x.into(), y.into());
            world.prick();
            assert_eq!(world.bodies[0].mass < mass, pricked, "{mass}");
        }
    }

    #[test]
    fn bots_keep_a_few_company_and_leave_when_people_come() {
        let mut world = World::new(5);
        let bots = |world: &World| world.bodies.iter().filter(|body| body.is_bot()).count();
        (0..300).for_each(|_| drop(world.step(&[])));
        assert_eq!(bots(&world), bots::wanted(0));
        let people: Vec<_> = (1..=20).map(Event::Enter).collect();
        world.step(&people);
        (0..300).for_each(|_| drop(world.step(&[])));
        assert_eq!(bots(&world), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Whatever happens, a world stays a world.
        #[test]
        fn the_bounds_hold(seed in any::<u64>(), ticks in 1..400_u32) {
            let mut world = World::new(seed);
            for events in script(!seed, ticks) {
                for Fall { id, by, .. } in world.step(&events) {
                    prop_assert!(world.body(id).is_none() && id != by);
                }
                prop_assert!(world.bodies.len() <= MAX_BODIES && world.motes.len() == MAX_MOTES);
                for pair in world.bodies.windows(2) { prop_assert!(pair[0].id < pair[1].id); }
                for body in &world.bodies {
                    prop_assert!((1..=HEAVIEST).contains(&body.mass) && body.peak >= body.mass);
                    prop_assert!((0..WORLD).contains(&body.motion.x) && (0..WORLD).contains(&body.motion.y));
                }
            }
        }
    }
}
