//! The game with its seats, without a network: the test owns the clock.

#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::game::Game;
use crate::apps::arena::model::best::Best;
use crate::apps::arena::model::body::{FULL, Intent, RATE};
use crate::apps::arena::wire::ROUND_SECONDS;
use crate::apps::arena::wire::frame::{Role, View};
use crate::apps::arena::wire::scores::{ALL, Scores};
use crate::apps::arena::wire::turn::{Turn, Wish};
use duplex_hub::log::memory::Memory;
use duplex_hub::simulation::{Participant, ProtocolError, Simulation as _};
use duplex_hub::testing;
use duplex_hub::{BackgroundTask as _, Hub, dyn_topic};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::{Person, PersonId};

struct World {
    game: Arc<Game>,
    hub: Hub,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    fn start() -> Self {
        // The same worlds in each run.
        let mut seeds = 1..;
        let seeds = Box::new(move || seeds.next().unwrap_or_default());
        let (game, stop) = (Game::with_seeds(seeds, false), CancellationToken::new());
        let hub = Hub::new(Arc::new(Memory::new(Epoch::new(3))), vec![dyn_topic(Scores)]);
        let running = tokio::spawn(Arc::clone(&game).run(hub.clone(), stop.clone()));
        Self {
            game,
            hub,
            stop,
            running,
        }
    }

    fn come(&self, who: u8) -> Viewer {
        let person = Person {
            id: PersonId(format!("{who:016x}")),
            name: String::new(),
        };
        Viewer {
            seat: Arc::clone(&self.game).join(&person, &self.hub).unwrap(),
            views: Vec::new(),
            turn: Turn {
                first: 1,
                ..Turn::default()
            },
        }
    }

    fn tick(&self) -> u32 {
        self.game.lock().tick
    }

    async fn best(&self) -> Best {
        testing::state::<Scores>(&self.hub, ALL).await
    }
}

struct Viewer {
    seat: Box<dyn Participant>,
    views: Vec<View>,
    turn: Turn,
}

impl Viewer {
    fn wish(&mut self, wish: Wish) {
        let number = self.turn.wish.as_ref().map_or(1, |(number, _)| number + 1);
        self.turn.wish = Some((number, wish));
        self.seat.on_message(&self.turn.encode()).unwrap();
    }

    async fn see(&mut self, intent: Option<Intent>) -> View {
        let bytes = loop {
            self.seat.ready().await;
            if let Some(bytes) = self.seat.next_frame() {
                break bytes;
            }
        };
        let views = &self.views;
        let view = View::decode(&bytes, |tick| views.iter().find(|view| view.tick == tick)).unwrap();
        self.turn.ack = view.tick;
        self.turn.intents = intent.into_iter().collect();
        self.seat.on_message(&self.turn.encode()).unwrap();
        self.turn.first += self.turn.intents.len() as u32;
        self.views = vec![view.clone()];
        view
    }
}

fn plays(view: &View) -> bool {
    matches!(view.role, Role::Playing { .. })
}

#[tokio::test(start_paused = true)]
async fn the_world_sleeps_when_nobody_is_there() {
    let world = World::start();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
    assert_eq!(world.tick(), 0);
    let mut viewer = world.come(1);
    viewer.wish(Wish::Play("Kim".to_owned()));
    while !plays(&viewer.see(None).await) {}
    drop(viewer);
    // The body waits for its player, and then the world has nobody.
    let mut last = 0;
    for _ in 0..2000 {
        tokio::time::advance(Duration::from_millis(34)).await;
        tokio::task::yield_now().await;
        last = world.tick();
    }
    // Not longer than it waits; less if a bot was hungry meanwhile.
    assert!((1..=21 * RATE).contains(&last), "{last}");
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
    assert_eq!(world.tick(), last);
    // And wakes.
    let mut again = world.come(2);
    assert!(again.see(None).await.tick > last);
    world.stop.cancel();
    world.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_life_came_to_is_kept() {
    let world = World::start();
    let mut player = world.come(1);
    player.wish(Wish::Play("  Kim  ".to_owned()));
    let mut best = 0;
    for tick in 0..20 * RATE {
        let heading = (tick / 40 * 37) as u8;
        let intent = Intent {
            heading,
            push: FULL,
            boost: false,
        };
        best = best.max(player.see(Some(intent)).await.peak);
    }
    assert!(best > 100, "nothing was gathered in 20 seconds");
    player.wish(Wish::Watch(None));
    while plays(&player.see(None).await) {}
    let scores = loop {
        let scores = world.best().await.scores;
        if !scores.is_empty() {
            break scores;
        }
        player.see(None).await;
    };
    assert_eq!((scores[0].by.name.as_str(), scores.len()), ("Kim", 1));
    assert!(scores[0].mass >= best);
}

#[tokio::test(start_paused = true)]
async fn a_round_ends_and_all_begin_anew_in_a_new_world() {
    let world = World::start();
    let mut player = world.come(1);
    player.wish(Wish::Play("Kim".to_owned()));
    let first = player.see(None).await;
    {
        let mut inner = world.game.lock();
        while inner.world.tick < ROUND_SECONDS * RATE {
            inner.world.step(&[]);
        }
    }
    let next = loop {
        let view = player.see(None).await;
        if view.round > first.round {
            break view;
        }
    };
    assert!(next.seed != first.seed && plays(&next), "{:?}", next.role);
    assert_eq!(next.body(next.focus).unwrap().mass, 100);
    assert!(next.left >= (ROUND_SECONDS - 1) as u16);
}

#[tokio::test(start_paused = true)]
async fn a_seat_trusts_nothing() {
    let world = World::start();
    let mut viewer = world.come(1);
    assert_eq!(viewer.seat.on_message(&[]), Err(ProtocolError::Malformed));
    assert_eq!(viewer.seat.on_message(&[1, 2, 3]), Err(ProtocolError::Malformed));
    viewer.turn.ack = 77_777;
    assert_eq!(viewer.seat.on_message(&viewer.turn.encode()), Ok(()));
    viewer.views.clear();
    assert!(
        !viewer.see(None).await.motes.is_empty(),
        "a whole frame for a wrong acknowledgement"
    );
}

#[tokio::test(start_paused = true)]
async fn the_seats_are_counted() {
    let world = World::start();
    let seats: Vec<_> = (0..500).map(|_| world.come(1)).collect();
    let person = Person {
        id: PersonId("f".repeat(16)),
        name: String::new(),
    };
    assert!(Arc::clone(&world.game).join(&person, &world.hub).is_err());
    drop(seats);
    assert!(Arc::clone(&world.game).join(&person, &world.hub).is_ok());
}
