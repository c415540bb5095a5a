//! One viewer's place at the arena: what it sees, what it wants, and which frames it has. A frame builds on the newest that
//! the viewer acknowledged; a viewer that acknowledges nothing is told no more until it does.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::game::Game;
use super::pilots::SeatNumber;
use super::shot::Shot;
use crate::apps::arena::model::body::{BIRTH, WORLD};
use crate::apps::arena::model::sight::half_view;
use crate::apps::arena::model::world::{Body, Mote};
use crate::apps::arena::wire::frame::{Role, Row, Seen, View};
use crate::apps::arena::wire::turn::{Turn, Wish};
use duplex_hub::Hub;
use duplex_hub::simulation::{Participant, ProtocolError};
use duplex_protocol::person::Person;

/// Frames on their way: one and a half seconds of them. More would only make the line longer.
const MAX_UNACKED: usize = 45;

pub struct Place {
    game: Arc<Game>,
    number: SeatNumber,
    person: Person,
    hub: Hub,
    shots: watch::Receiver<Arc<Shot>>,
    /// The body that the viewer steers.
    body: Option<u16>,
    /// What the viewer is without one.
    role: Role,
    /// Whom the viewer chose to watch, and who is followed: as long as it lives, whoever is the heaviest.
    watched: Option<u16>,
    followed: Option<u16>,
    /// Where the viewer looks, and its score: what they last were.
    at: (u16, u16),
    peak: u32,
    /// The newest wish, and the newest stamp with when it came.
    wish: u32,
    stamp: Option<(u32, Instant)>,
    /// The views that the viewer may have, oldest first; the first is the acknowledged one, if there is one.
    sent: VecDeque<View>,
    acked: Option<u32>,
    said: u32,
}

impl Place {
    pub fn new(game: Arc<Game>, number: SeatNumber, person: Person, hub: Hub, body: Option<u16>) -> Self {
        let middle = (WORLD / 2) as u16;
        Self {
            shots: game.shots(),
            game,
            number,
            person,
            hub,
            body,
            role: Role::Watching,
            watched: None,
            followed: None,
            at: (middle, middle),
            peak: 0,
            wish: 0,
            stamp: None,
            sent: VecDeque::new(),
            acked: None,
            said: 0,
        }
    }

    fn acknowledge(&mut self, tick: u32) {
        if tick == 0 {
            self.sent.clear();
            self.acked = None;
        } else if self.sent.iter().any(|view| view.tick == tick) {
            self.sent.retain(|view| view.tick.wrapping_sub(tick) < u32::MAX / 2);
            self.acked = Some(tick);
        }
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Play(name) => {
                // Who asks for a name that is not to be had plays under the one that they have.
                let chosen = self
                    .hub
                    .names()
                    .choose(&self.person.id, self.hub.is_for_operator(), &name);
                self.person.name = chosen.unwrap_or_else(|_| std::mem::take(&mut self.person.name));
                self.body = self.game.play(self.number, &self.person);
                self.role = if self.body.is_some() {
                    Role::Watching
                } else {
                    Role::Full
                };
            }
            Wish::Watch(whom) => {
                if let Some(body) = self.body.take() {
                    self.game.give_up(body);
                }
                self.role = Role::Watching;
                self.watched = whom;
            }
        }
    }

    /// The viewer's own body, if it steers one in this picture.
    fn own<'s>(&mut self, shot: &'s Shot) -> Option<(&'s Body, u32)> {
        let id = self.body?;
        let flight = shot.pilots.iter().find(|pilot| pilot.id == id);
        if let Some(flight) = flight.filter(|pilot| pilot.seat == Some(self.number)) {
            return Some((shot.scene.body(id)?, flight.acked));
        }
        // A picture from before the body came to this seat is no fate.
        if let Some(fate) = self.game.fate(self.number) {
            (self.body, self.role) = (None, fate);
        }
        None
    }

    fn look(&mut self, shot: &Shot) -> View {
        let own = self.own(shot);
        let eater = match self.role {
            Role::Eaten { by, .. } => Some(by),
            _ => None,
        };
        let chosen = || {
            let wanted = [self.watched, eater, self.followed];
            let found = wanted.into_iter().flatten().find_map(|id| shot.scene.body(id));
            found.or_else(|| shot.scene.first())
        };
        let focus = own.map(|(body, _)| body).or_else(chosen);
        self.followed = focus.map(|body| body.id);
        if let Some(body) = focus {
            self.at = (body.motion.x as u16, body.motion.y as u16);
        }
        let role = match own {
            None => self.role.clone(),
            Some((body, _)) => {
                self.peak = body.peak;
                playing(body)
            }
        };
        let mass = focus.map_or(BIRTH, |body| body.mass);
        let (bodies, motes) = shot.scene.look((self.at.0.into(), self.at.1.into()), half_view(mass));
        let (echo, held) = self.stamp.map_or((0, 0), |(stamp, came)| {
            (stamp, u32::try_from(came.elapsed().as_millis()).unwrap_or(u32::MAX))
        });
        View {
            tick: shot.tick,
            round: shot.round,
            seed: shot.seed,
            left: shot.left,
            acked: own.map_or(0, |(_, acked)| acked),
            wish: self.wish,
            echo,
            held,
            players: shot.players,
            watchers: shot.watchers,
            role,
            focus: focus.map_or(0, |body| body.id),
            at: self.at,
            rank: shot.scene.rank(mass),
            peak: self.peak,
            bodies,
            motes,
            board: Arc::clone(&shot.scene.board),
        }
    }
}

fn playing(body: &Body) -> Role {
    Role::Playing {
        vx: body.motion.vx,
        vy: body.motion.vy,
        breath: body.motion.breath,
        boosting: body.motion.boosting,
        shield: body.shield,
    }
}

impl Participant for Place {
    fn on_message(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let turn = Turn::decode(bytes).map_err(|_| ProtocolError::Malformed)?;
        self.acknowledge(turn.ack);
        self.stamp = Some((turn.stamp, Instant::now()));
        if let Some((number, wish)) = turn.wish
            && number > self.wish
        {
            self.wish = number;
            self.grant(wish);
        }
        if let Some(body) = self.body {
            self.game.hear(body, self.number, turn.first, &turn.intents);
        }
        Ok(())
    }

    fn ready(&mut self) -> BoxFuture<'_, ()> {
        // The game outlives its seats, so the picture's end is never seen.
        self.shots.changed().map(|_| ()).boxed()
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let shot = Arc::clone(&self.shots.borrow_and_update());
        if shot.tick == self.said || self.sent.len() >= MAX_UNACKED {
            return None;
        }
        self.said = shot.tick;
        if self.game.json {
            return Some(shot.json.get_or_init(|| json(&shot)).clone());
        }
        let view = self.look(&shot);
        let base = self.acked.and_then(|_| self.sent.front());
        let bytes = view.encode(base);
        self.sent.push_back(view);
        Some(bytes.into())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.game.leave(self.number);
    }
}

/// The whole world, made once for all viewers: as good as frames of everything can be.
fn json(shot: &Shot) -> Bytes {
    #[derive(Serialize)]
    struct Whole<'a> {
        tick: u32,
        bodies: Vec<Seen>,
        motes: Vec<Mote>,
        board: &'a [Row],
    }
    let (bodies, motes) = shot.scene.all();
    let whole = Whole {
        tick: shot.tick,
        bodies,
        motes,
        board: &shot.scene.board,
    };
    serde_json::to_vec(&whole).unwrap_or_default().into()
}
