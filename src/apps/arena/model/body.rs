//! One body: what it wants, how it moves, what it weighs. The browser moves its own body by the same `glide`, before the
//! server has answered. Lengths are sixteenths of a unit, times are ticks; whole numbers only.

use super::angle::{UNIT, direction};

/// The world is a square of 4,096 units: a place is exactly two `u16`.
pub const WORLD: i32 = 1 << 16;
/// Ticks of a second.
pub const RATE: u32 = 30;

/// What a new body weighs.
pub const BIRTH: u32 = 100;
/// Nobody grows beyond: the world would be too small.
pub const HEAVIEST: u32 = 20_000;
/// How hard a body pushes: a quarter, a half, three quarters, all.
pub const FULL: u8 = 4;
/// Breath for a boost: it lasts one and a half seconds, and comes back in four and a half.
pub const BREATH: u8 = 135;
const BREATH_SPENT: u8 = 3;
/// A boost begins with no less breath than this: it is no trembling.
const BREATH_LEAST: u8 = 15;

/// What a player wants now. All that a client may say of its body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Intent {
    pub heading: u8,
    /// 0 to [`FULL`].
    pub push: u8,
    pub boost: bool,
}

impl Intent {
    /// In two bytes.
    pub const fn pack(self) -> [u8; 2] {
        [self.heading, self.push | (self.boost as u8) << 3]
    }

    /// None of what nobody may want.
    pub fn unpack([heading, rest]: [u8; 2]) -> Option<Self> {
        let push = rest & 7;
        (push <= FULL && rest < 16).then_some(Self {
            heading,
            push,
            boost: rest & 8 != 0,
        })
    }
}

/// Where a body is, and how it goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Motion {
    pub x: i32,
    pub y: i32,
    pub vx: i32,
    pub vy: i32,
    pub breath: u8,
    pub boosting: bool,
}

/// Half of a body's width.
pub fn radius(mass: u32) -> i32 {
    (mass.min(HEAVIEST) as i32 * 656).isqrt()
}

/// The heavier, the slower.
pub fn top_speed(mass: u32) -> i32 {
    84 + 27_000 / (radius(mass) + 128)
}

/// One tick. What the body bumps into but the world's edge is the world's business.
pub fn glide(motion: &mut Motion, mass: u32, intent: Intent) {
    let pushes = intent.push > 0;
    let least = if motion.boosting { BREATH_SPENT } else { BREATH_LEAST };
    motion.boosting = intent.boost && pushes && motion.breath >= least;
    motion.breath = if motion.boosting {
        motion.breath - BREATH_SPENT
    } else {
        (motion.breath + 1).min(BREATH)
    };
    let mut speed = top_speed(mass) * i32::from(intent.push.min(FULL)) / i32::from(FULL);
    if motion.boosting {
        speed = speed * 9 / 5;
    }
    let (x, y) = direction(intent.heading);
    motion.vx += toward(motion.vx, x * speed / UNIT);
    motion.vy += toward(motion.vy, y * speed / UNIT);
    let (low, high) = edges(mass);
    (motion.x, motion.vx) = moved(motion.x, motion.vx, low, high);
    (motion.y, motion.vy) = moved(motion.y, motion.vy, low, high);
}

/// The least and the most of a body's coordinates.
pub fn edges(mass: u32) -> (i32, i32) {
    let radius = radius(mass);
    (radius, WORLD - 1 - radius)
}

/// A sixth of what is missing, at least one: a body glides.
fn toward(now: i32, wanted: i32) -> i32 {
    let missing = wanted - now;
    match missing / 6 {
        0 => missing.signum(),
        part => part,
    }
}

fn moved(at: i32, speed: i32, low: i32, high: i32) -> (i32, i32) {
    let there = at + speed;
    if (low..=high).contains(&there) {
        (there, speed)
    } else {
        (there.clamp(low, high), 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_light_are_quick_and_the_heavy_are_wide() {
        assert!(top_speed(BIRTH) > top_speed(1000) && top_speed(1000) > top_speed(HEAVIEST));
        assert_eq!(radius(BIRTH), 256);
        assert!(radius(HEAVIEST) * 8 < WORLD);
    }

    #[test]
    fn a_boost_ends_when_the_breath_does_and_begins_with_enough() {
        let mut motion = Motion {
            x: WORLD / 2,
            y: WORLD / 2,
            breath: BREATH,
            ..Motion::default()
        };
        let boost = Intent {
            heading: 0,
            push: FULL,
            boost: true,
        };
        let ticks = (0..100)
            .take_while(|_| {
                glide(&mut motion, BIRTH, boost);
                motion.boosting
            })
            .count();
        assert_eq!(ticks, 45);
        let again = (0..200).position(|_| {
            glide(&mut motion, BIRTH, boost);
            motion.boosting
        });
        assert_eq!(again, Some(14));
    }

    proptest! {
        #[test]
        fn intents_are_two_bytes_and_most_bytes_are_none(bytes in any::<[u8; 2]>()) {
            match Intent::unpack(bytes) {
                Some(intent) => prop_assert_eq!(intent.pack(), bytes),
                None => prop_assert!(bytes[1] & 7 > FULL || bytes[1] > 15),
            }
        }

        #[test]
        fn nobody_leaves_the_world_or_is_faster_than_allowed(mass in 1..=HEAVIEST, wants in prop::collection::vec(any::<(u8, u8, bool)>(), 1..300)) {
            let (low, high) = edges(mass);
            let mut motion = Motion { x: low, y: high, breath: BREATH, ..Motion::default() };
            for (heading, push, boost) in wants {
                glide(&mut motion, mass, Intent { heading, push: push % 5, boost });
                prop_assert!((low..=high).contains(&motion.x) && (low..=high).contains(&motion.y));
                let speed = (motion.vx * motion.vx + motion.vy * motion.vy).isqrt();
                prop_assert!(speed <= top_speed(mass) * 9 / 5 + 2, "{speed}");
            }
        }
    }
}
