//! What the player wants, from keys, a mouse or fingers. Pure: events come in as plain values.

use super::super::model::angle::heading;
use super::super::model::body::{FULL, Intent};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Up,
    Down,
    Left,
    Right,
    Boost,
}

impl Key {
    /// By the key's place on the keyboard: the same for every layout.
    pub fn of(code: &str) -> Option<Self> {
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

#[derive(Debug, Default)]
pub struct Steering {
    held: Vec<Key>,
    /// Where the pointer is from the middle, as parts of the shorter half; used until a key is.
    pointer: Option<(f64, f64)>,
    pressed: bool,
    /// The button on the screen.
    button: bool,
    last: u8,
}

/// So near the middle a pointer wants nothing, and so far it wants all.
const STILL: f64 = 0.06;
const ALL: f64 = 0.5;

impl Steering {
    pub fn key(&mut self, key: Key, down: bool) {
        self.held.retain(|held| *held != key);
        if down {
            self.held.push(key);
            if key != Key::Boost {
                self.pointer = None;
            }
        }
    }

    pub const fn point(&mut self, x: f64, y: f64) {
        self.pointer = Some((x, y));
    }

    pub const fn press(&mut self, pressed: bool) {
        self.pressed = pressed;
    }

    pub const fn boost(&mut self, button: bool) {
        self.button = button;
    }

    /// The player looks elsewhere.
    pub fn release(&mut self) {
        *self = Self {
            last: self.last,
            ..Self::default()
        };
    }

    pub fn intent(&mut self) -> Intent {
        let held = |key: Key| i32::from(self.held.contains(&key));
        let (dx, dy) = (held(Key::Right) - held(Key::Left), held(Key::Down) - held(Key::Up));
        let push = match self.pointer {
            _ if (dx, dy) != (0, 0) => {
                self.last = of_keys(dx, dy);
                FULL
            }
            Some((x, y)) => {
                let far = x.hypot(y);
                if far > STILL {
                    self.last = heading((x * 1000.0) as i32, (y * 1000.0) as i32);
                }
                pushed(far)
            }
            None => 0,
        };
        Intent {
            heading: self.last,
            push,
            boost: self.pressed || self.button || self.held.contains(&Key::Boost),
        }
    }
}

/// Eighths of a turn, exactly: the nearest of the table's directions may be its neighbour.
const fn of_keys(dx: i32, dy: i32) -> u8 {
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

fn pushed(far: f64) -> u8 {
    if far <= STILL {
        return 0;
    }
    ((far / ALL * f64::from(FULL)).ceil() as u8).clamp(1, FULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_in_eight_directions_and_stop() {
        let mut steering = Steering::default();
        steering.key(Key::Right, true);
        assert_eq!(
            steering.intent(),
            Intent {
                heading: 0,
                push: FULL,
                boost: false
            }
        );
        steering.key(Key::Down, true);
        steering.key(Key::Boost, true);
        assert_eq!(
            steering.intent(),
            Intent {
                heading: 32,
                push: FULL,
                boost: true
            }
        );
        steering.key(Key::Right, false);
        assert_eq!(steering.intent().heading, 64);
        steering.release();
        assert_eq!(
            steering.intent(),
            Intent {
                heading: 64,
                push: 0,
                boost: false
            }
        );
    }

    #[test]
    fn a_pointer_pushes_the_more_the_farther_and_keys_go_first() {
        let mut steering = Steering::default();
        let mut at = |x: f64| {
            steering.point(x, 0.0);
            steering.intent().push
        };
        assert_eq!([at(0.01), at(-0.1), at(0.3), at(0.9)], [0, 1, 3, FULL]);
        steering.key(Key::Up, true);
        assert_eq!((steering.intent().heading, steering.intent().push), (192, FULL));
        steering.key(Key::Up, false);
        assert_eq!(steering.intent().push, 0);
    }
}
