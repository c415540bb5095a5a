//! One's own body, ahead of the server: moved at once by what the player wants, by the simulation's own rule, and put right
//! when the server's word comes. Pure.

use std::collections::VecDeque;

use super::model::body::{Intent, Motion, glide};
use super::wire::frame::{Role, View};
use super::wire::turn::MAX_INTENTS;

/// Intents without the server's word: a second and a half of them. On a slower line the body is not moved farther ahead.
const MAX_AHEAD: usize = 45;
/// An error above this, in sixteenths of a unit, is no matter of smoothing.
const JUMP: i32 = 200 * 16;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Own {
    pub id: u16,
    pub mass: u32,
    pub motion: Motion,
    before: Motion,
    /// What is still shown of an error, and vanishes.
    error: (f64, f64),
}

#[derive(Debug, Default)]
pub struct Pilot {
    next: u32,
    /// Not yet in the server's word.
    pending: VecDeque<(u32, Intent)>,
    /// The newest that was said.
    said: u32,
    own: Option<Own>,
}

impl Pilot {
    pub const fn own(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    /// One tick of the player's own clock.
    pub fn tick(&mut self, intent: Intent) {
        let Some(own) = &mut self.own else { return };
        self.next += 1;
        if self.pending.len() >= MAX_AHEAD {
            self.pending.pop_front();
        }
        self.pending.push_back((self.next, intent));
        own.before = own.motion;
        glide(&mut own.motion, own.mass, intent);
        own.error = (own.error.0 * 0.85, own.error.1 * 0.85);
    }

    /// What was not said yet: the number of the first, and those that fit.
    pub fn unsaid(&mut self) -> (u32, Vec<Intent>) {
        let unsaid = self.pending.iter().filter(|(number, _)| *number > self.said);
        let intents: Vec<(u32, Intent)> = unsaid.copied().collect();
        // Too many wait: the oldest are of no use any more.
        let late = intents.len().saturating_sub(MAX_INTENTS);
        let intents = intents.get(late..).unwrap_or_default();
        self.said = self.next;
        let first = intents.first().map_or(0, |(number, _)| *number);
        (first, intents.iter().map(|(_, intent)| *intent).collect())
    }

    /// The line is another one: the server knows nothing of what was on its way.
    pub fn forget(&mut self) {
        self.pending.clear();
        self.said = self.next;
    }

    /// The server's word: where the body was after the newest intent that it knows. What came since is done again.
    pub fn heard(&mut self, view: &View) {
        let Role::Playing {
            vx,
            vy,
            breath,
            boosting,
            ..
        } = view.role
        else {
            self.own = None;
            return;
        };
        let Some(body) = view.body(view.focus) else { return };
        self.pending.retain(|(number, _)| *number > view.acked);
        let mut motion = Motion {
            x: body.x.into(),
            y: body.y.into(),
            vx,
            vy,
            breath,
            boosting,
        };
        let mut before = motion;
        for (_, intent) in &self.pending {
            before = motion;
            glide(&mut motion, body.mass, *intent);
        }
        let error = match &self.own {
            Some(known) if known.id == body.id => {
                let (dx, dy) = (known.motion.x - motion.x, known.motion.y - motion.y);
                if dx.abs().max(dy.abs()) > JUMP {
                    (0.0, 0.0)
                } else {
                    (known.error.0 + f64::from(dx), known.error.1 + f64::from(dy))
                }
            }
            _ => (0.0, 0.0),
        };
        self.own = Some(Own {
            id: body.id,
            mass: body.mass,
            motion,
            before,
            error,
        });
    }
}

impl Own {
    /// Where the body is drawn, `part` of a tick after the last one.
    pub fn place(&self, part: f64) -> (f64, f64) {
        let between = |before: i32, now: i32| f64::from(before) + f64::from(now - before) * part;
        (
            between(self.before.x, self.motion.x) + self.error.0,
            between(self.before.y, self.motion.y) + self.error.1,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::apps::arena::model::body::FULL;
    use crate::apps::arena::model::sight::{Names, Scene, board};
    use crate::apps::arena::model::world::{Event, World};

    fn view(world: &World, acked: u32) -> View {
        let names = Arc::new(Names::new());
        let scene = Scene::of(world, &names, Vec::new(), &board(world, &names));
        let body = *world.body(1).unwrap();
        let (bodies, motes) = scene.all();
        let Motion {
            vx,
            vy,
            breath,
            boosting,
            ..
        } = body.motion;
        let role = Role::Playing {
            vx,
            vy,
            breath,
            boosting,
            shield: body.shield,
        };
        View {
            focus: 1,
            acked,
            role,
            bodies,
            motes,
            ..View::default()
        }
    }

    /// A line of six ticks each way: while nobody is met and nothing gathered, the body is where the server will have it.
    #[test]
    fn the_body_is_ahead_by_what_is_on_its_way_and_right() {
        let mut world = World::new(2);
        world.step(&[Event::Enter(1)]);
        let mut pilot = Pilot::default();
        pilot.heard(&view(&world, 0));
        let (mut up, mut down) = (VecDeque::new(), VecDeque::new());
        let mut expected = VecDeque::new();
        let mut compared = 0;
        for tick in 0..80_u32 {
            let intent = Intent {
                heading: (tick / 9 * 40) as u8,
                push: FULL,
                boost: tick % 30 < 10,
            };
            pilot.tick(intent);
            expected.push_back((pilot.own().unwrap().motion, pilot.own().unwrap().mass));
            up.push_back(pilot.unsaid());
            if up.len() > 6 {
                let (number, intents) = up.pop_front().unwrap();
                world.step(&[Event::Steer(1, intents[0])]);
                let (there, mass) = expected.pop_front().unwrap();
                let body = world.body(1).unwrap();
                if body.mass == mass {
                    assert_eq!(body.motion, there, "tick {tick}");
                    compared += 1;
                }
                down.push_back(view(&world, number));
            }
            if down.len() > 6 {
                pilot.heard(&down.pop_front().unwrap());
            }
        }
        assert!(compared > 20, "{compared}");
    }

    #[test]
    fn an_error_vanishes_instead_of_jumping() {
        let mut world = World::new(2);
        world.step(&[Event::Enter(1)]);
        let mut pilot = Pilot::default();
        let mut seen = view(&world, 0);
        pilot.heard(&seen);
        let shown = pilot.own().unwrap().place(1.0);
        let at = seen.bodies.binary_search_by_key(&1, |seen| seen.id).unwrap();
        seen.bodies[at].x += 300;
        pilot.heard(&seen);
        assert_eq!(pilot.own().unwrap().place(1.0), shown);
        (0..60).for_each(|_| pilot.tick(Intent::default()));
        let off = pilot.own().unwrap().place(1.0).0 - shown.0;
        assert!((off - 300.0).abs() < 2.0, "{off}");
        pilot.heard(&View::default());
        assert_eq!(pilot.own(), None);
    }

    #[test]
    fn what_was_said_is_not_said_again_and_what_is_late_is_left_out() {
        let mut world = World::new(2);
        world.step(&[Event::Enter(1)]);
        let mut pilot = Pilot::default();
        pilot.heard(&view(&world, 0));
        (0..20).for_each(|_| pilot.tick(Intent::default()));
        let (first, intents) = pilot.unsaid();
        assert_eq!((first, intents.len()), (6, MAX_INTENTS));
        assert_eq!(pilot.unsaid(), (0, Vec::new()));
        pilot.tick(Intent::default());
        assert_eq!(pilot.unsaid().0, 21);
    }
}
