//! What a bot wants: away from who could eat it, after whom it could eat, and else to the next mote. Pure, and not too good.

use super::angle::heading;
use super::body::{BREATH, FULL, Intent};
use super::world::{Body, World, can_eat, distance2};

/// Bodies that a lone player finds at least, itself among them.
const COMPANY: usize = 7;
/// A bot that weighs more leaves: a few people should not face a giant that nobody steers.
pub const SATED: u32 = 1600;
/// A bot thinks again after so many ticks.
const THOUGHT: u32 = 6;
/// How far it looks: for danger, for prey, for motes.
const FEAR: i32 = 300 * 16;
const HUNGER: i32 = 380 * 16;
const SIGHT: i32 = 500 * 16;

/// How many bots there should be with so many people; also when only somebody watches.
pub const fn wanted(people: usize) -> usize {
    COMPANY.saturating_sub(if people == 0 { 1 } else { people })
}

/// None: goes on as before.
pub fn want(world: &World, at: usize, chance: u64) -> Option<Intent> {
    let body = world.bodies().get(at).filter(|body| body.is_bot())?;
    if !(world.tick + u32::from(body.id)).is_multiple_of(THOUGHT) {
        return None;
    }
    let me = (body.motion.x, body.motion.y);
    let others = || world.bodies().iter().filter(|other| other.id != body.id);
    let nearest = |near: i32, fits: &dyn Fn(&&Body) -> bool| {
        let apart = |other: &&Body| distance2(me, (other.motion.x, other.motion.y));
        let found = others().filter(fits).min_by_key(apart)?;
        (apart(&found) < i64::from(near) * i64::from(near)).then_some((found.motion.x - me.0, found.motion.y - me.1))
    };
    if let Some((dx, dy)) = nearest(FEAR, &|other| can_eat(other.mass, body.mass) && other.shield == 0) {
        return Some(go(-dx, -dy, FULL, chance.is_multiple_of(2)));
    }
    if let Some((dx, dy)) = nearest(HUNGER, &|other| body.may_eat(other)) {
        let boost = body.motion.breath == BREATH && chance.is_multiple_of(3);
        return Some(go(dx, dy, FULL - 1, boost || body.motion.boosting));
    }
    let worth = |(x, y, value): &(i32, i32, u8)| distance2(me, (*x, *y)) / i64::from(*value);
    let motes = world
        .motes()
        .map(|mote| (i32::from(mote.x), i32::from(mote.y), mote.value));
    let near = motes.filter(|(x, y, _)| (x - me.0).abs() < SIGHT && (y - me.1).abs() < SIGHT);
    Some(match near.min_by_key(worth) {
        Some((x, y, _)) => go(x - me.0, y - me.1, FULL - 1, false),
        None => Intent {
            heading: (chance >> 8) as u8,
            push: FULL - 2,
            boost: false,
        },
    })
}

fn go(dx: i32, dy: i32, push: u8, boost: bool) -> Intent {
    Intent {
        heading: heading(dx, dy),
        push,
        boost,
    }
}
