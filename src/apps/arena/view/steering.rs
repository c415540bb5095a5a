//! Steering by keys, mouse or touch: maps keyboard, pointer and touch state to the player's input. Pure.

use super::super::model::angle::heading;
use super::super::model::body::{Input, MAX_THRUST};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Up,
    Down,
    Left,
    Right,
    Boost,
}

impl Key {
    /// The key of a physical code (`KeyboardEvent.code`), independent of the layout.
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "ArrowUp" | "KeyW" => Self::Up,
            "ArrowDown" | "KeyS" => Self::Down,
            "ArrowLeft" | "KeyA" => Self::Left,
            "ArrowRight" | "KeyD" => Self::Right,
            "Space" => Self::Boost,
            _ => return None,
        })
    }
}

/// The state of the input devices.
#[derive(Debug, Default)]
pub struct Steering {
    keys: Vec<Key>,
    /// The pointer's position relative to the middle, in units of half the shorter side; cleared by the next key press.
    pointer: Option<(f64, f64)>,
    pointer_pressed: bool,
    /// The boost button on the screen.
    boost_button: bool,
    last_heading: u8,
}

/// The distance from the middle within which a pointer has no effect, and the one of full thrust.
const DEAD_ZONE: f64 = 0.06;
const FULL_THRUST_DISTANCE: f64 = 0.5;

impl Steering {
    pub fn set_key(&mut self, key: Key, down: bool) {
        self.keys.retain(|pressed| *pressed != key);
        if down {
            self.keys.push(key);
            if key != Key::Boost {
                self.pointer = None;
            }
        }
    }

    pub const fn set_pointer(&mut self, x: f64, y: f64) {
        self.pointer = Some((x, y));
    }

    pub const fn set_pointer_pressed(&mut self, pressed: bool) {
        self.pointer_pressed = pressed;
    }

    pub const fn set_boost_button(&mut self, pressed: bool) {
        self.boost_button = pressed;
    }

    /// Releases everything, as when the canvas loses the focus.
    pub fn release(&mut self) {
        *self = Self {
            last_heading: self.last_heading,
            ..Self::default()
        };
    }

    pub fn input(&mut self) -> Input {
        let pressed = |key: Key| i32::from(self.keys.contains(&key));
        let (dx, dy) = (
            pressed(Key::Right) - pressed(Key::Left),
            pressed(Key::Down) - pressed(Key::Up),
        );
        let thrust = match self.pointer {
            _ if (dx, dy) != (0, 0) => {
                self.last_heading = key_heading(dx, dy);
                MAX_THRUST
            }
            Some((x, y)) => {
                let distance = x.hypot(y);
                if distance > DEAD_ZONE {
                    self.last_heading = heading((x * 1000.0) as i32, (y * 1000.0) as i32);
                }
                pointer_thrust(distance)
            }
            None => 0,
        };
        Input {
            heading: self.last_heading,
            thrust,
            boost: self.pointer_pressed || self.boost_button || self.keys.contains(&Key::Boost),
        }
    }
}

/// The exact heading of the arrow keys; [`heading`] may return a neighbour of it.
const fn key_heading(dx: i32, dy: i32) -> u8 {
    match (dx, dy) {
        (1, 1) => 32,
        (0, 1) => 64,
        (-1, 1) => 96,
        (-1, 0) => 128,
        (-1, -1) => 160,
        (0, -1) => 192,
        (1, -1) => 224,
        _ => 0,
    }
}

fn pointer_thrust(distance: f64) -> u8 {
    if distance <= DEAD_ZONE {
        return 0;
    }
    ((distance / FULL_THRUST_DISTANCE * f64::from(MAX_THRUST)).ceil() as u8).clamp(1, MAX_THRUST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_steer_in_eight_directions_and_stop() {
        let mut steering = Steering::default();
        steering.set_key(Key::Right, true);
        assert_eq!(
            steering.input(),
            Input {
                heading: 0,
                thrust: MAX_THRUST,
                boost: false
            }
        );
        steering.set_key(Key::Down, true);
        steering.set_key(Key::Boost, true);
        assert_eq!(
            steering.input(),
            Input {
                heading: 32,
                thrust: MAX_THRUST,
                boost: true
            }
        );
        steering.set_key(Key::Right, false);
        assert_eq!(steering.input().heading, 64);
        steering.release();
        assert_eq!(
            steering.input(),
            Input {
                heading: 64,
                thrust: 0,
                boost: false
            }
        );
    }

    #[test]
    fn a_pointers_thrust_grows_with_its_distance_and_keys_override_it() {
        let mut steering = Steering::default();
        let mut at = |x: f64| {
            steering.set_pointer(x, 0.0);
            steering.input().thrust
        };
        assert_eq!([at(0.01), at(-0.1), at(0.3), at(0.9)], [0, 1, 3, MAX_THRUST]);
        steering.set_key(Key::Up, true);
        assert_eq!((steering.input().heading, steering.input().thrust), (192, MAX_THRUST));
        steering.set_key(Key::Up, false);
        assert_eq!(steering.input().thrust, 0);
    }
}
