//! The game: runs rounds at 30 ticks per second while there are viewers or bodies, and is paused otherwise. Each tick publishes a
//! snapshot, which viewers read without a lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::players::{Players, ViewerId};
use super::recordings::Recordings;
use super::scores::ScoresCommand;
use super::seed::{SeedSource, random};
use super::snapshot::{PlayerSnapshot, RoundSnapshot};
use super::viewer::Viewer;
use crate::apps::arena::model::body::{Input, START_MASS, TICK_RATE};
use crate::apps::arena::model::recording::Recorder;
use crate::apps::arena::model::visibility::{Names, WorldSnapshot, leaderboard};
use crate::apps::arena::model::world::{Event, World};
use crate::apps::arena::wire::frame::{LeaderboardRow, Role};
use crate::apps::arena::wire::input::MAX_INPUT_MESSAGE;
use crate::apps::arena::wire::scores::{ALL, Scores};
use crate::apps::arena::wire::{ARENA_PATH, ArenaPreview, ROUND_SECONDS};
use crate::lock::lock;
use duplex_hub::simulation::{JoinError, Participant, Simulation};
use duplex_hub::{BackgroundTask, Hub, TaskFuture};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Answer, CommandId};

/// Maximum number of viewers, players included; each reads every snapshot.
const MAX_VIEWERS: usize = 500;
/// The capacity of the queue of scores to store.
const MAX_SCORES: usize = 1024;
/// The leaderboard is updated twice a second.
const LEADERBOARD_TICKS: u32 = TICK_RATE / 2;

pub struct Game {
    inner: Mutex<Inner>,
    snapshots: watch::Sender<Arc<RoundSnapshot>>,
    /// Notified when a viewer joins.
    wake: Notify,
    /// Send JSON snapshots instead of frames.
    pub json: bool,
}

pub(super) struct Inner {
    pub(super) world: World,
    seed: u64,
    seeds: SeedSource,
    pub(super) round: u32,
    pub(super) tick: u32,
    players: Players,
    names: Names,
    leaderboard: Arc<[LeaderboardRow]>,
    recorder: Recorder,
    recordings: Recordings,
    /// Events of the next tick.
    pending_events: Vec<Event>,
    /// The new roles of viewers that lost their body, until `take_role_change` returns them.
    role_changes: HashMap<ViewerId, Role>,
    viewers: usize,
    last_viewer: ViewerId,
    /// Final scores of dead players, not yet sent to the storing task.
    pending_scores: Vec<(Person, u32)>,
}

impl Game {
    pub fn new(json: bool) -> Arc<Self> {
        Self::with_seed_source(Box::new(random), json)
    }

    pub fn with_seed_source(seeds: SeedSource, json: bool) -> Arc<Self> {
        let inner = Inner::new(seeds);
        let first = inner.snapshot();
        Arc::new(Self {
            inner: Mutex::new(inner),
            snapshots: watch::Sender::new(Arc::new(first)),
            wake: Notify::new(),
            json,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub fn snapshots(&self) -> watch::Receiver<Arc<RoundSnapshot>> {
        self.snapshots.subscribe()
    }

    /// Attaches the viewer to the person's existing body, or spawns one; `None` if the game is full.
    pub fn join_as_player(&self, viewer: ViewerId, person: &Person) -> Option<u16> {
        self.lock().join_as_player(viewer, person)
    }

    /// Removes the body; its viewer becomes a spectator.
    pub fn despawn(&self, id: u16) {
        self.lock().despawn(id);
    }

    pub fn queue_inputs(&self, id: u16, viewer: ViewerId, first: u32, inputs: &[Input]) {
        self.lock().players.queue_inputs(id, viewer, first, inputs);
    }

    /// The new role of a viewer that lost its body; returned once.
    pub fn take_role_change(&self, viewer: ViewerId) -> Option<Role> {
        self.lock().role_changes.remove(&viewer)
    }

    pub fn leave(&self, viewer: ViewerId) {
        let mut inner = self.lock();
        inner.viewers = inner.viewers.saturating_sub(1);
        inner.role_changes.remove(&viewer);
        inner.players.disconnect(viewer);
    }

    /// Runs ticks until the last viewer is gone and the last body's grace period is over.
    async fn run_ticks(&self, stop: &CancellationToken, scores: &mpsc::Sender<(Person, u32)>) {
        let mut clock = interval(Duration::from_secs(1) / TICK_RATE);
        // Missed ticks are skipped, because catching up would delay later ones.
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = clock.tick() => {}
            }
            let (snapshot, pending_scores) = {
                let mut inner = self.lock();
                if inner.is_idle() {
                    return;
                }
                inner.step();
                (inner.snapshot(), std::mem::take(&mut inner.pending_scores))
            };
            self.snapshots.send_replace(Arc::new(snapshot));
            for score in pending_scores {
                if let Err(error) = scores.try_send(score) {
                    tracing::warn!("cannot store a score: {error}");
                }
            }
        }
    }
}

impl Inner {
    fn new(mut seeds: SeedSource) -> Self {
        let seed = seeds();
        Self {
            world: World::new(seed),
            seed,
            seeds,
            round: 1,
            tick: 0,
            players: Players::default(),
            names: Names::default(),
            leaderboard: Arc::default(),
            recorder: Recorder::new(seed),
            recordings: Recordings::default(),
            pending_events: Vec::new(),
            role_changes: HashMap::new(),
            viewers: 0,
            last_viewer: 0,
            pending_scores: Vec::new(),
        }
    }

    fn is_idle(&self) -> bool {
        self.viewers == 0 && self.players.len() == 0
    }

    fn join_as_player(&mut self, viewer: ViewerId, person: &Person) -> Option<u16> {
        self.role_changes.remove(&viewer);
        let id = match self.players.find_by_person(&person.id) {
            Some((id, player)) => {
                if let Some(previous) = Players::attach(player, viewer) {
                    self.role_changes.insert(previous, Role::Elsewhere);
                }
                player.person.name.clone_from(&person.name);
                id
            }
            None => {
                let id = self.players.add(person.clone(), viewer)?;
                self.pending_events.push(Event::Enter(id));
                id
            }
        };
        self.set_name(id, &person.name);
        Some(id)
    }

    fn set_name(&mut self, id: u16, name: &str) {
        if self.names.get(&id).map_or("", |name| name) != name {
            self.names.insert(id, name.into());
            self.recorder.add_name(id, name);
        }
    }

    fn despawn(&mut self, id: u16) {
        self.end_life(id);
        self.pending_events.push(Event::Leave(id));
    }

    /// Ends a player's life and queues its score.
    fn end_life(&mut self, id: u16) {
        let peak = self.world.body(id).map_or(0, |body| body.peak);
        if let Some(player) = self.players.remove(id) {
            self.queue_score(player.person, peak);
        }
        self.names.remove(&id);
    }

    /// Queues a score, unless the body never grew.
    fn queue_score(&mut self, person: Person, peak: u32) {
        if peak > START_MASS {
            self.pending_scores.push((person, peak));
        }
    }

    fn step(&mut self) {
        for id in self.players.expired() {
            self.despawn(id);
        }
        if self.world.tick >= ROUND_SECONDS * TICK_RATE {
            self.start_round();
        }
        let mut events = std::mem::take(&mut self.pending_events);
        events.extend(self.players.next_events());
        self.recorder.record(self.world.tick, &events);
        let deaths = self.world.step(&events);
        self.recorder.checkpoint(&self.world);
        for death in deaths {
            self.on_death(death.id, death.by, death.peak);
        }
        self.tick = self.tick.wrapping_add(1).max(1);
        if self.tick.is_multiple_of(LEADERBOARD_TICKS) {
            self.leaderboard = leaderboard(&self.world, &self.names);
        }
    }

    fn on_death(&mut self, id: u16, by: u16, peak: u32) {
        if let Some(player) = self.players.remove(id) {
            let name = self.names.get(&by).map_or_else(String::new, ToString::to_string);
            if let Ok(viewer) = player.viewer {
                self.role_changes.insert(viewer, Role::Eaten { by, name });
            }
            self.queue_score(player.person, peak);
            self.names.remove(&id);
        }
    }

    /// Starts the next round: all players get a new body in a new world.
    fn start_round(&mut self) {
        let seed = (self.seeds)();
        let lives: Vec<_> = self
            .players
            .ids()
            .filter_map(|id| Some((self.players.get(id)?.person.clone(), self.world.body(id)?.peak)))
            .collect();
        for (person, peak) in lives {
            self.queue_score(person, peak);
        }
        self.recordings.round_ended(&self.recorder);
        self.round += 1;
        self.seed = seed;
        self.world = World::new(seed);
        self.recorder = Recorder::new(seed);
        for (id, name) in &self.names {
            self.recorder.add_name(*id, name);
        }
        self.players.reset_inputs();
        self.pending_events = self.players.ids().map(Event::Enter).collect();
    }

    fn snapshot(&self) -> RoundSnapshot {
        let disconnected = |id: &u16| self.players.get(*id).is_some_and(|player| player.viewer.is_err());
        let disconnected: Vec<u16> = self.players.ids().filter(disconnected).collect();
        let connected = self.players.len() - disconnected.len();
        let player = |id| {
            let player = self.players.get(id)?;
            let (viewer, acked_input) = (player.viewer.ok(), player.acked_input);
            Some(PlayerSnapshot {
                id,
                viewer,
                acked_input,
            })
        };
        RoundSnapshot {
            tick: self.tick,
            round: self.round,
            seed: self.seed,
            seconds_left: (ROUND_SECONDS.saturating_sub(self.world.tick / TICK_RATE)) as u16,
            player_count: self.players.len() as u16,
            spectator_count: self.viewers.saturating_sub(connected) as u16,
            players: self.players.ids().filter_map(player).collect(),
            world: WorldSnapshot::new(&self.world, &self.names, &disconnected, &self.leaderboard),
            json: OnceLock::new(),
        }
    }
}

impl BackgroundTask for Game {
    fn name(&self) -> &'static str {
        "arena"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            let (scores, queued) = mpsc::channel(MAX_SCORES);
            let play = async {
                let scores = scores;
                while !stop.is_cancelled() {
                    if self.lock().is_idle() {
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = self.wake.notified() => {}
                        }
                    }
                    self.run_ticks(&stop, &scores).await;
                }
            };
            tokio::join!(play, store_scores(hub, queued));
        })
    }
}

/// Stores scores in their topic. Runs as a separate task, so that ticks do not wait for the log.
async fn store_scores(hub: Hub, mut scores: mpsc::Receiver<(Person, u32)>) {
    while let Some((by, mass)) = scores.recv().await {
        let id = CommandId::without_time(u128::from(random()) << 64 | u128::from(random()));
        let command = ScoresCommand::Record { by, mass };
        if let Answer::Rejected(rejection) = hub.send_server_command::<Scores>(ALL, id, &command).await {
            tracing::warn!("cannot store a score: {rejection}");
        }
    }
}

impl Simulation for Game {
    fn path(&self) -> &'static str {
        ARENA_PATH
    }

    fn description(&self) -> &'static str {
        "the arena's frames and inputs, as binary messages."
    }

    fn message_limit(&self) -> usize {
        MAX_INPUT_MESSAGE
    }

    fn join(self: Arc<Self>, person: &Person, hub: &Hub) -> Result<Box<dyn Participant>, JoinError> {
        let (number, body) = {
            let mut inner = self.lock();
            if inner.viewers >= MAX_VIEWERS {
                return Err(JoinError::Full);
            }
            inner.viewers += 1;
            inner.last_viewer += 1;
            let number = inner.last_viewer;
            // A player who reconnects within the grace period gets their body back at once.
            let disconnected = inner
                .players
                .find_by_person(&person.id)
                .filter(|(_, player)| player.viewer.is_err());
            let body = disconnected.map(|(id, player)| {
                Players::attach(player, number);
                id
            });
            (number, body)
        };
        self.wake.notify_one();
        Ok(Box::new(Viewer::new(
            Arc::clone(&self),
            number,
            person.clone(),
            hub.clone(),
            body,
        )))
    }

    fn preview(&self) -> Option<String> {
        let inner = self.lock();
        let preview = ArenaPreview {
            players: inner.players.len() as u16,
            leaderboard: inner.leaderboard.to_vec(),
        };
        serde_json::to_string(&preview).ok()
    }

    fn recording(&self) -> Option<Bytes> {
        let inner = &mut *self.lock();
        inner.recordings.latest(inner.world.tick, &inner.recorder)
    }
}
