//! Test helpers: deciders without a hub, and the state of a hub's topic.

use super::decider::{Context, Decider, Millis, Principal, ServerCommand as _};
use super::{Authority, Hub};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;
use duplex_protocol::topic::{Topic, TopicName};

/// One topic with its state and its events in memory: sends commands to a decider and applies their events. Tests may change the
/// fields between commands.
pub struct DeciderHarness<D: Decider> {
    /// The decider.
    pub decider: D,
    /// The topic's name.
    pub topic: TopicName,
    /// The fold of the events.
    pub state: D::State,
    /// The events, by seq.
    pub events: Vec<(Seq, D::Event)>,
    /// The authority of the next sender; initially a visitor's.
    pub authority: Authority,
    /// The time of the next command; initially 1,000,000.
    pub now: Millis,
}

impl<D: Decider> DeciderHarness<D> {
    /// A topic without events: `rest` of the decider's kind.
    ///
    /// # Panics
    ///
    /// If `rest` is no valid topic name.
    pub fn new(decider: D, rest: &str) -> Self {
        Self {
            decider,
            topic: topic::<D>(rest),
            state: D::State::default(),
            events: Vec::new(),
            authority: Authority::VISITOR,
            now: 1_000_000,
        }
    }

    /// Sends a command and applies its events. Returns the number of events.
    ///
    /// # Errors
    ///
    /// The decider's rejection; the state is then unchanged.
    pub fn execute<'a>(&mut self, who: impl Into<Principal<'a>>, command: D::Command) -> Result<usize, Rejection> {
        let events = self.decider.decide(self.context(who.into()), &self.state, command)?;
        Ok(self.apply_all(events))
    }

    /// Like [`Self::execute`], with a server command.
    pub fn execute_as_server(&mut self, command: D::ServerCommand) -> Result<usize, Rejection> {
        let events = command.decide(&self.decider, self.context(Principal::server()), &self.state)?;
        Ok(self.apply_all(events))
    }

    fn context<'a>(&'a self, who: Principal<'a>) -> Context<'a> {
        Context {
            topic: &self.topic,
            sender: who.person,
            sender_kind: who.sender_kind,
            authority: self.authority,
            now: self.now,
            next_seq: self.events.len() as Seq + 1,
        }
    }

    fn apply_all(&mut self, events: Vec<D::Event>) -> usize {
        let count = events.len();
        for event in events {
            let seq = self.events.len() as Seq + 1;
            D::apply(&mut self.state, seq, &event);
            self.events.push((seq, event));
        }
        count
    }

    /// Like [`Self::execute`], but discards the count.
    ///
    /// # Errors
    ///
    /// The decider's rejection.
    pub fn send<'a>(&mut self, who: impl Into<Principal<'a>>, command: D::Command) -> Result<(), Rejection> {
        self.execute(who, command).map(drop)
    }
}

/// The state of the topic `rest` of `T`'s kind. Starts the topic.
///
/// # Panics
///
/// If `rest` is no valid topic name, or the topic cannot be opened or read.
#[expect(clippy::expect_used, reason = "a test whose topic cannot be read has failed")]
pub async fn state<T: Topic>(hub: &Hub, rest: &str) -> T::State {
    let topic = hub.open(&topic::<T>(rest)).await.expect("a topic");
    let (_, state) = topic.state(Encoding::Json).await.expect("a topic's state");
    state.decode(Encoding::Json).expect("a state of this kind")
}

#[expect(clippy::expect_used, reason = "a test that names no topic has failed")]
fn topic<T: Topic>(rest: &str) -> TopicName {
    TopicName::of::<T>(rest).expect("a topic's name")
}
