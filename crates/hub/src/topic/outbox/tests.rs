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
use crate::log::memory::MemoryLog;
use crate::topic::dyn_topic::dyn_topic;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::session::{CommandId, Denial};
use duplex_protocol::topic::Topic;

struct Source;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Message {
    text: String,
    to: Vec<String>,
    erases: Option<Seq>,
}

impl Topic for Source {
    const KIND: &'static str = "source";
    type Command = Message;
    type Event = Message;
    type State = u64;

    fn apply(count: &mut u64, _: Seq, _: &Message) {
        *count += 1;
    }
}

impl Decider for Source {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &u64, message: Message) -> Result<Vec<Message>, Rejection> {
        Ok(vec![message])
    }

    fn forward(&self, _: &TopicName, _: &u64, _: Seq, message: &Message) -> Vec<Forward> {
        let forward = |to: &String| {
            let topic: TopicName = to.parse().unwrap();
            match &*message.text {
                "start" => Forward::start::<Target>(topic.rest()).unwrap(),
                text => TopicCommand::new(topic, &text).unwrap().into(),
            }
        };
        message.to.iter().map(forward).collect()
    }

    fn redacts(&self, _: &u64, message: &Message) -> Redaction {
        message
            .erases
            .map_or(Redaction::Nothing, |seq| Redaction::Events(vec![seq]))
    }

    fn redacted(&self, message: Message) -> Message {
        let text = String::new();
        Message { text, ..message }
    }
}

/// Finally rejects "no"; while the flag is set, its topic `blocked` rejects everything as retryable.
struct Target(Arc<AtomicBool>);

impl Topic for Target {
    const KIND: &'static str = "target";
    type Command = NoCommand;
    type Event = String;
    type State = Vec<String>;

    fn apply(received: &mut Vec<String>, _: Seq, text: &String) {
        received.push(text.clone());
    }
}

impl Decider for Target {
    type ServerCommand = String;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &Vec<String>, none: NoCommand) -> Result<Vec<String>, Rejection> {
        match none {}
    }
}

impl ServerCommand<Target> for String {
    fn decide(self, target: &Target, context: Context<'_>, _: &Vec<String>) -> Result<Vec<String>, Rejection> {
        match &*self {
            _ if context.topic.rest() == "blocked" && target.0.load(SeqCst) => Err(Rejection::Unavailable),
            "no" => Err(Rejection::custom("no")),
            _ => Ok(vec![self]),
        }
    }
}

const BLOCKED: &str = "target/blocked";
const OPEN: &str = "target/open";

/// A hub whose topic `target/blocked` can be blocked.
struct Process {
    hub: Hub,
    blocked: Arc<AtomicBool>,
    log: Arc<MemoryLog>,
}

impl Process {
    fn start(log: &Arc<MemoryLog>, blocked: bool) -> Self {
        let (log, blocked) = (Arc::clone(log), Arc::new(AtomicBool::new(blocked)));
        let kinds = vec![dyn_topic(Source), dyn_topic(Target(Arc::clone(&blocked)))];
        let hub = Hub::new(Arc::<MemoryLog>::clone(&log), kinds);
        Self { hub, blocked, log }
    }

    async fn send(&self, message: Message) -> Answer {
        let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
        self.hub.send::<Source>("one", id, &message).await
    }

    async fn send_text(&self, text: &str, to: &[&str]) -> Answer {
        let to = to.iter().map(ToString::to_string).collect();
        let text = text.to_owned();
        self.send(Message { text, to, erases: None }).await
    }

    async fn received(&self, topic: &str) -> Vec<String> {
        let handle = self.hub.open(&topic.parse().unwrap()).await.unwrap();
        let (_, state) = handle.state(Encoding::Json).await.unwrap();
        state.decode(Encoding::Json).unwrap()
    }

    async fn stored(&self) -> usize {
        self.log.forwards(None).await.unwrap().len()
    }

    async fn until_stored(&self, count: usize) {
        while self.stored().await != count {
            yield_now().await;
            advance(Duration::from_millis(50)).await;
        }
    }
}

fn log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(Epoch::new(7)))
}

fn accepted(answer: &Answer) -> bool {
    matches!(answer, Answer::Accepted { .. })
}

#[tokio::test(start_paused = true)]
async fn forwards_stored_with_an_event_are_delivered_by_the_next_process() {
    let log = log();
    let before = Process::start(&log, true);
    assert!(accepted(&before.send_text("a", &[BLOCKED, BLOCKED]).await));
    assert!(accepted(&before.send_text("b", &[BLOCKED]).await));
    assert_eq!(before.stored().await, 3);
    let after = Process::start(&log, false);
    after.hub.start_outbox();
    after.until_stored(0).await;
    assert_eq!(after.received(BLOCKED).await, ["a", "a", "b"]);
    assert!(
        !after.hub.is_awake(&"source/one".parse().unwrap()),
        "the source is not started"
    );
    assert_eq!(after.hub.stats().forwards, 3);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_target_gets_all_in_order_later_and_blocks_no_other() {
    let process = Process::start(&log(), true);
    let texts = ["1", "2", "3", "4", "5"];
    for text in texts {
        assert!(accepted(&process.send_text(text, &[BLOCKED, OPEN]).await));
    }
    process.until_stored(texts.len()).await;
    assert_eq!(process.received(OPEN).await, texts);
    assert!(process.received(BLOCKED).await.is_empty());
    assert_eq!(process.hub.pending_forwards(), texts.len());
    process.blocked.store(false, SeqCst);
    process.until_stored(0).await;
    assert_eq!(process.received(BLOCKED).await, texts);
    assert_eq!(process.hub.stats().forwards_dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn a_finally_rejected_forward_is_counted_and_removed() {
    let process = Process::start(&log(), false);
    for text in ["a", "no", "b"] {
        assert!(accepted(&process.send_text(text, &[OPEN]).await));
    }
    assert!(accepted(&process.send_text("c", &["unknown/x", OPEN]).await));
    process.until_stored(0).await;
    assert_eq!(process.received(OPEN).await, ["a", "b", "c"]);
    let stats = process.hub.stats();
    assert_eq!((stats.forwards, stats.forwards_dropped), (3, 2));
    assert_eq!(process.hub.pending_forwards(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_with_too_many_pending_forwards_is_rejected_until_they_are_delivered() {
    let process = Process::start(&log(), true);
    let many = vec![BLOCKED; 64];
    for _ in 0..limits::MAX_FORWARDS_PER_TOPIC / many.len() {
        assert!(accepted(&process.send_text("x", &many).await));
    }
    assert_eq!(
        process.send_text("x", &[OPEN]).await,
        Answer::Rejected(Rejection::Unavailable)
    );
    assert_eq!(process.stored().await, limits::MAX_FORWARDS_PER_TOPIC, "none is lost");
    process.blocked.store(false, SeqCst);
    process.until_stored(0).await;
    assert!(accepted(&process.send_text("x", &[OPEN]).await));
    assert_eq!(process.received(BLOCKED).await.len(), limits::MAX_FORWARDS_PER_TOPIC);
}

#[tokio::test(start_paused = true)]
async fn pending_forwards_of_a_redacted_event_are_removed() {
    let process = Process::start(&log(), true);
    process.send_text("secret", &[BLOCKED]).await;
    process.send_text("fine", &[BLOCKED]).await;
    let erasing = Message {
        text: "erased".to_owned(),
        to: vec![BLOCKED.to_owned()],
        erases: Some(1),
    };
    assert!(accepted(&process.send(erasing).await));
    assert_eq!(process.stored().await, 2);
    process.blocked.store(false, SeqCst);
    process.until_stored(0).await;
    assert_eq!(process.received(BLOCKED).await, ["fine", "erased"]);
    assert_eq!(process.hub.stats().forwards_dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_forward_without_a_command_starts_its_topic() {
    let process = Process::start(&log(), false);
    assert!(accepted(&process.send_text("start", &[OPEN]).await));
    process.until_stored(0).await;
    assert!(process.hub.is_awake(&OPEN.parse().unwrap()));
    assert!(process.received(OPEN).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn closing_delivers_available_forwards_and_keeps_the_others() {
    let log = log();
    let process = Process::start(&log, true);
    process.send_text("a", &[OPEN, BLOCKED]).await;
    process.hub.close().await;
    assert_eq!(process.stored().await, 1);
    let next = Process::start(&log, false);
    assert_eq!(next.received(OPEN).await, ["a"]);
    next.hub.start_outbox();
    next.until_stored(0).await;
    assert_eq!(next.received(BLOCKED).await, ["a"]);
}

/// Simulates a crash between the effect and the removal of the forward.
#[tokio::test(start_paused = true)]
async fn a_redelivered_forward_has_one_effect() {
    let log = log();
    let first = Process::start(&log, true);
    first.send_text("a", &[BLOCKED]).await;
    let stored = log.forwards(None).await.unwrap();
    first.blocked.store(false, SeqCst);
    first.until_stored(0).await;
    first.hub.forward(stored, 0);
    while first.hub.pending_forwards() > 0 {
        yield_now().await;
    }
    assert_eq!(first.received(BLOCKED).await, ["a"]);
    assert_eq!(first.hub.stats().duplicates, 1);
}
