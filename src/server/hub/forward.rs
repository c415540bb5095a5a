//! Commands that follow from a topic's events and go to other topics, in order, in the name of the server.
//! A topic never waits for another: what does not fit in the queue is lost, counted and said in the log.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::decider::Forward;
use super::handle::TopicHandle;
use super::stats::add;
use super::topics::Hub;
use crate::server::limits;
use crate::wire::codec::{Blob, Encoding};
use crate::wire::cursor::{Cursor, Seq};
use crate::wire::person::{Person, PersonId};
use crate::wire::session::{Answer, CommandId, Rejection};
use crate::wire::topic::TopicName;

/// Who commands in the name of the server. No visitor has this id.
pub fn server() -> Person {
    Person {
        id: PersonId("0000000000000000".to_owned()),
        name: String::new(),
    }
}

/// Whoever shows the server's token. No visitor has this id.
pub fn program() -> Person {
    Person {
        id: PersonId("ffffffffffffffff".to_owned()),
        name: String::new(),
    }
}

/// Of one topic; its task starts with the first forward.
pub struct Forwarder {
    hub: Hub,
    running: Option<(mpsc::Sender<Job>, JoinHandle<()>)>,
}

struct Job {
    id: CommandId,
    forward: Forward,
}

impl Forwarder {
    pub const fn new(hub: Hub) -> Self {
        Self { hub, running: None }
    }

    /// `at`: the event that they follow from.
    pub fn send(&mut self, from: &TopicName, at: Cursor, forwards: Vec<Forward>) {
        for (index, forward) in (0..).zip(forwards) {
            let job = Job {
                id: id(from, at, index),
                forward,
            };
            let (queue, _) = self.running.get_or_insert_with(|| start(self.hub.clone()));
            if let Err(error) = queue.try_send(job) {
                add(&self.hub.tally().forwards_lost, 1);
                tracing::warn!(%from, seq = at.seq, "a forward is lost: {error}");
            }
        }
    }

    /// Waits a while for what is still to be sent.
    pub async fn drain(&mut self) {
        if let Some((queue, task)) = self.running.take() {
            drop(queue);
            if timeout(limits::FORWARD_DRAIN, task).await.is_err() {
                tracing::warn!("forwards were still on their way");
            }
        }
    }
}

fn start(hub: Hub) -> (mpsc::Sender<Job>, JoinHandle<()>) {
    let (queue, mut jobs) = mpsc::channel::<Job>(limits::FORWARD_QUEUE);
    let task = tokio::spawn(async move {
        while let Some(Job { id, forward }) = jobs.recv().await {
            let count = match deliver(&hub, &id, &forward).await {
                Answer::Accepted { .. } => &hub.tally().forwards,
                Answer::Rejected(why) => {
                    tracing::warn!(topic = %forward.topic, "a forward was rejected: {why}");
                    &hub.tally().forwards_lost
                }
            };
            add(count, 1);
        }
    });
    (queue, task)
}

async fn deliver(hub: &Hub, id: &CommandId, forward: &Forward) -> Answer {
    let mut pause = Duration::ZERO;
    let mut attempt = 1;
    loop {
        sleep(pause).await;
        let answer = hub.tell(&forward.topic, id.clone(), &forward.command).await;
        match &answer {
            Answer::Rejected(why) if why.may_retry() && attempt < limits::FORWARD_ATTEMPTS => {}
            _ => return answer,
        }
        attempt += 1;
        pause = limits::FORWARD_PAUSE;
    }
}

impl Hub {
    /// A command of the server itself: nobody is asked to admit it.
    pub async fn tell(&self, topic: &TopicName, id: CommandId, command: &serde_json::Value) -> Answer {
        match self.open_even_closing(topic).await {
            Ok(handle) => self.tell_handle(handle, id, command).await,
            Err(denied) => Answer::Rejected(Rejection::Denied(denied)),
        }
    }

    pub(super) async fn tell_handle(&self, handle: TopicHandle, id: CommandId, command: &serde_json::Value) -> Answer {
        let command = match Blob::encode(Encoding::Json, command) {
            Ok(command) => command,
            Err(error) => {
                let what = error.to_string();
                return Answer::Rejected(Rejection::Malformed { what });
            }
        };
        let handle = handle.for_server();
        if command.0 == b"null" {
            return Answer::Accepted { seq: handle.head().seq };
        }
        handle.command(server(), id, command, Encoding::Json).await.0
    }
}

/// The same whenever it is made, so that a forward that is sent again is known.
fn id(from: &TopicName, at: Cursor, index: u32) -> CommandId {
    let Cursor { epoch, seq, .. } = at;
    let seq: Seq = seq;
    let mut hash = Sha256::new();
    hash.update(from.as_str());
    hash.update([0]);
    for part in [epoch.get(), seq, index.into()] {
        hash.update(part.to_be_bytes());
    }
    let hash = hash.finalize();
    CommandId::without_time(hash.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}
