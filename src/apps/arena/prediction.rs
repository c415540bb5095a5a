//! Client-side prediction: applies inputs to the player's own body immediately with the simulation's `step_motion`, and
//! reconciles it with the server's frames. Pure.

use std::collections::VecDeque;

use super::model::body::{Input, Motion, step_motion};
use super::wire::frame::{Frame, Role};
use super::wire::input::MAX_INPUTS;

/// Maximum number of pending inputs, 1.5 s of them; with a higher latency the prediction stops at this limit.
const MAX_PENDING: usize = 45;
/// A larger prediction error, in sixteenths of a unit, is corrected at once instead of smoothly.
const MAX_SMOOTHED_ERROR: i32 = 200 * 16;

/// The player's own body as predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictedBody {
    pub id: u16,
    pub mass: u32,
    pub motion: Motion,
    previous: Motion,
    /// The remaining visual offset of a correction; decays to zero.
    error: (f64, f64),
}

/// The prediction and its unacknowledged inputs.
#[derive(Debug, Default)]
pub struct Prediction {
    next: u32,
    /// Inputs that no frame has acknowledged yet.
    pending: VecDeque<(u32, Input)>,
    /// The number of the newest input that was sent.
    sent: u32,
    body: Option<PredictedBody>,
}

impl Prediction {
    pub const fn body(&self) -> Option<&PredictedBody> {
        self.body.as_ref()
    }

    /// Advances the body by one tick of the local clock.
    pub fn tick(&mut self, input: Input) {
        let Some(body) = &mut self.body else { return };
        self.next += 1;
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back((self.next, input));
        body.previous = body.motion;
        step_motion(&mut body.motion, body.mass, input);
        body.error = (body.error.0 * 0.85, body.error.1 * 0.85);
    }

    /// Takes the inputs to send: the number of the first, and at most [`MAX_INPUTS`].
    pub fn take_unsent(&mut self) -> (u32, Vec<Input>) {
        let unsent = self.pending.iter().filter(|(number, _)| *number > self.sent);
        let inputs: Vec<(u32, Input)> = unsent.copied().collect();
        // Inputs beyond the limit are too old to be useful; drop the oldest.
        let excess = inputs.len().saturating_sub(MAX_INPUTS);
        let inputs = inputs.get(excess..).unwrap_or_default();
        self.sent = self.next;
        let first = inputs.first().map_or(0, |(number, _)| *number);
        (first, inputs.iter().map(|(_, input)| *input).collect())
    }

    /// Discards the pending inputs after a reconnect: the server has no record of them on the new connection.
    pub fn discard_pending(&mut self) {
        self.pending.clear();
        self.sent = self.next;
    }

    /// Resets the body to the server's state and replays the inputs that it does not contain yet.
    pub fn reconcile(&mut self, frame: &Frame) {
        let Role::Playing {
            vx,
            vy,
            energy,
            boosting,
            ..
        } = frame.role
        else {
            self.body = None;
            return;
        };
        let Some(body) = frame.body(frame.focus) else { return };
        self.pending.retain(|(number, _)| *number > frame.acked_input);
        let mut motion = Motion {
            x: body.x.into(),
            y: body.y.into(),
            vx,
            vy,
            energy,
            boosting,
        };
        let mut previous = motion;
        for (_, input) in &self.pending {
            previous = motion;
            step_motion(&mut motion, body.mass, *input);
        }
        let error = match &self.body {
            Some(known) if known.id == body.id => {
                let (dx, dy) = (known.motion.x - motion.x, known.motion.y - motion.y);
                if dx.abs().max(dy.abs()) > MAX_SMOOTHED_ERROR {
                    (0.0, 0.0)
                } else {
                    (known.error.0 + f64::from(dx), known.error.1 + f64::from(dy))
                }
            }
            _ => (0.0, 0.0),
        };
        self.body = Some(PredictedBody {
            id: body.id,
            mass: body.mass,
            motion,
            previous,
            error,
        });
    }
}

impl PredictedBody {
    /// The position at which the body is drawn, `part` of a tick after the last one.
    pub fn position(&self, part: f64) -> (f64, f64) {
        let interpolate = |previous: i32, now: i32| f64::from(previous) + f64::from(now - previous) * part;
        (
            interpolate(self.previous.x, self.motion.x) + self.error.0,
            interpolate(self.previous.y, self.motion.y) + self.error.1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::arena::model::body::MAX_THRUST;
    use crate::apps::arena::model::visibility::{Names, WorldSnapshot, leaderboard};
    use crate::apps::arena::model::world::{Event, World};

    fn frame(world: &World, acked_input: u32) -> Frame {
        let names = Names::new();
        let snapshot = WorldSnapshot::new(world, &names, &[], &leaderboard(world, &names));
        let body = *world.body(1).unwrap();
        let (bodies, motes) = snapshot.all_visible();
        let Motion {
            vx,
            vy,
            energy,
            boosting,
            ..
        } = body.motion;
        let role = Role::Playing {
            vx,
            vy,
            energy,
            boosting,
            shield: body.shield,
        };
        Frame {
            focus: 1,
            acked_input,
            role,
            bodies,
            motes,
            ..Frame::default()
        }
    }

    /// With a latency of six ticks each way, the predicted body is where the server moves it, unless it meets others or collects motes.
    #[test]
    fn the_prediction_matches_the_server() {
        let mut world = World::new(2);
        world.step(&[Event::Enter(1)]);
        let mut prediction = Prediction::default();
        prediction.reconcile(&frame(&world, 0));
        let (mut up, mut down) = (VecDeque::new(), VecDeque::new());
        let mut expected = VecDeque::new();
        let mut compared = 0;
        for tick in 0..80_u32 {
            let input = Input {
                heading: (tick / 9 * 40) as u8,
                thrust: MAX_THRUST,
                boost: tick % 30 < 10,
            };
            prediction.tick(input);
            expected.push_back((prediction.body().unwrap().motion, prediction.body().unwrap().mass));
            up.push_back(prediction.take_unsent());
            if up.len() > 6 {
                let (number, inputs) = up.pop_front().unwrap();
                world.step(&[Event::Steer(1, inputs[0])]);
                let (motion, mass) = expected.pop_front().unwrap();
                let body = world.body(1).unwrap();
                if body.mass == mass {
                    assert_eq!(body.motion, motion, "tick {tick}");
                    compared += 1;
                }
                down.push_back(frame(&world, number));
            }
            if down.len() > 6 {
                prediction.reconcile(&down.pop_front().unwrap());
            }
        }
        assert!(compared > 20, "{compared}");
    }

    #[test]
    fn an_error_is_corrected_smoothly() {
        let mut world = World::new(2);
        world.step(&[Event::Enter(1)]);
        let mut prediction = Prediction::default();
        let mut update = frame(&world, 0);
        prediction.reconcile(&update);
        let shown = prediction.body().unwrap().position(1.0);
        let at = update.bodies.binary_search_by_key(&1, |body| body.id).unwrap();
        update.bodies[at].x += 300;
        prediction.reconcile(&update);
        assert_eq!(prediction.body().unwrap().position(1.0), shown);
        (0..60).for_each(|_| prediction.tick(Input::default()));
        let off = prediction.body().unwrap().position(1.0).0 - shown.0;
        assert!((off - 300.0).abs() < 2.0, "{off}");
        prediction.reconcile(&Frame::default());
        assert_eq!(prediction.body(), None);
    }

    #[test]
    fn inputs_are_sent_once_and_old_ones_are_left_out() {
        let mut world = World::new(2);
        world.step(&[Event::Enter(1)]);
        let mut prediction = Prediction::default();
        prediction.reconcile(&frame(&world, 0));
        (0..20).for_each(|_| prediction.tick(Input::default()));
        let (first, inputs) = prediction.take_unsent();
        assert_eq!((first, inputs.len()), (6, MAX_INPUTS));
        assert_eq!(prediction.take_unsent(), (0, Vec::new()));
        prediction.tick(Input::default());
        assert_eq!(prediction.take_unsent().0, 21);
    }
}
