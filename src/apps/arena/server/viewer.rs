//! The arena's `Participant`: a viewer's role, requests and delta-encoded frames. A frame is a delta against the newest one that
//! the viewer acknowledged; a viewer that stops acknowledging gets no more frames until it resumes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::game::Game;
use super::players::ViewerId;
use super::snapshot::RoundSnapshot;
use crate::apps::arena::model::body::{START_MASS, WORLD_SIZE};
use crate::apps::arena::model::visibility::view_radius;
use crate::apps::arena::model::world::{Body, Mote};
use crate::apps::arena::wire::frame::{Frame, LeaderboardRow, Role, VisibleBody};
use crate::apps::arena::wire::input::{InputMessage, RoleRequest};
use duplex_hub::Hub;
use duplex_hub::simulation::{MessageError, Participant};
use duplex_protocol::person::Person;

/// Maximum number of unacknowledged frames: one and a half seconds. More would only add latency.
const MAX_UNACKED_FRAMES: usize = 45;

pub struct Viewer {
    game: Arc<Game>,
    id: ViewerId,
    person: Person,
    hub: Hub,
    snapshots: watch::Receiver<Arc<RoundSnapshot>>,
    /// The body that the viewer controls.
    body: Option<u16>,
    /// The viewer's role while it controls no body.
    role: Role,
    /// The body that the viewer chose to watch.
    watched: Option<u16>,
    /// The body that the viewer chose to watch, until it dies.
    followed: Option<u16>,
    /// The last middle of the view.
    center: (u16, u16),
    /// The score of the viewer's present or last life.
    peak: u32,
    /// The number of the newest request.
    last_request: u32,
    /// The newest timestamp of the client, and when it was received.
    timestamp: Option<(u32, Instant)>,
    /// Frames sent since the acknowledged one (inclusive), oldest first: candidate baselines.
    sent_frames: VecDeque<Frame>,
    acked_tick: Option<u32>,
    last_sent_tick: u32,
}

impl Viewer {
    pub fn new(game: Arc<Game>, id: ViewerId, person: Person, hub: Hub, body: Option<u16>) -> Self {
        let middle = (WORLD_SIZE / 2) as u16;
        Self {
            snapshots: game.snapshots(),
            game,
            id,
            person,
            hub,
            body,
            role: Role::Watching,
            watched: None,
            followed: None,
            center: (middle, middle),
            peak: 0,
            last_request: 0,
            timestamp: None,
            sent_frames: VecDeque::new(),
            acked_tick: None,
            last_sent_tick: 0,
        }
    }

    fn acknowledge(&mut self, tick: u32) {
        if tick == 0 {
            self.sent_frames.clear();
            self.acked_tick = None;
        } else if self.sent_frames.iter().any(|frame| frame.tick == tick) {
            self.sent_frames
                .retain(|frame| frame.tick.wrapping_sub(tick) < u32::MAX / 2);
            self.acked_tick = Some(tick);
        }
    }

    fn handle_request(&mut self, request: RoleRequest) {
        match request {
            RoleRequest::Play(name) => {
                // If the name is rejected, the current one is kept.
                let chosen = self
                    .hub
                    .name_policy()
                    .choose(&self.person.id, self.hub.is_operator(), &name);
                self.person.name = chosen.unwrap_or_else(|_| std::mem::take(&mut self.person.name));
                self.body = self.game.join_as_player(self.id, &self.person);
                self.role = if self.body.is_some() {
                    Role::Watching
                } else {
                    Role::Full
                };
            }
            RoleRequest::Watch(id) => {
                if let Some(body) = self.body.take() {
                    self.game.despawn(body);
                }
                self.role = Role::Watching;
                self.watched = id;
            }
        }
    }

    /// The viewer's own body in this snapshot, with its newest applied input.
    fn own_body<'s>(&mut self, snapshot: &'s RoundSnapshot) -> Option<(&'s Body, u32)> {
        let id = self.body?;
        let at = snapshot.players.binary_search_by_key(&id, |player| player.id);
        let player = at.ok().and_then(|at| snapshot.players.get(at));
        if let Some(player) = player.filter(|player| player.viewer == Some(self.id)) {
            return Some((snapshot.world.body(id)?, player.acked_input));
        }
        // The snapshot may predate the body's assignment, so a missing body is not yet a lost one.
        if let Some(role) = self.game.take_role_change(self.id) {
            (self.body, self.role) = (None, role);
        }
        None
    }

    fn build_frame(&mut self, snapshot: &RoundSnapshot) -> Frame {
        let own_body = self.own_body(snapshot);
        let eater = match self.role {
            Role::Eaten { by, .. } => Some(by),
            _ => None,
        };
        let spectated = || {
            let candidates = [self.watched, eater, self.followed];
            let found = candidates.into_iter().flatten().find_map(|id| snapshot.world.body(id));
            found.or_else(|| snapshot.world.heaviest())
        };
        let focus = own_body.map(|(body, _)| body).or_else(spectated);
        self.followed = focus.map(|body| body.id);
        if let Some(body) = focus {
            self.center = (body.motion.x as u16, body.motion.y as u16);
        }
        let role = match own_body {
            None => self.role.clone(),
            Some((body, _)) => {
                self.peak = body.peak;
                playing(body)
            }
        };
        let mass = focus.map_or(START_MASS, |body| body.mass);
        let (bodies, motes) = snapshot
            .world
            .visible((self.center.0.into(), self.center.1.into()), view_radius(mass));
        let (timestamp_echo, echo_delay) = self.timestamp.map_or((0, 0), |(timestamp, received_at)| {
            (
                timestamp,
                u32::try_from(received_at.elapsed().as_millis()).unwrap_or(u32::MAX),
            )
        });
        Frame {
            tick: snapshot.tick,
            round: snapshot.round,
            seed: snapshot.seed,
            seconds_left: snapshot.seconds_left,
            acked_input: own_body.map_or(0, |(_, acked_input)| acked_input),
            acked_request: self.last_request,
            timestamp_echo,
            echo_delay,
            players: snapshot.player_count,
            watchers: snapshot.spectator_count,
            role,
            focus: focus.map_or(0, |body| body.id),
            center: self.center,
            rank: snapshot.world.rank(mass),
            peak: self.peak,
            bodies,
            motes,
            leaderboard: Arc::clone(&snapshot.world.leaderboard),
        }
    }
}

fn playing(body: &Body) -> Role {
    Role::Playing {
        vx: body.motion.vx,
        vy: body.motion.vy,
        energy: body.motion.energy,
        boosting: body.motion.boosting,
        shield: body.shield,
    }
}

impl Participant for Viewer {
    fn on_message(&mut self, bytes: &[u8]) -> Result<(), MessageError> {
        let message = InputMessage::decode(bytes).map_err(|_| MessageError::Malformed)?;
        self.acknowledge(message.ack);
        self.timestamp = Some((message.timestamp, Instant::now()));
        if let Some((number, request)) = message.request
            && number > self.last_request
        {
            self.last_request = number;
            self.handle_request(request);
        }
        if let Some(body) = self.body {
            self.game
                .queue_inputs(body, self.id, message.first_input, &message.inputs);
        }
        Ok(())
    }

    fn ready(&mut self) -> BoxFuture<'_, ()> {
        // The game outlives its viewers, so the sender is never dropped.
        self.snapshots.changed().map(|_| ()).boxed()
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
        if snapshot.tick == self.last_sent_tick || self.sent_frames.len() >= MAX_UNACKED_FRAMES {
            return None;
        }
        self.last_sent_tick = snapshot.tick;
        if self.game.json {
            return Some(snapshot.json.get_or_init(|| json(&snapshot)).clone());
        }
        let frame = self.build_frame(&snapshot);
        let baseline = self.acked_tick.and_then(|_| self.sent_frames.front());
        let bytes = frame.encode(baseline);
        self.sent_frames.push_back(frame);
        Some(bytes.into())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.game.leave(self.id);
    }
}

/// The whole world as JSON, encoded once for all viewers: a best-case baseline for comparing delta frames.
fn json(snapshot: &RoundSnapshot) -> Bytes {
    #[derive(Serialize)]
    struct FullWorld<'a> {
        tick: u32,
        bodies: Vec<VisibleBody>,
        motes: Vec<Mote>,
        #[serde(rename = "board")]
        leaderboard: &'a [LeaderboardRow],
    }
    let (bodies, motes) = snapshot.world.all_visible();
    let full = FullWorld {
        tick: snapshot.tick,
        bodies,
        motes,
        leaderboard: &snapshot.world.leaderboard,
    };
    serde_json::to_vec(&full).unwrap_or_default().into()
}
