//! Decides a batch of commands and collects log entries, events and answers. Does no I/O.

use std::collections::HashMap;

use super::dedupe::{Dedupe, DedupeSource, LookupResult, is_final};
use super::handle::TopicShared;
use super::request::CommandRequest;
use super::send;
use crate::decider::{Context, Millis, Redaction, SenderKind};
use crate::limits;
use crate::log::{Entry, ForwardKey, ForwardRecord, PendingForward, chain};
use crate::topic::dyn_topic::{DecideError, DecidedEvent, DynEvent, StateError};
use crate::topic::projection::Projection;
use duplex_protocol::codec::EncodedValue;
use duplex_protocol::cursor::{Checksum, Cursor, Epoch, Seq};
use duplex_protocol::session::{Answer, MAX_COMMAND, Rejection};
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub(super) struct Batch {
    /// The entries of accepted and of finally rejected commands, in order.
    pub entries: Vec<Entry>,
    pub events: Vec<(Seq, BatchEvent)>,
    /// Forwards, queued once the batch is durable.
    pub forwards: Vec<PendingForward>,
    /// The checksum of the log up to each of `events`, after [`Self::compute_checksums`].
    pub checksums: Vec<Option<Checksum>>,
    /// The outcome of each command.
    pub(crate) outcomes: Vec<Outcome>,
}

/// An event of a batch. The entries have its JSON.
pub(super) struct BatchEvent {
    pub event: Box<dyn DynEvent>,
    pub amends: Option<Seq>,
    pub redaction: Redaction,
    /// The size of its JSON.
    pub bytes: usize,
}

/// The context of a batch.
#[derive(Clone, Copy)]
pub(super) struct BatchContext<'a> {
    pub topic: &'a TopicName,
    pub epoch: Epoch,
    /// If false, the outbox is full: commands other than forwards are rejected as retryable. Forwards are exempt, or two topics
    /// that forward to each other would deadlock.
    pub(crate) outbox_has_room: bool,
}

pub(super) enum Outcome {
    New(Answer),
    /// The command was answered before.
    Duplicate(Answer),
    /// The same command earlier in this batch, at this index.
    DuplicateInBatch(usize),
}

/// Error: a command left the state unusable.
#[derive(Debug)]
pub(super) struct BrokenState {
    pub(crate) command_index: usize,
    pub error: StateError,
}

impl<'a> BatchContext<'a> {
    pub(super) fn new(shared: &'a TopicShared, outbox_has_room: bool) -> Self {
        Self {
            topic: &shared.name,
            epoch: shared.epoch,
            outbox_has_room,
        }
    }
}

impl Batch {
    /// Decides the commands and applies their events to the state, before they are stored. If storing fails, the projection must
    /// be discarded.
    pub(super) fn decide(
        projection: &mut Projection,
        context: BatchContext<'_>,
        commands: &[CommandRequest],
        now: Millis,
    ) -> Result<Self, BrokenState> {
        let mut batch = Self::default();
        let mut indexes = HashMap::new();
        for (index, command) in commands.iter().enumerate() {
            let key = (&command.sender.id, &command.id);
            if let Some(first) = indexes.get(&key) {
                batch.outcomes.push(Outcome::DuplicateInBatch(*first));
                continue;
            }
            let by = &command.sender.id;
            let sender = match command.sender_kind {
                _ if command.forward.is_some() => DedupeSource::Outbox,
                SenderKind::Server => DedupeSource::Server,
                SenderKind::Program => DedupeSource::Program,
                SenderKind::Visitor => DedupeSource::Visitor,
            };
            let outcome = match projection.dedupe.look_up(by, &command.id, now, sender) {
                LookupResult::Duplicate(answer) => Outcome::Duplicate(answer),
                LookupResult::Rejected(why) => Outcome::New(batch.reject(projection, command, why, now)),
                LookupResult::New => batch
                    .decide_one(projection, context, command, now)
                    .map(Outcome::New)
                    .map_err(|error| BrokenState {
                        command_index: index,
                        error,
                    })?,
            };
            if matches!(outcome, Outcome::New(_)) {
                indexes.insert(key, index);
            }
            batch.outcomes.push(outcome);
        }
        Ok(batch)
    }

    fn decide_one(
        &mut self,
        projection: &mut Projection,
        batch_context: BatchContext<'_>,
        command: &CommandRequest,
        now: Millis,
    ) -> Result<Answer, StateError> {
        if command.payload.0.len() > MAX_COMMAND {
            return Ok(self.reject(projection, command, Rejection::TooLarge, now));
        }
        if !batch_context.outbox_has_room && command.forward.is_none() {
            return Ok(Answer::Rejected(Rejection::Unavailable));
        }
        let next_seq = projection.head + 1;
        let context = Context {
            topic: batch_context.topic,
            sender: &command.sender,
            sender_kind: command.sender_kind,
            authority: command.authority,
            now,
            next_seq,
        };
        match projection.state.decide(context, &command.payload, command.encoding) {
            Ok(decided) => Ok(self.accept(projection, batch_context, command, decided, now)),
            Err(DecideError::Rejected(why)) => Ok(self.reject(projection, command, why, now)),
            Err(DecideError::Broken(error)) => Err(error),
        }
    }

    /// Rejects a command. A final rejection becomes a log entry, so that a resend cannot have an effect later.
    fn reject(&mut self, projection: &Projection, command: &CommandRequest, why: Rejection, now: Millis) -> Answer {
        if !is_final(&why) {
            return Answer::Rejected(why);
        }
        if !projection.dedupe.can_store_rejection(&command.id, now) {
            let retry_after_ms = limits::REJECTION_RETRY_MS;
            return Answer::Rejected(Rejection::TooFast { retry_after_ms });
        }
        self.entries.push(Entry {
            command: command.id.clone(),
            sender: command.sender.id.clone(),
            at: now,
            events: Vec::new(),
            rejection: Some(truncated(why.clone())),
            forwards: Vec::new(),
            delivers: command.forward.clone(),
        });
        Answer::Rejected(why)
    }

    fn accept(
        &mut self,
        projection: &mut Projection,
        context: BatchContext<'_>,
        command: &CommandRequest,
        mut decided: Vec<DecidedEvent>,
        now: Millis,
    ) -> Answer {
        let forwards = self.forwards(context, projection.head + 1, &mut decided, now);
        let mut stored = Vec::with_capacity(decided.len());
        for decided in decided {
            projection.head += 1;
            let event = BatchEvent {
                event: decided.event,
                amends: decided.amends,
                redaction: decided.redaction,
                bytes: decided.json.len(),
            };
            self.events.push((projection.head, event));
            stored.push((decided.amends, decided.json));
        }
        self.entries.push(Entry {
            forwards,
            delivers: command.forward.clone(),
            command: command.id.clone(),
            sender: command.sender.id.clone(),
            at: now,
            events: stored,
            rejection: None,
        });
        Answer::Accepted { seq: projection.head }
    }

    /// The forwards of a command's events, the first of which is `first`.
    fn forwards(
        &mut self,
        context: BatchContext<'_>,
        first: Seq,
        decided: &mut [DecidedEvent],
        at: Millis,
    ) -> Vec<ForwardRecord> {
        let mut stored = Vec::new();
        for (event, decided) in decided.iter_mut().enumerate() {
            let (epoch, seq) = (context.epoch, first + event as Seq);
            for (index, forward) in (0..).zip(std::mem::take(&mut decided.forwards)) {
                let command = send::forward_id(context.topic, Cursor::new(epoch, seq), index, at);
                let (to, EncodedValue(payload)) = forward.into_parts();
                let key = ForwardKey {
                    from: context.topic.clone(),
                    seq,
                    index,
                };
                stored.push(ForwardRecord {
                    event,
                    index,
                    to: to.clone(),
                    command: command.clone(),
                    payload: payload.clone(),
                });
                self.forwards.push(PendingForward {
                    key,
                    to,
                    command,
                    at,
                    payload,
                });
            }
        }
        stored
    }

    /// Removes the forwards of these events from the batch.
    pub(super) fn remove_forwards(&mut self, is_redacted: impl Fn(Seq) -> bool) {
        let is_removed = |forward: &PendingForward| is_redacted(forward.key.seq);
        let removed: Vec<_> = self.forwards.extract_if(.., |forward| is_removed(forward)).collect();
        for entry in &mut self.entries {
            entry
                .forwards
                .retain(|forward| removed.iter().all(|removed| removed.command != forward.command));
        }
    }

    /// Computes the checksums, once the events have their stored form. The log computes the same checksums.
    pub(super) fn compute_checksums(&mut self, projection: &mut Projection) {
        let stored = self.entries.iter().flat_map(|entry| &entry.events);
        let checksums = self.events.iter().zip(stored).map(|((seq, _), (_, json))| {
            projection.checksum = chain::next_checksum(projection.checksum, *seq, json);
            projection.checksum
        });
        self.checksums = checksums.collect();
    }

    /// Counts the answers, as the log does.
    pub(super) fn count_answers(&self, projection: &mut Projection) {
        let rejected = self.entries.iter().filter(|entry| entry.rejection.is_some()).count();
        projection.answers.rejected += rejected as u64;
        projection.answers.accepted += (self.entries.len() - rejected) as u64;
    }

    /// Records the answers, after the batch is durable.
    pub(super) fn record_answers(&self, dedupe: &mut Dedupe, commands: &[CommandRequest], now: Millis) {
        for (CommandRequest { sender, id, .. }, outcome) in commands.iter().zip(&self.outcomes) {
            match outcome {
                Outcome::New(Answer::Accepted { seq }) => dedupe.accepted(&sender.id, id, *seq, now),
                Outcome::New(Answer::Rejected(why)) => dedupe.rejected(&sender.id, id, &truncated(why.clone()), now),
                Outcome::Duplicate(_) | Outcome::DuplicateInBatch(_) => {}
            }
        }
    }

    /// The answer to each command, and whether it is a duplicate.
    pub(super) fn answers(&self) -> impl Iterator<Item = Option<(Answer, bool)>> {
        self.outcomes.iter().map(|outcome| match outcome {
            Outcome::New(answer) => Some((answer.clone(), false)),
            Outcome::Duplicate(answer) => Some((answer.clone(), true)),
            Outcome::DuplicateInBatch(index) => match self.outcomes.get(*index) {
                Some(Outcome::New(answer)) => Some((answer.clone(), true)),
                _ => None,
            },
        })
    }
}

/// Truncates a rejection before it is stored, so that a client cannot fill the topic's memory.
fn truncated(why: Rejection) -> Rejection {
    match why {
        Rejection::Malformed { detail } => Rejection::Malformed {
            detail: detail.chars().take(limits::MAX_STORED_REASON).collect(),
        },
        Rejection::Custom { reason } => Rejection::Custom {
            reason: reason.chars().take(limits::MAX_STORED_REASON).collect(),
        },
        why => why,
    }
}
