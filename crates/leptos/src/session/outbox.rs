//! The outbox: commands in order, resent with the same id until they are answered.
//!
//! A command has a page id, assigned when it is enqueued, and a wire id, which carries the server's time of the first attempt. So a
//! long wait in the queue does not make it too old. A command that certainly had no effect may be resent under a wire id with a
//! later time; its page id stays.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::session::transport_policy::Millis;
use duplex_protocol::codec::{CodecError, EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{CommandId, MAX_COMMAND};
use duplex_protocol::topic::TopicName;

/// Maximum unanswered commands of a tab: enough for what a visitor types during an outage, and a limit for programs.
pub(crate) const MAX_QUEUED: usize = 256;

/// Maximum number of new ids for a command whose time was rejected. Without a limit, a server whose clock jumps would cause an
/// endless loop.
const MAX_RENEWALS: u32 = 5;

/// A command in every encoding, because the connection's encoding is not known when the command is queued.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedCommand([EncodedValue; 2]);

impl EncodedCommand {
    /// Encodes the command.
    ///
    /// # Errors
    ///
    /// If the command cannot be encoded.
    pub fn encode<C: Serialize>(command: &C) -> Result<Self, CodecError> {
        let [first, second] = Encoding::ALL;
        Ok(Self([
            EncodedValue::encode(first, command)?,
            EncodedValue::encode(second, command)?,
        ]))
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.0.iter().any(|value| value.0.len() > MAX_COMMAND)
    }

    pub(crate) fn in_encoding(&self, encoding: Encoding) -> EncodedValue {
        let [first, second] = &self.0;
        let value = if Encoding::ALL[0] == encoding { first } else { second };
        value.clone()
    }
}

/// A command without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuedCommand {
    /// The topic's name.
    pub topic: TopicName,
    /// The command's wire id.
    pub id: CommandId,
    /// The number of attempts.
    pub attempts: u32,
}

#[derive(Debug)]
pub(crate) struct OutboxEntry {
    pub topic: TopicName,
    /// The command's page id.
    pub id: CommandId,
    /// The command's wire id.
    pub wire_id: CommandId,
    pub body: EncodedCommand,
    /// The connection on which the command was sent.
    connection: Option<u32>,
    /// The number of attempts. A command that was sent may have had its effect.
    attempts: u32,
    id_renewals: u32,
    /// Whether the command exceeded a rate limit.
    rate_limited: bool,
    /// Accepted; the seq of its last event, which has not arrived yet.
    accepted: Option<Seq>,
}

impl OutboxEntry {
    const fn is_unanswered(&self) -> bool {
        self.accepted.is_none()
    }

    /// Resets the command to unsent. Call it only if the command had no effect under its current id.
    fn restart(&mut self) {
        self.connection = None;
        self.attempts = 0;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<OutboxEntry>,
    /// Rate-limited topics and when their limit ends. From then on, their commands are sent one at a time until all are answered,
    /// to keep their order.
    delays: BTreeMap<TopicName, Millis>,
    /// No command is sent before this time, set after a failed post.
    pub not_before: Millis,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.queue.iter().filter(|command| command.accepted.is_none()).count()
    }

    /// Unanswered commands, in order.
    pub(crate) fn queued(&self) -> Vec<QueuedCommand> {
        let waiting = self.queue.iter().filter(|command| command.accepted.is_none());
        let queued = waiting.map(|command| QueuedCommand {
            topic: command.topic.clone(),
            id: command.wire_id.clone(),
            attempts: command.attempts,
        });
        queued.collect()
    }

    /// Returns false if the outbox is full.
    pub(crate) fn push(&mut self, topic: TopicName, id: CommandId, body: EncodedCommand) -> bool {
        let has_room = self.queue.len() < MAX_QUEUED;
        if has_room {
            self.queue.push_back(OutboxEntry {
                topic,
                wire_id: id.clone(),
                id,
                body,
                connection: None,
                attempts: 0,
                id_renewals: 0,
                rate_limited: false,
                accepted: None,
            });
        }
        has_room
    }

    /// The next command to send on this connection if it has fewer than `limit` unanswered ones, and whether to report it as sent.
    /// `time` is the server's clock, if known.
    pub(crate) fn next(
        &mut self,
        connection: u32,
        limit: usize,
        now: Millis,
        time: Option<u64>,
    ) -> Option<(&OutboxEntry, bool)> {
        let in_flight = |c: &&OutboxEntry| c.is_unanswered() && c.connection == Some(connection);
        if self.queue.iter().filter(in_flight).count() >= limit {
            return None;
        }
        let busy = |topic: &TopicName| self.queue.iter().filter(in_flight).any(|c| c.topic == *topic);
        let delayed = |topic: &TopicName| {
            let until = self.delays.get(topic);
            until.is_some_and(|until| *until > now || busy(topic))
        };
        let next = |c: &OutboxEntry| c.is_unanswered() && c.connection != Some(connection) && !delayed(&c.topic);
        let index = self.queue.iter().position(next)?;
        let next = self.queue.get_mut(index)?;
        if next.attempts == 0 && next.wire_id.time().is_some() {
            next.wire_id = time.map_or_else(|| next.wire_id.clone(), |time| next.id.with_time(time));
        }
        next.connection = Some(connection);
        next.attempts = next.attempts.saturating_add(1);
        let report = next.attempts == 1 || std::mem::take(&mut next.rate_limited);
        Some((next, report))
    }

    fn sent(&mut self, wire_id: &CommandId) -> Option<&mut OutboxEntry> {
        self.queue.iter_mut().find(|command| command.wire_id == *wire_id)
    }

    /// Marks the command for resending: it was not sent, or its outcome is unknown.
    pub(crate) fn requeue(&mut self, wire_id: &CommandId) {
        if let Some(command) = self.sent(wire_id) {
            command.connection = None;
        }
    }

    /// Delays the commands of its topic until `until`, after a rate limit. Returns the command's topic and its page id.
    pub(crate) fn delay_topic(&mut self, wire_id: &CommandId, until: Millis) -> Option<(TopicName, CommandId)> {
        let command = self.sent(wire_id)?;
        command.rate_limited = true;
        if command.attempts > 1 {
            command.connection = None;
        } else {
            command.restart();
        }
        let found = (command.topic.clone(), command.id.clone());
        let delay = self.delays.entry(found.0.clone()).or_default();
        *delay = until.max(*delay);
        Some(found)
    }

    /// The earliest end of a delay.
    pub(crate) fn next_delay_end(&self, now: Millis) -> Option<Millis> {
        let waiting = self.queue.iter().filter(|command| command.is_unanswered());
        let delays = waiting.filter_map(|command| self.delays.get(&command.topic));
        delays.filter(|until| **until > now).min().copied()
    }

    /// Assigns a new wire id and marks the command for resending. Returns false after too many renewals.
    pub(crate) fn renew(&mut self, wire_id: &CommandId) -> bool {
        let command = self.sent(wire_id).filter(|command| command.id_renewals < MAX_RENEWALS);
        if let Some(command) = command {
            command.id_renewals += 1;
            command.restart();
            return true;
        }
        false
    }

    /// Whether an earlier attempt had no answer, so that the command may have had its effect regardless of the current attempt.
    pub(crate) fn is_uncertain(&self, wire_id: &CommandId) -> bool {
        let uncertain = |command: &OutboxEntry| command.wire_id == *wire_id && command.attempts > 1;
        self.queue.iter().any(uncertain)
    }

    /// Removes a command that has its final answer.
    pub(crate) fn remove(&mut self, wire_id: &CommandId) -> Option<OutboxEntry> {
        let index = self.queue.iter().position(|command| command.wire_id == *wire_id)?;
        let command = self.queue.remove(index);
        self.release();
        command
    }

    /// Ends the delays of topics without unanswered commands.
    fn release(&mut self) {
        let queue = &self.queue;
        self.delays.retain(|topic, _| {
            queue
                .iter()
                .any(|command| command.is_unanswered() && command.topic == *topic)
        });
    }

    /// Cancels a command that was never sent, or that had no effect and waits to be resent.
    pub(crate) fn cancel(&mut self, id: &CommandId) -> Option<OutboxEntry> {
        let index = self
            .queue
            .iter()
            .position(|command| command.id == *id && command.attempts == 0)?;
        self.queue.remove(index)
    }

    /// Marks the command as accepted; it stays until its events have arrived. Returns its topic.
    pub(crate) fn accept(&mut self, wire_id: &CommandId, seq: Seq) -> Option<TopicName> {
        let command = self.sent(wire_id)?;
        command.accepted = Some(seq);
        let topic = command.topic.clone();
        self.release();
        Some(topic)
    }

    /// Removes and returns the accepted commands of a topic up to this seq.
    pub(crate) fn take_applied(&mut self, topic: &TopicName, up_to: Seq) -> Vec<CommandId> {
        let (mut applied, mut rest) = (Vec::new(), VecDeque::with_capacity(self.queue.len()));
        for command in self.queue.drain(..) {
            if command.topic == *topic && command.accepted.is_some_and(|seq| seq <= up_to) {
                applied.push(command.id);
            } else {
                rest.push_back(command);
            }
        }
        self.queue = rest;
        applied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> TopicName {
        "chat/lobby".parse().unwrap()
    }

    fn id(n: u128) -> CommandId {
        CommandId::from_bits(n)
    }

    fn filled(count: usize) -> Outbox {
        let mut outbox = Outbox::default();
        for n in 0..count {
            assert!(outbox.push(topic(), id(n as u128), EncodedCommand::encode(&n).unwrap()));
        }
        outbox
    }

    #[test]
    fn an_encoded_command_has_every_encoding() {
        let body = EncodedCommand::encode(&"가").unwrap();
        for encoding in Encoding::ALL {
            assert_eq!(body.in_encoding(encoding).decode::<String>(encoding).unwrap(), "가");
        }
        assert!(!body.is_too_large());
        assert!(EncodedCommand::encode(&"x".repeat(MAX_COMMAND)).unwrap().is_too_large());
    }

    #[test]
    fn commands_are_sent_in_order_and_resent_on_another_connection() {
        let mut outbox = filled(3);
        let sent = |outbox: &mut Outbox, connection| {
            outbox
                .next(connection, 2, 0, None)
                .map(|(command, first)| (command.id.clone(), first))
        };
        assert_eq!(sent(&mut outbox, 1), Some((id(0), true)));
        assert_eq!(sent(&mut outbox, 1), Some((id(1), true)));
        assert_eq!(sent(&mut outbox, 1), None, "two at once");
        assert!(outbox.remove(&id(0)).is_some());
        assert_eq!(sent(&mut outbox, 2), Some((id(1), false)));
        assert_eq!(sent(&mut outbox, 2), Some((id(2), true)));
    }

    #[test]
    fn a_full_outbox_rejects_commands_and_only_unsent_ones_can_be_cancelled() {
        let mut outbox = filled(MAX_QUEUED);
        assert!(!outbox.push(topic(), id(1000), EncodedCommand::encode(&0).unwrap()));
        outbox.next(1, 1, 0, None);
        assert!(outbox.cancel(&id(0)).is_none());
        assert!(outbox.cancel(&id(1)).is_some());
    }

    #[test]
    fn a_resent_command_is_uncertain() {
        let mut outbox = filled(1);
        outbox.next(1, 1, 0, None);
        assert!(!outbox.is_uncertain(&id(0)));
        outbox.requeue(&id(0));
        outbox.next(1, 1, 0, None);
        assert!(outbox.is_uncertain(&id(0)));
    }

    #[test]
    fn an_id_carries_the_time_of_its_first_attempt_and_keeps_it() {
        let mut outbox = Outbox::default();
        let known = CommandId::from_time(5, 77);
        assert!(outbox.push(topic(), known.clone(), EncodedCommand::encode(&0).unwrap()));
        let sent = |outbox: &mut Outbox, connection, time| {
            outbox
                .next(connection, 1, 0, time)
                .map(|(command, _)| command.wire_id.clone())
        };
        let first = sent(&mut outbox, 1, Some(9_000)).unwrap();
        assert_eq!(first, CommandId::from_time(9_000, 77));
        assert_eq!(
            sent(&mut outbox, 2, Some(99_000)),
            Some(first.clone()),
            "it may have arrived"
        );
        assert!(outbox.renew(&first));
        let renewed = sent(&mut outbox, 2, Some(99_000)).unwrap();
        assert_eq!(renewed, CommandId::from_time(99_000, 77));
        assert!(!outbox.is_uncertain(&renewed) && outbox.remove(&first).is_none());
        assert_eq!(outbox.remove(&renewed).map(|command| command.id), Some(known));
        // The number of renewals is limited.
        assert!(outbox.push(topic(), id(1), EncodedCommand::encode(&0).unwrap()));
        assert!((0..MAX_RENEWALS).all(|_| outbox.renew(&id(1))));
        assert!(!outbox.renew(&id(1)));
    }

    #[test]
    fn a_rate_limited_topic_waits_and_continues_in_order_while_others_send() {
        let mut outbox = filled(3);
        let other: TopicName = "chat/other".parse().unwrap();
        assert!(outbox.push(other, id(9), EncodedCommand::encode(&0).unwrap()));
        let sent = |outbox: &mut Outbox, now| outbox.next(1, 9, now, None).map(|(command, _)| command.id.clone());
        assert_eq!([0, 1].map(|n| sent(&mut outbox, 0) == Some(id(n))), [true; 2]);
        assert_eq!(outbox.delay_topic(&id(0), 50), Some((topic(), id(0))));
        assert!(outbox.delay_topic(&id(1), 40).is_some());
        assert_eq!(sent(&mut outbox, 49), Some(id(9)));
        assert_eq!((sent(&mut outbox, 49), outbox.next_delay_end(49)), (None, Some(50)));
        for n in 0..3 {
            assert_eq!(sent(&mut outbox, 50), Some(id(n)));
            assert_eq!(sent(&mut outbox, 50), None, "one by one");
            outbox.accept(&id(n), 1);
        }
        assert_eq!(outbox.next_delay_end(0), None);
        assert!(outbox.delays.is_empty());
    }

    #[test]
    fn a_rate_limited_command_can_be_cancelled_unless_it_may_have_arrived() {
        let mut outbox = filled(2);
        outbox.next(1, 9, 0, None);
        outbox.delay_topic(&id(0), 50);
        assert!(outbox.cancel(&id(0)).is_some());
        outbox.next(1, 9, 50, None);
        outbox.requeue(&id(1));
        outbox.next(1, 9, 50, None);
        outbox.delay_topic(&id(1), 90);
        assert!(outbox.cancel(&id(1)).is_none());
    }

    #[test]
    fn an_accepted_command_stays_until_its_event_arrives() {
        let mut outbox = filled(2);
        outbox.accept(&id(0), 7);
        assert_eq!((outbox.unanswered(), outbox.take_applied(&topic(), 6)), (1, Vec::new()));
        assert_eq!(outbox.take_applied(&topic(), 7), [id(0)]);
        assert!(!outbox.is_empty());
    }
}
