//! A topic for the tests of its decider: with its log, without a hub. Knows no task and no clock.

use super::Authority;
use super::decider::{Context, Decider, Millis, Principal, ServerCommand as _};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;
use duplex_protocol::topic::TopicName;

pub struct DeciderHarness<D: Decider> {
    pub decider: D,
    pub topic: TopicName,
    pub state: D::State,
    pub log: Vec<(Seq, D::Event)>,
    /// Of whoever commands next.
    pub authority: Authority,
    /// The tests' own.
    pub now: Millis,
}

impl<D: Decider> DeciderHarness<D> {
    pub fn new(decider: D, rest: &str) -> Self {
        Self {
            decider,
            topic: topic::<D>(rest),
            state: D::State::default(),
            log: Vec::new(),
            authority: Authority::VISITOR,
            now: 1_000_000,
        }
    }

    /// How many events the command made.
    pub fn made<'a>(&mut self, who: impl Into<Principal<'a>>, command: D::Command) -> Result<usize, Rejection> {
        let events = self.decider.decide(self.context(who.into()), &self.state, command)?;
        Ok(self.keep(events))
    }

    /// How many events a command of the server's own made.
    pub fn made_by_server(&mut self, command: D::ServerCommand) -> Result<usize, Rejection> {
        let events = command.decide(&self.decider, self.context(Principal::server()), &self.state)?;
        Ok(self.keep(events))
    }

    fn context<'a>(&'a self, who: Principal<'a>) -> Context<'a> {
        Context {
            topic: &self.topic,
            who: who.person,
            origin: who.origin,
            authority: self.authority,
            now: self.now,
            next: self.log.len() as Seq + 1,
        }
    }

    fn keep(&mut self, events: Vec<D::Event>) -> usize {
        let count = events.len();
        for event in events {
            let seq = self.log.len() as Seq + 1;
            D::apply(&mut self.state, seq, &event);
            self.log.push((seq, event));
        }
        count
    }

    pub fn say<'a>(&mut self, who: impl Into<Principal<'a>>, command: D::Command) -> Result<(), Rejection> {
        self.made(who, command).map(drop)
    }
}

#[expect(clippy::expect_used, reason = "a test that names no topic has failed")]
fn topic<D: Decider>(rest: &str) -> TopicName {
    TopicName::of::<D>(rest).expect("a topic's name")
}
