//! One body's input, motion and mass. The browser predicts its own body with the same [`step_motion`] before the server answers.
//! Fixed-point: lengths in 1/16 unit, times in ticks.

use super::angle::{UNIT, direction};

/// The side of the square world, 4,096 units: a position is exactly two `u16`.
pub const WORLD_SIZE: i32 = 1 << 16;
/// Ticks per second.
pub const TICK_RATE: u32 = 30;

/// The mass of a new body.
pub const START_MASS: u32 = 100;
/// The largest mass; a larger body would not fit the world.
pub const MAX_MASS: u32 = 20_000;
/// Full thrust; each step is a quarter of the top speed.
pub const MAX_THRUST: u8 = 4;
/// Boost energy: enough for 1.5 s of boost, refilled in 4.5 s.
pub const MAX_ENERGY: u8 = 135;
const BOOST_COST: u8 = 3;
/// The energy needed to start a boost; hysteresis, so that a boost does not toggle at zero energy.
const MIN_BOOST_ENERGY: u8 = 15;

/// A player's input for one tick: the only thing a client sends about its body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Input {
    pub heading: u8,
    /// From 0 to [`MAX_THRUST`].
    pub thrust: u8,
    pub boost: bool,
}

impl Input {
    /// Packs the input into two bytes.
    pub const fn pack(self) -> [u8; 2] {
        [self.heading, self.thrust | (self.boost as u8) << 3]
    }

    /// Unpacks two bytes; `None` if they are not a valid input.
    pub fn unpack([heading, rest]: [u8; 2]) -> Option<Self> {
        let thrust = rest & 7;
        (thrust <= MAX_THRUST && rest < 16).then_some(Self {
            heading,
            thrust,
            boost: rest & 8 != 0,
        })
    }
}

/// A body's position, velocity and boost state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Motion {
    pub x: i32,
    pub y: i32,
    pub vx: i32,
    pub vy: i32,
    pub energy: u8,
    pub boosting: bool,
}

/// A body's radius.
pub fn radius(mass: u32) -> i32 {
    (mass.min(MAX_MASS) as i32 * 656).isqrt()
}

/// A body's top speed; heavier bodies are slower.
pub fn top_speed(mass: u32) -> i32 {
    84 + 27_000 / (radius(mass) + 128)
}

/// Advances a body by one tick. Handles the world's edge; `World` handles other collisions.
pub fn step_motion(motion: &mut Motion, mass: u32, input: Input) {
    let moving = input.thrust > 0;
    let required = if motion.boosting { BOOST_COST } else { MIN_BOOST_ENERGY };
    motion.boosting = input.boost && moving && motion.energy >= required;
    motion.energy = if motion.boosting {
        motion.energy - BOOST_COST
    } else {
        (motion.energy + 1).min(MAX_ENERGY)
    };
    let mut speed = top_speed(mass) * i32::from(input.thrust.min(MAX_THRUST)) / i32::from(MAX_THRUST);
    if motion.boosting {
        speed = speed * 9 / 5;
    }
    let (x, y) = direction(input.heading);
    motion.vx += ease(motion.vx, x * speed / UNIT);
    motion.vy += ease(motion.vy, y * speed / UNIT);
    let (low, high) = bounds(mass);
    (motion.x, motion.vx) = move_axis(motion.x, motion.vx, low, high);
    (motion.y, motion.vy) = move_axis(motion.y, motion.vy, low, high);
}

/// The smallest and the largest coordinate of a body's center.
pub fn bounds(mass: u32) -> (i32, i32) {
    let radius = radius(mass);
    (radius, WORLD_SIZE - 1 - radius)
}

/// Velocity change per tick: one sixth of the difference, at least 1.
fn ease(now: i32, target: i32) -> i32 {
    let difference = target - now;
    match difference / 6 {
        0 => difference.signum(),
        part => part,
    }
}

fn move_axis(position: i32, speed: i32, low: i32, high: i32) -> (i32, i32) {
    let next = position + speed;
    if (low..=high).contains(&next) {
        (next, speed)
    } else {
        (next.clamp(low, high), 0)
    }
}

pub fn distance_squared(a: (i32, i32), b: (i32, i32)) -> i64 {
    let (dx, dy) = (i64::from(a.0 - b.0), i64::from(a.1 - b.1));
    dx * dx + dy * dy
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn light_bodies_are_fast_and_heavy_bodies_are_wide() {
        assert!(top_speed(START_MASS) > top_speed(1000) && top_speed(1000) > top_speed(MAX_MASS));
        assert_eq!(radius(START_MASS), 256);
        assert!(radius(MAX_MASS) * 8 < WORLD_SIZE);
    }

    #[test]
    fn a_boost_ends_without_energy_and_starts_with_enough() {
        let mut motion = Motion {
            x: WORLD_SIZE / 2,
            y: WORLD_SIZE / 2,
            energy: MAX_ENERGY,
            ..Motion::default()
        };
        let boost = Input {
            heading: 0,
            thrust: MAX_THRUST,
            boost: true,
        };
        let ticks = (0..100)
            .take_while(|_| {
                step_motion(&mut motion, START_MASS, boost);
                motion.boosting
            })
            .count();
        assert_eq!(ticks, 45);
        let recharge = (0..200).position(|_| {
            step_motion(&mut motion, START_MASS, boost);
            motion.boosting
        });
        assert_eq!(recharge, Some(14));
    }

    proptest! {
        #[test]
        fn inputs_round_trip_through_two_bytes_and_invalid_bytes_are_rejected(bytes in any::<[u8; 2]>()) {
            match Input::unpack(bytes) {
                Some(input) => prop_assert_eq!(input.pack(), bytes),
                None => prop_assert!(bytes[1] & 7 > MAX_THRUST || bytes[1] > 15),
            }
        }

        #[test]
        fn bodies_stay_in_the_world_and_below_top_speed(mass in 1..=MAX_MASS, inputs in prop::collection::vec(any::<(u8, u8, bool)>(), 1..300)) {
            let (low, high) = bounds(mass);
            let mut motion = Motion { x: low, y: high, energy: MAX_ENERGY, ..Motion::default() };
            for (heading, thrust, boost) in inputs {
                step_motion(&mut motion, mass, Input { heading, thrust: thrust % 5, boost });
                prop_assert!((low..=high).contains(&motion.x) && (low..=high).contains(&motion.y));
                let speed = (motion.vx * motion.vx + motion.vy * motion.vy).isqrt();
                prop_assert!(speed <= top_speed(mass) * 9 / 5 + 2, "{speed}");
            }
        }
    }
}
