//! Tests of the game and its viewers without a network, on a paused clock.

#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::game::Game;
use crate::apps::arena::model::body::{Input, MAX_THRUST, TICK_RATE};
use crate::apps::arena::model::high_scores::HighScores;
use crate::apps::arena::wire::ROUND_SECONDS;
use crate::apps::arena::wire::frame::{Frame, Role};
use crate::apps::arena::wire::input::{InputMessage, RoleRequest};
use crate::apps::arena::wire::scores::{ALL, Scores};
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::simulation::{MessageError, Participant, Simulation as _};
use duplex_hub::testing;
use duplex_hub::{BackgroundTask as _, Hub, dyn_topic};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::{Person, PersonId};

struct Harness {
    game: Arc<Game>,
    hub: Hub,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Harness {
    fn start() -> Self {
        // Fixed seeds: every run has the same worlds.
        let mut seeds = 1..;
        let seeds = Box::new(move || seeds.next().unwrap_or_default());
        let (game, stop) = (Game::with_seed_source(seeds, false), CancellationToken::new());
        let hub = Hub::new(Arc::new(MemoryLog::new(Epoch::new(3))), vec![dyn_topic(Scores)]);
        let task = tokio::spawn(Arc::clone(&game).run(hub.clone(), stop.clone()));
        Self { game, hub, stop, task }
    }

    fn join(&self, who: u8) -> Viewer {
        let person = Person {
            id: PersonId(format!("{who:016x}")),
            name: String::new(),
        };
        Viewer {
            participant: Arc::clone(&self.game).join(&person, &self.hub).unwrap(),
            frames: Vec::new(),
            message: InputMessage {
                first_input: 1,
                ..InputMessage::default()
            },
        }
    }

    fn tick(&self) -> u32 {
        self.game.lock().tick
    }

    async fn high_scores(&self) -> HighScores {
        testing::state::<Scores>(&self.hub, ALL).await
    }
}

struct Viewer {
    participant: Box<dyn Participant>,
    frames: Vec<Frame>,
    message: InputMessage,
}

impl Viewer {
    fn request(&mut self, request: RoleRequest) {
        let number = self.message.request.as_ref().map_or(1, |(number, _)| number + 1);
        self.message.request = Some((number, request));
        self.participant.on_message(&self.message.encode()).unwrap();
    }

    async fn next_frame(&mut self, input: Option<Input>) -> Frame {
        let bytes = loop {
            self.participant.ready().await;
            if let Some(bytes) = self.participant.next_frame() {
                break bytes;
            }
        };
        let frames = &self.frames;
        let frame = Frame::decode(&bytes, |tick| frames.iter().find(|frame| frame.tick == tick)).unwrap();
        self.message.ack = frame.tick;
        self.message.inputs = input.into_iter().collect();
        self.participant.on_message(&self.message.encode()).unwrap();
        self.message.first_input += self.message.inputs.len() as u32;
        self.frames = vec![frame.clone()];
        frame
    }
}

fn is_playing(frame: &Frame) -> bool {
    matches!(frame.role, Role::Playing { .. })
}

#[tokio::test(start_paused = true)]
async fn ticks_stop_without_viewers_and_bodies() {
    let harness = Harness::start();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
    assert_eq!(harness.tick(), 0);
    let mut viewer = harness.join(1);
    viewer.request(RoleRequest::Play("Kim".to_owned()));
    while !is_playing(&viewer.next_frame(None).await) {}
    drop(viewer);
    // The body stays for the grace period; then the world is empty.
    let mut last = 0;
    for _ in 0..2000 {
        tokio::time::advance(Duration::from_millis(34)).await;
        tokio::task::yield_now().await;
        last = harness.tick();
    }
    // Not longer than the grace period; less if a bot ate the body.
    assert!((1..=21 * TICK_RATE).contains(&last), "{last}");
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
    assert_eq!(harness.tick(), last);
    // Ticks resume with the next viewer.
    let mut next_viewer = harness.join(2);
    assert!(next_viewer.next_frame(None).await.tick > last);
    harness.stop.cancel();
    harness.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_score_of_a_life_is_stored() {
    let harness = Harness::start();
    let mut player = harness.join(1);
    player.request(RoleRequest::Play("  Kim  ".to_owned()));
    let mut best = 0;
    for tick in 0..20 * TICK_RATE {
        let heading = (tick / 40 * 37) as u8;
        let input = Input {
            heading,
            thrust: MAX_THRUST,
            boost: false,
        };
        best = best.max(player.next_frame(Some(input)).await.peak);
    }
    assert!(best > 100, "no mote was collected in 20 seconds");
    player.request(RoleRequest::Watch(None));
    while is_playing(&player.next_frame(None).await) {}
    let scores = loop {
        let scores = harness.high_scores().await.scores;
        if !scores.is_empty() {
            break scores;
        }
        player.next_frame(None).await;
    };
    assert_eq!((scores[0].by.name.as_str(), scores.len()), ("Kim", 1));
    assert!(scores[0].mass >= best);
}

#[tokio::test(start_paused = true)]
async fn a_round_ends_and_the_next_has_a_new_world() {
    let harness = Harness::start();
    let mut player = harness.join(1);
    player.request(RoleRequest::Play("Kim".to_owned()));
    let first = player.next_frame(None).await;
    {
        let mut inner = harness.game.lock();
        while inner.world.tick < ROUND_SECONDS * TICK_RATE {
            inner.world.step(&[]);
        }
    }
    let next = loop {
        let frame = player.next_frame(None).await;
        if frame.round > first.round {
            break frame;
        }
    };
    assert!(next.seed != first.seed && is_playing(&next), "{:?}", next.role);
    assert_eq!(next.body(next.focus).unwrap().mass, 100);
    assert!(next.seconds_left >= (ROUND_SECONDS - 1) as u16);
}

#[tokio::test(start_paused = true)]
async fn invalid_messages_and_acknowledgements_are_rejected() {
    let harness = Harness::start();
    let mut viewer = harness.join(1);
    assert_eq!(viewer.participant.on_message(&[]), Err(MessageError::Malformed));
    assert_eq!(viewer.participant.on_message(&[1, 2, 3]), Err(MessageError::Malformed));
    viewer.message.ack = 77_777;
    assert_eq!(viewer.participant.on_message(&viewer.message.encode()), Ok(()));
    viewer.frames.clear();
    assert!(
        !viewer.next_frame(None).await.motes.is_empty(),
        "a full frame for an unknown acknowledgement"
    );
}

#[tokio::test(start_paused = true)]
async fn the_number_of_viewers_is_limited() {
    let harness = Harness::start();
    let viewers: Vec<_> = (0..500).map(|_| harness.join(1)).collect();
    let person = Person {
        id: PersonId("f".repeat(16)),
        name: String::new(),
    };
    assert!(Arc::clone(&harness.game).join(&person, &harness.hub).is_err());
    drop(viewers);
    assert!(Arc::clone(&harness.game).join(&person, &harness.hub).is_ok());
}
