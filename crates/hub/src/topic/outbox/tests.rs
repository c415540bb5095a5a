//! Tests of the outbox.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::yield_now;
use tokio::time::advance;

use super::*;
use crate::command::TopicCommand;
use crate::decider::{Access, Context, Decider, Forward, NoCommand, Principal, Redaction, ServerCommand};
use crate::log::Log;
use crate::log::memory::Memory;
use crate::topic::dyn_topic::dyn_topic;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::session::Denied;
use duplex_protocol::topic::Topic;

struct Teller;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    text: String,
    to: Vec<String>,
    erases: Option<Seq>,
}

impl Topic for Teller {
    const KIND: &'static str = "teller";
    type Command = Told;
    type Event = Told;
    type State = u64;

    fn apply(count: &mut u64, _: Seq, _: &Told) {
        *count += 1;
    }
}

impl Decider for Teller {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denied> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &u64, told: Told) -> Result<Vec<Told>, Rejection> {
        Ok(vec![told])
    }

    fn forward(&self, _: &TopicName, _: &u64, _: Seq, told: &Told) -> Vec<Forward> {
        let forward = |to: &String| {
            let topic: TopicName = to.parse().unwrap();
            match &*told.text {
                "start" => Forward::start::<Hearer>(topic.rest()).unwrap(),
                text => TopicCommand::new(topic, &text).unwrap().into(),
            }
        };
        told.to.iter().map(forward).collect()
    }

    fn redacts(&self, _: &u64, told: &Told) -> Redaction {
        told.erases
            .map_or(Redaction::Nothing, |seq| Redaction::Events(vec![seq]))
    }

    fn redacted(&self, told: Told) -> Told {
        let text = String::new();
        Told { text, ..told }
    }
}

/// Refuses for ever what says "no", and everything for now in its topic `shut` while it is.
struct Hearer(Arc<AtomicBool>);

impl Topic for Hearer {
    const KIND: &'static str = "hearer";
    type Command = NoCommand;
    type Event = String;
    type State = Vec<String>;

    fn apply(heard: &mut Vec<String>, _: Seq, text: &String) {
        heard.push(text.clone());
    }
}

impl Decider for Hearer {
    type ServerCommand = String;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denied> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &Vec<String>, none: NoCommand) -> Result<Vec<String>, Rejection> {
        match none {}
    }
}

impl ServerCommand<Hearer> for String {
    fn decide(self, hearer: &Hearer, at: Context<'_>, _: &Vec<String>) -> Result<Vec<String>, Rejection> {
        match &*self {
            _ if at.topic.rest() == "shut" && hearer.0.load(SeqCst) => Err(Rejection::Unavailable),
            "no" => Err(Rejection::refused("no")),
            _ => Ok(vec![self]),
        }
    }
}

const SHUT: &str = "hearer/shut";
const OPEN: &str = "hearer/open";

/// One process, whose topic `shut` is shut or not.
struct Process {
    hub: Hub,
    shut: Arc<AtomicBool>,
    log: Arc<Memory>,
}

impl Process {
    fn start(log: &Arc<Memory>, shut: bool) -> Self {
        let (log, shut) = (Arc::clone(log), Arc::new(AtomicBool::new(shut)));
        let kinds = vec![dyn_topic(Teller), dyn_topic(Hearer(Arc::clone(&shut)))];
        let hub = Hub::new(Arc::<Memory>::clone(&log), kinds);
        Self { hub, shut, log }
    }

    async fn say(&self, told: Told) -> Answer {
        let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
        self.hub.tell::<Teller>("one", id, &told).await
    }

    async fn tell(&self, text: &str, to: &[&str]) -> Answer {
        let to = to.iter().map(ToString::to_string).collect();
        let text = text.to_owned();
        self.say(Told { text, to, erases: None }).await
    }

    async fn heard(&self, topic: &str) -> Vec<String> {
        let handle = self.hub.open(&topic.parse().unwrap()).await.unwrap();
        let (_, state) = handle.state(Encoding::Json).await.unwrap();
        state.decode(Encoding::Json).unwrap()
    }

    async fn kept(&self) -> usize {
        self.log.forwards(None).await.unwrap().len()
    }

    async fn until_kept(&self, count: usize) {
        while self.kept().await != count {
            yield_now().await;
            advance(Duration::from_millis(50)).await;
        }
    }
}

fn log() -> Arc<Memory> {
    Arc::new(Memory::new(Epoch::new(7)))
}

fn accepted(answer: &Answer) -> bool {
    matches!(answer, Answer::Accepted { .. })
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_with_an_event_is_delivered_by_the_next_process() {
    let log = log();
    let before = Process::start(&log, true);
    assert!(accepted(&before.tell("a", &[SHUT, SHUT]).await));
    assert!(accepted(&before.tell("b", &[SHUT]).await));
    assert_eq!(before.kept().await, 3);
    let after = Process::start(&log, false);
    after.hub.deliver_forwards();
    after.until_kept(0).await;
    assert_eq!(after.heard(SHUT).await, ["a", "a", "b"]);
    assert!(!after.hub.is_awake(&"teller/one".parse().unwrap()), "nobody visited it");
    assert_eq!(after.hub.stats().forwards, 3);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_shut_gets_all_in_order_later_and_holds_up_no_other() {
    let process = Process::start(&log(), true);
    let texts = ["1", "2", "3", "4", "5"];
    for text in texts {
        assert!(accepted(&process.tell(text, &[SHUT, OPEN]).await));
    }
    process.until_kept(texts.len()).await;
    assert_eq!(process.heard(OPEN).await, texts);
    assert!(process.heard(SHUT).await.is_empty());
    assert_eq!(process.hub.forwards_waiting(), texts.len());
    process.shut.store(false, SeqCst);
    process.until_kept(0).await;
    assert_eq!(process.heard(SHUT).await, texts);
    assert_eq!(process.hub.stats().forwards_lost, 0);
}

#[tokio::test(start_paused = true)]
async fn a_forward_that_is_refused_for_good_is_counted_and_gone() {
    let process = Process::start(&log(), false);
    for text in ["a", "no", "b"] {
        assert!(accepted(&process.tell(text, &[OPEN]).await));
    }
    assert!(accepted(&process.tell("c", &["unknown/x", OPEN]).await));
    process.until_kept(0).await;
    assert_eq!(process.heard(OPEN).await, ["a", "b", "c"]);
    let stats = process.hub.stats();
    assert_eq!((stats.forwards, stats.forwards_lost), (3, 2));
    assert_eq!(process.hub.forwards_waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_forwards_wait_in_great_number_is_refused_until_they_go() {
    let process = Process::start(&log(), true);
    let many = vec![SHUT; 64];
    for _ in 0..limits::FORWARDS_OF_TOPIC / many.len() {
        assert!(accepted(&process.tell("x", &many).await));
    }
    assert_eq!(
        process.tell("x", &[OPEN]).await,
        Answer::Rejected(Rejection::Unavailable)
    );
    assert_eq!(process.kept().await, limits::FORWARDS_OF_TOPIC, "none is lost");
    process.shut.store(false, SeqCst);
    process.until_kept(0).await;
    assert!(accepted(&process.tell("x", &[OPEN]).await));
    assert_eq!(process.heard(SHUT).await.len(), limits::FORWARDS_OF_TOPIC);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_of_an_erased_event_goes_with_it() {
    let process = Process::start(&log(), true);
    process.tell("secret", &[SHUT]).await;
    process.tell("fine", &[SHUT]).await;
    let erasing = Told {
        text: "erased".to_owned(),
        to: vec![SHUT.to_owned()],
        erases: Some(1),
    };
    assert!(accepted(&process.say(erasing).await));
    assert_eq!(process.kept().await, 2);
    process.shut.store(false, SeqCst);
    process.until_kept(0).await;
    assert_eq!(process.heard(SHUT).await, ["fine", "erased"]);
    assert_eq!(process.hub.stats().forwards_lost, 1);
}

#[tokio::test(start_paused = true)]
async fn a_forward_without_a_command_starts_its_topic() {
    let process = Process::start(&log(), false);
    assert!(accepted(&process.tell("start", &[OPEN]).await));
    process.until_kept(0).await;
    assert!(process.hub.is_awake(&OPEN.parse().unwrap()));
    assert!(process.heard(OPEN).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ends_delivers_what_it_can_and_keeps_the_rest() {
    let log = log();
    let process = Process::start(&log, true);
    process.tell("a", &[OPEN, SHUT]).await;
    process.hub.close().await;
    assert_eq!(process.kept().await, 1);
    let next = Process::start(&log, false);
    assert_eq!(next.heard(OPEN).await, ["a"]);
    next.hub.deliver_forwards();
    next.until_kept(0).await;
    assert_eq!(next.heard(SHUT).await, ["a"]);
}

/// A process that was killed after the effect, and whose log still had the forward.
#[tokio::test(start_paused = true)]
async fn a_forward_that_is_delivered_again_has_its_effect_once() {
    let log = log();
    let first = Process::start(&log, true);
    first.tell("a", &[SHUT]).await;
    let kept = log.forwards(None).await.unwrap();
    first.shut.store(false, SeqCst);
    first.until_kept(0).await;
    first.hub.forward(kept);
    while first.hub.forwards_waiting() > 0 {
        yield_now().await;
    }
    assert_eq!(first.heard(SHUT).await, ["a"]);
    assert_eq!(first.hub.stats().again, 1);
}
