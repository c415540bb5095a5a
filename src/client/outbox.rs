//! Commands on their way: kept in order until they are answered, and sent again with the same id until then.
//! Pure; knows no line and no command's meaning.

use std::collections::VecDeque;

use serde::Serialize;

use super::ladder::Millis;
use super::link::Unsent;
use crate::wire::codec::{Blob, CodecError, Encoding};
use crate::wire::cursor::Seq;
use crate::wire::session::{CommandId, MAX_COMMAND};
use crate::wire::topic::TopicName;

/// Commands of a tab without an answer: what somebody types while the network is away, and a stop to what a program does.
pub const MAX_QUEUED: usize = 64;

/// A command in every encoding: which one will carry it is not known when it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Body([Blob; 2]);

impl Body {
    pub fn of<C: Serialize>(command: &C) -> Result<Self, CodecError> {
        let [first, second] = Encoding::ALL;
        Ok(Self([Blob::encode(first, command)?, Blob::encode(second, command)?]))
    }

    pub fn is_too_large(&self) -> bool {
        self.0.iter().any(|blob| blob.0.len() > MAX_COMMAND)
    }

    pub fn in_encoding(&self, encoding: Encoding) -> Blob {
        let [first, second] = &self.0;
        let blob = if Encoding::ALL[0] == encoding { first } else { second };
        blob.clone()
    }
}

#[derive(Debug)]
pub struct Outgoing {
    pub topic: TopicName,
    pub id: CommandId,
    pub body: Body,
    /// The line that carries it now.
    on: Option<u32>,
    /// How often it was sent. Once sent, it may have had its effect.
    attempts: u32,
    /// Done; its newest event is still to come.
    accepted: Option<Seq>,
}

#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Outgoing>,
    /// A carrier that failed is not asked again before.
    pub not_before: Millis,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn unanswered(&self) -> usize {
        self.queue.iter().filter(|command| command.accepted.is_none()).count()
    }

    /// What has no answer yet, in order.
    pub fn unsent(&self) -> Vec<Unsent> {
        let waiting = self.queue.iter().filter(|command| command.accepted.is_none());
        let shown = waiting.map(|command| Unsent {
            topic: command.topic.clone(),
            id: command.id.clone(),
            attempts: command.attempts,
        });
        shown.collect()
    }

    /// False: it is full.
    pub fn push(&mut self, topic: TopicName, id: CommandId, body: Body) -> bool {
        let room = self.queue.len() < MAX_QUEUED;
        if room {
            self.queue.push_back(Outgoing {
                topic,
                id,
                body,
                on: None,
                attempts: 0,
                accepted: None,
            });
        }
        room
    }

    /// The next one to send on this line, with at most `at_once` unanswered on it; whether it is its first time.
    pub fn next(&mut self, line: u32, at_once: usize) -> Option<(&Outgoing, bool)> {
        let waiting = |command: &Outgoing| command.accepted.is_none();
        let under_way = self.queue.iter().filter(|c| waiting(c) && c.on == Some(line)).count();
        if under_way >= at_once {
            return None;
        }
        let next = self.queue.iter_mut().find(|c| waiting(c) && c.on != Some(line))?;
        next.on = Some(line);
        next.attempts = next.attempts.saturating_add(1);
        Some((next, next.attempts == 1))
    }

    /// It did not go out, or nobody knows: it will be sent again.
    pub fn put_back(&mut self, id: &CommandId) {
        if let Some(command) = self.queue.iter_mut().find(|command| command.id == *id) {
            command.on = None;
        }
    }

    /// An attempt before the present one had no answer, so that one may have had its effect whatever becomes of this one.
    pub fn is_uncertain(&self, id: &CommandId) -> bool {
        self.queue
            .iter()
            .any(|command| command.id == *id && command.attempts > 1)
    }

    /// Answered for good.
    pub fn take(&mut self, id: &CommandId) -> Option<Outgoing> {
        let place = self.queue.iter().position(|command| command.id == *id)?;
        self.queue.remove(place)
    }

    /// Takes back what was never sent.
    pub fn cancel(&mut self, id: &CommandId) -> Option<Outgoing> {
        let place = self
            .queue
            .iter()
            .position(|command| command.id == *id && command.attempts == 0)?;
        self.queue.remove(place)
    }

    /// Accepted; stays until its events are seen.
    pub fn accept(&mut self, id: &CommandId, seq: Seq) -> Option<TopicName> {
        let command = self.queue.iter_mut().find(|command| command.id == *id)?;
        command.accepted = Some(seq);
        Some(command.topic.clone())
    }

    /// The accepted commands of a topic whose events have all been seen, or will not be.
    pub fn seen(&mut self, topic: &TopicName, up_to: Seq) -> Vec<CommandId> {
        let (mut seen, mut rest) = (Vec::new(), VecDeque::with_capacity(self.queue.len()));
        for command in self.queue.drain(..) {
            if command.topic == *topic && command.accepted.is_some_and(|seq| seq <= up_to) {
                seen.push(command.id);
            } else {
                rest.push_back(command);
            }
        }
        self.queue = rest;
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> TopicName {
        "chat/lobby".parse().unwrap()
    }

    fn id(n: u128) -> CommandId {
        CommandId::from_random(n)
    }

    fn filled(count: usize) -> Outbox {
        let mut outbox = Outbox::default();
        for n in 0..count {
            assert!(outbox.push(topic(), id(n as u128), Body::of(&n).unwrap()));
        }
        outbox
    }

    #[test]
    fn a_body_speaks_every_encoding() {
        let body = Body::of(&"가").unwrap();
        for encoding in Encoding::ALL {
            assert_eq!(body.in_encoding(encoding).decode::<String>(encoding).unwrap(), "가");
        }
        assert!(!body.is_too_large());
        assert!(Body::of(&"x".repeat(MAX_COMMAND)).unwrap().is_too_large());
    }

    #[test]
    fn commands_go_in_order_and_again_on_another_line() {
        let mut outbox = filled(3);
        let sent = |outbox: &mut Outbox, line| outbox.next(line, 2).map(|(command, first)| (command.id.clone(), first));
        assert_eq!(sent(&mut outbox, 1), Some((id(0), true)));
        assert_eq!(sent(&mut outbox, 1), Some((id(1), true)));
        assert_eq!(sent(&mut outbox, 1), None, "two at once");
        assert!(outbox.take(&id(0)).is_some());
        assert_eq!(sent(&mut outbox, 2), Some((id(1), false)));
        assert_eq!(sent(&mut outbox, 2), Some((id(2), true)));
    }

    #[test]
    fn a_full_outbox_takes_no_more_and_only_the_unsent_can_be_cancelled() {
        let mut outbox = filled(MAX_QUEUED);
        assert!(!outbox.push(topic(), id(1000), Body::of(&0).unwrap()));
        outbox.next(1, 1);
        assert!(outbox.cancel(&id(0)).is_none());
        assert!(outbox.cancel(&id(1)).is_some());
    }

    #[test]
    fn what_was_sent_twice_is_uncertain() {
        let mut outbox = filled(1);
        outbox.next(1, 1);
        assert!(!outbox.is_uncertain(&id(0)));
        outbox.put_back(&id(0));
        outbox.next(1, 1);
        assert!(outbox.is_uncertain(&id(0)));
    }

    #[test]
    fn an_accepted_command_stays_until_its_event_is_seen() {
        let mut outbox = filled(2);
        outbox.accept(&id(0), 7);
        assert_eq!((outbox.unanswered(), outbox.seen(&topic(), 6)), (1, Vec::new()));
        assert_eq!(outbox.seen(&topic(), 7), [id(0)]);
        assert!(!outbox.is_empty());
    }
}
