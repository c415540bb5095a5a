//! The round that goes on: thirty ticks a second while somebody is there, and none while nobody is. After each tick a picture
//! of the world is there for all seats to look at; they hold no lock while they do.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::pilots::{Pilots, SeatNumber};
use super::records::Records;
use super::scores::ScoresCommand;
use super::seat::Place;
use super::shot::{Flight, Shot};
use crate::apps::arena::model::body::{BIRTH, Intent, RATE};
use crate::apps::arena::model::record::Recorder;
use crate::apps::arena::model::sight::{Names, Scene, board};
use crate::apps::arena::model::world::{Event, World};
use crate::apps::arena::wire::frame::{Role, Row};
use crate::apps::arena::wire::scores::{ALL, Scores};
use crate::apps::arena::wire::turn::MAX_TURN;
use crate::apps::arena::wire::{ARENA_PATH, Glance, ROUND_SECONDS};
use crate::lock::lock;
use duplex_hub::simulation::{JoinError, Participant, Simulation};
use duplex_hub::{BackgroundTask, Hub, TaskFuture};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Answer, CommandId};

/// Viewers at once, players among them: each looks at every picture.
const MAX_VIEWERS: usize = 500;
/// Scores on their way to the topic.
const MAX_SCORES: usize = 1024;
/// The leaderboard changes twice a second.
const BOARD_TICKS: u32 = RATE / 2;

pub struct Game {
    inner: Mutex<Inner>,
    shots: watch::Sender<Arc<Shot>>,
    /// Somebody came.
    woken: Notify,
    pub json: bool,
}

/// Where each round's seed comes from.
pub type Seeds = Box<dyn FnMut() -> u64 + Send>;

pub(super) struct Inner {
    pub(super) world: World,
    seed: u64,
    seeds: Seeds,
    pub(super) round: u32,
    pub(super) tick: u32,
    pilots: Pilots,
    names: Arc<Names>,
    board: Arc<[Row]>,
    recorder: Recorder,
    records: Records,
    /// What is to happen at the next tick.
    coming: Vec<Event>,
    /// Why the seat has no body any more, until it has heard it.
    fates: HashMap<SeatNumber, Role>,
    viewers: usize,
    last_seat: SeatNumber,
    /// Scores of lives that ended.
    ended: Vec<(Person, u32)>,
}

impl Game {
    pub fn new(json: bool) -> Arc<Self> {
        Self::with_seeds(Box::new(random), json)
    }

    pub fn with_seeds(seeds: Seeds, json: bool) -> Arc<Self> {
        let inner = Inner::new(seeds);
        let first = inner.shot();
        Arc::new(Self {
            inner: Mutex::new(inner),
            shots: watch::Sender::new(Arc::new(first)),
            woken: Notify::new(),
            json,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub fn shots(&self) -> watch::Receiver<Arc<Shot>> {
        self.shots.subscribe()
    }

    /// A body for this seat: the one that the person has, or a new one.
    pub fn play(&self, seat: SeatNumber, person: &Person) -> Option<u16> {
        self.lock().play(seat, person)
    }

    /// Gives the body up, and goes on to watch.
    pub fn give_up(&self, id: u16) {
        self.lock().give_up(id);
    }

    pub fn hear(&self, id: u16, seat: SeatNumber, first: u32, intents: &[Intent]) {
        self.lock().pilots.hear(id, seat, first, intents);
    }

    /// Why the seat has no body any more.
    pub fn fate(&self, seat: SeatNumber) -> Option<Role> {
        self.lock().fates.remove(&seat)
    }

    pub fn leave(&self, seat: SeatNumber) {
        let mut inner = self.lock();
        inner.viewers = inner.viewers.saturating_sub(1);
        inner.fates.remove(&seat);
        inner.pilots.leave(seat);
    }

    /// Until the last viewer has gone, and the last body that was kept for one.
    async fn go_on(&self, stop: &CancellationToken, scores: &mpsc::Sender<(Person, u32)>) {
        let mut clock = interval(Duration::from_secs(1) / RATE);
        // A tick that could not be in time is left out: to make up for it would only be late again.
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = clock.tick() => {}
            }
            let (shot, ended) = {
                let mut inner = self.lock();
                if inner.is_alone() {
                    return;
                }
                inner.step();
                (inner.shot(), std::mem::take(&mut inner.ended))
            };
            self.shots.send_replace(Arc::new(shot));
            for score in ended {
                if let Err(error) = scores.try_send(score) {
                    tracing::warn!("a score is lost: {error}");
                }
            }
        }
    }
}

impl Inner {
    fn new(mut seeds: Seeds) -> Self {
        let seed = seeds();
        Self {
            world: World::new(seed),
            seed,
            seeds,
            round: 1,
            tick: 0,
            pilots: Pilots::default(),
            names: Arc::default(),
            board: Arc::default(),
            recorder: Recorder::new(seed),
            records: Records::default(),
            coming: Vec::new(),
            fates: HashMap::new(),
            viewers: 0,
            last_seat: 0,
            ended: Vec::new(),
        }
    }

    fn is_alone(&self) -> bool {
        self.viewers == 0 && self.pilots.len() == 0
    }

    fn play(&mut self, seat: SeatNumber, person: &Person) -> Option<u16> {
        self.fates.remove(&seat);
        let id = match self.pilots.of(&person.id) {
            Some((id, pilot)) => {
                if let Some(before) = Pilots::take(pilot, seat) {
                    self.fates.insert(before, Role::Elsewhere);
                }
                pilot.person.name.clone_from(&person.name);
                id
            }
            None => {
                let id = self.pilots.add(person.clone(), seat)?;
                self.coming.push(Event::Enter(id));
                id
            }
        };
        self.name(id, &person.name);
        Some(id)
    }

    fn name(&mut self, id: u16, name: &str) {
        if self.names.get(&id).map_or("", String::as_str) != name {
            Arc::make_mut(&mut self.names).insert(id, name.to_owned());
            self.recorder.name(id, name);
        }
    }

    fn give_up(&mut self, id: u16) {
        self.end(id);
        self.coming.push(Event::Leave(id));
    }

    /// A player's life is over: what it came to is told.
    fn end(&mut self, id: u16) {
        let peak = self.world.body(id).map_or(0, |body| body.peak);
        if let Some(pilot) = self.pilots.remove(id) {
            self.score(pilot.person, peak);
        }
        Arc::make_mut(&mut self.names).remove(&id);
    }

    /// Who did not grow has no score.
    fn score(&mut self, person: Person, peak: u32) {
        if peak > BIRTH {
            self.ended.push((person, peak));
        }
    }

    fn step(&mut self) {
        for id in self.pilots.lapsed() {
            self.give_up(id);
        }
        if self.world.tick >= ROUND_SECONDS * RATE {
            self.begin_round();
        }
        let mut events = std::mem::take(&mut self.coming);
        events.extend(self.pilots.steer());
        self.recorder.note(self.world.tick, &events);
        let falls = self.world.step(&events);
        self.recorder.stepped(&self.world);
        for fall in falls {
            self.fell(fall.id, fall.by, fall.peak);
        }
        self.tick = self.tick.wrapping_add(1).max(1);
        if self.tick.is_multiple_of(BOARD_TICKS) {
            self.board = board(&self.world, &self.names);
        }
    }

    fn fell(&mut self, id: u16, by: u16, peak: u32) {
        if let Some(pilot) = self.pilots.remove(id) {
            let name = self.names.get(&by).cloned().unwrap_or_default();
            if let Ok(seat) = pilot.seat {
                self.fates.insert(seat, Role::Eaten { by, name });
            }
            self.score(pilot.person, peak);
            Arc::make_mut(&mut self.names).remove(&id);
        }
    }

    /// Everybody begins anew, in a new world.
    fn begin_round(&mut self) {
        let seed = (self.seeds)();
        let lives: Vec<_> = self
            .pilots
            .ids()
            .filter_map(|id| Some((self.pilots.get(id)?.person.clone(), self.world.body(id)?.peak)))
            .collect();
        for (person, peak) in lives {
            self.score(person, peak);
        }
        self.records.round_ended(&self.recorder);
        self.round += 1;
        self.seed = seed;
        self.world = World::new(seed);
        self.recorder = Recorder::new(seed);
        for (id, name) in self.names.iter() {
            self.recorder.name(*id, name);
        }
        self.pilots.begin_anew();
        self.coming = self.pilots.ids().map(Event::Enter).collect();
    }

    fn shot(&self) -> Shot {
        let away = |id: &u16| self.pilots.get(*id).is_some_and(|pilot| pilot.seat.is_err());
        let away: Vec<u16> = self.pilots.ids().filter(away).collect();
        let present = self.pilots.len() - away.len();
        let flight = |id| {
            let pilot = self.pilots.get(id)?;
            let (seat, acked) = (pilot.seat.ok(), pilot.acked);
            Some(Flight { id, seat, acked })
        };
        Shot {
            tick: self.tick,
            round: self.round,
            seed: self.seed,
            left: (ROUND_SECONDS.saturating_sub(self.world.tick / RATE)) as u16,
            players: self.pilots.len() as u16,
            watchers: self.viewers.saturating_sub(present) as u16,
            pilots: self.pilots.ids().filter_map(flight).collect(),
            scene: Scene::of(&self.world, &self.names, away, &self.board),
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
            let (scores, ended) = mpsc::channel(MAX_SCORES);
            let play = async {
                let scores = scores;
                while !stop.is_cancelled() {
                    if self.lock().is_alone() {
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = self.woken.notified() => {}
                        }
                    }
                    self.go_on(&stop, &scores).await;
                }
            };
            tokio::join!(play, tell(hub, ended));
        })
    }
}

/// To keep a score may take a disk's time: the ticks do not wait for it.
async fn tell(hub: Hub, mut ended: mpsc::Receiver<(Person, u32)>) {
    while let Some((by, mass)) = ended.recv().await {
        let id = CommandId::without_time(u128::from(random()) << 64 | u128::from(random()));
        let command = ScoresCommand::Tell { by, mass };
        if let Answer::Rejected(why) = hub.server_command::<Scores>(ALL, id, &command).await {
            tracing::warn!("a score is lost: {why}");
        }
    }
}

impl Simulation for Game {
    fn path(&self) -> &'static str {
        ARENA_PATH
    }

    fn purpose(&self) -> &'static str {
        "the arena's frames and turns, in binary messages of its own."
    }

    fn message_limit(&self) -> usize {
        MAX_TURN
    }

    fn join(self: Arc<Self>, person: &Person, hub: &Hub) -> Result<Box<dyn Participant>, JoinError> {
        let (number, body) = {
            let mut inner = self.lock();
            if inner.viewers >= MAX_VIEWERS {
                return Err(JoinError::Full);
            }
            inner.viewers += 1;
            inner.last_seat += 1;
            let number = inner.last_seat;
            // Who dropped, and is back in time, goes on at once.
            let gone = inner.pilots.of(&person.id).filter(|(_, pilot)| pilot.seat.is_err());
            let body = gone.map(|(id, pilot)| {
                Pilots::take(pilot, number);
                id
            });
            (number, body)
        };
        self.woken.notify_one();
        Ok(Box::new(Place::new(
            Arc::clone(&self),
            number,
            person.clone(),
            hub.clone(),
            body,
        )))
    }

    fn preview(&self) -> Option<String> {
        let inner = self.lock();
        let glance = Glance {
            players: inner.pilots.len() as u16,
            board: inner.board.to_vec(),
        };
        serde_json::to_string(&glance).ok()
    }

    fn record(&self) -> Option<Bytes> {
        let inner = &mut *self.lock();
        inner.records.newest(inner.world.tick, &inner.recorder)
    }
}

/// From the system's own randomness, by way of the standard library's hash maps.
fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}
