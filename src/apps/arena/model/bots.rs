//! The bots' steering: flee from heavier bodies, else chase lighter ones, else move towards the nearest mote. Pure; deliberately
//! beatable.

use super::angle::heading;
use super::body::{Input, MAX_ENERGY, MAX_THRUST, distance_squared};
use super::world::{Body, World, can_eat};

/// Minimum number of bodies in the world, including players; bots fill up to it.
const MIN_BODIES: usize = 7;
/// Heavier bots are removed, so that a few players never face a giant bot.
pub const MAX_BOT_MASS: u32 = 1600;
/// Ticks between two decisions of a bot.
const DECISION_TICKS: u32 = 6;
/// The distances within which a bot flees, chases and collects motes.
const FLEE_RANGE: i32 = 300 * 16;
const CHASE_RANGE: i32 = 380 * 16;
const MOTE_RANGE: i32 = 500 * 16;

/// The number of bots for this many players; there are bots even if there are only spectators.
pub const fn bot_count(people: usize) -> usize {
    MIN_BODIES.saturating_sub(if people == 0 { 1 } else { people })
}

/// The bot's new input; `None` keeps the current one.
pub fn next_input(world: &World, index: usize, chance: u64) -> Option<Input> {
    let body = world.bodies().get(index).filter(|body| body.is_bot())?;
    if !(world.tick + u32::from(body.id)).is_multiple_of(DECISION_TICKS) {
        return None;
    }
    let me = (body.motion.x, body.motion.y);
    let others = || world.bodies().iter().filter(|other| other.id != body.id);
    let nearest = |range: i32, matches: &dyn Fn(&&Body) -> bool| {
        let distance = |other: &&Body| distance_squared(me, (other.motion.x, other.motion.y));
        let found = others().filter(matches).min_by_key(distance)?;
        (distance(&found) < i64::from(range) * i64::from(range))
            .then_some((found.motion.x - me.0, found.motion.y - me.1))
    };
    if let Some((dx, dy)) = nearest(FLEE_RANGE, &|other| can_eat(other.mass, body.mass) && other.shield == 0) {
        return Some(steer_to(-dx, -dy, MAX_THRUST, chance.is_multiple_of(2)));
    }
    if let Some((dx, dy)) = nearest(CHASE_RANGE, &|other| body.may_eat(other)) {
        let boost = body.motion.energy == MAX_ENERGY && chance.is_multiple_of(3);
        return Some(steer_to(dx, dy, MAX_THRUST - 1, boost || body.motion.boosting));
    }
    let cost = |(x, y, value): &(i32, i32, u8)| distance_squared(me, (*x, *y)) / i64::from(*value);
    let motes = world
        .motes()
        .map(|mote| (i32::from(mote.x), i32::from(mote.y), mote.value));
    let near = motes.filter(|(x, y, _)| (x - me.0).abs() < MOTE_RANGE && (y - me.1).abs() < MOTE_RANGE);
    Some(match near.min_by_key(cost) {
        Some((x, y, _)) => steer_to(x - me.0, y - me.1, MAX_THRUST - 1, false),
        None => Input {
            heading: (chance >> 8) as u8,
            thrust: MAX_THRUST - 2,
            boost: false,
        },
    })
}

fn steer_to(dx: i32, dy: i32, thrust: u8, boost: bool) -> Input {
    Input {
        heading: heading(dx, dy),
        thrust,
        boost,
    }
}
