//! Commands that are decided together: what the log should keep of them, and what each of them is answered.
//! Knows no queue, no log and no reader.

use std::collections::HashMap;

use super::dedupe::{Dedupe, Sender, Verdict, is_final};
use super::forward;
use super::handle::{Board, Command};
use crate::decider::{Context, Millis, Origin};
use crate::limits;
use crate::log::{Entry, Forward, ForwardKey, Undelivered, chain};
use crate::topic::dyn_topic::{DecideError, DecidedEvent, StateError};
use crate::topic::projection::Memory;
use duplex_protocol::codec::Blob;
use duplex_protocol::cursor::{Check, Cursor, Epoch, Seq};
use duplex_protocol::session::{Answer, MAX_COMMAND, Rejection};
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub(super) struct Batch {
    /// Of the accepted commands and of those that are refused for good, in order.
    pub entries: Vec<Entry>,
    pub made: Vec<(Seq, DecidedEvent)>,
    /// What other topics should hear, once it is kept.
    pub forwards: Vec<Undelivered>,
    /// Of the log up to each event of `made`, once [`Self::chain`] was called.
    pub checks: Vec<Option<Check>>,
    /// Of each command.
    pub(crate) outcomes: Vec<Outcome>,
}

/// The topic whose commands are decided.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub topic: &'a TopicName,
    pub epoch: Epoch,
    /// If not, its commands are refused for now, but for those that are forwards themselves: two topics that forward to each other
    /// must not wait for each other.
    pub(crate) may_forward: bool,
}

pub(super) enum Outcome {
    New(Answer),
    /// Answered before.
    Again(Answer),
    /// Sent twice in this batch: as the one at that place.
    Same(usize),
}

/// The state is not to be trusted any more; it was this command's doing.
#[derive(Debug)]
pub(super) struct Broken {
    pub(crate) culprit: usize,
    pub error: StateError,
}

impl<'a> Source<'a> {
    pub(super) fn new(board: &'a Board, may_forward: bool) -> Self {
        Self {
            topic: &board.name,
            epoch: board.epoch,
            may_forward,
        }
    }
}

impl Batch {
    /// Applies to the state what is not kept yet: if it cannot be kept, the memory is to be thrown away.
    pub(super) fn decide(
        memory: &mut Memory,
        source: Source<'_>,
        commands: &[Command],
        now: Millis,
    ) -> Result<Self, Broken> {
        let mut batch = Self::default();
        let mut places = HashMap::new();
        for (place, command) in commands.iter().enumerate() {
            let name = (&command.who.id, &command.id);
            if let Some(first) = places.get(&name) {
                batch.outcomes.push(Outcome::Same(*first));
                continue;
            }
            let by = &command.who.id;
            let sender = match command.origin {
                _ if command.forward.is_some() => Sender::Outbox,
                Origin::Server => Sender::Server,
                Origin::Program => Sender::Program,
                Origin::Visitor => Sender::Client,
            };
            let outcome = match memory.dedupe.look(by, &command.id, now, sender) {
                Verdict::Again(answer) => Outcome::Again(answer),
                Verdict::Refused(why) => Outcome::New(batch.refuse(memory, command, why, now)),
                Verdict::New => batch
                    .decide_one(memory, source, command, now)
                    .map(Outcome::New)
                    .map_err(|error| Broken { culprit: place, error })?,
            };
            if matches!(outcome, Outcome::New(_)) {
                places.insert(name, place);
            }
            batch.outcomes.push(outcome);
        }
        Ok(batch)
    }

    fn decide_one(
        &mut self,
        memory: &mut Memory,
        source: Source<'_>,
        command: &Command,
        now: Millis,
    ) -> Result<Answer, StateError> {
        if command.command.0.len() > MAX_COMMAND {
            return Ok(self.refuse(memory, command, Rejection::TooLarge, now));
        }
        if !source.may_forward && command.forward.is_none() {
            return Ok(Answer::Rejected(Rejection::Unavailable));
        }
        let next = memory.head + 1;
        let at = Context {
            topic: source.topic,
            who: &command.who,
            origin: command.origin,
            authority: command.authority,
            now,
            next,
        };
        match memory.fold.decide(at, &command.command, command.encoding) {
            Ok(made) => Ok(self.accept(memory, source, command, made, now)),
            Err(DecideError::Rejected(why)) => Ok(self.refuse(memory, command, why, now)),
            Err(DecideError::Broken(error)) => Err(error),
        }
    }

    /// A refusal that is given for good is kept in the log before it is told: the command must not have an effect later.
    fn refuse(&mut self, memory: &Memory, command: &Command, why: Rejection, now: Millis) -> Answer {
        if !is_final(&why) {
            return Answer::Rejected(why);
        }
        if !memory.dedupe.may_refuse(&command.id, now) {
            let retry_after_ms = limits::REFUSALS_RETRY;
            return Answer::Rejected(Rejection::TooFast { retry_after_ms });
        }
        self.entries.push(Entry {
            command: command.id.clone(),
            by: command.who.id.clone(),
            at: now,
            events: Vec::new(),
            refused: Some(brief(why.clone())),
            forwards: Vec::new(),
            delivers: command.forward.clone(),
        });
        Answer::Rejected(why)
    }

    fn accept(
        &mut self,
        memory: &mut Memory,
        source: Source<'_>,
        command: &Command,
        mut made: Vec<DecidedEvent>,
        now: Millis,
    ) -> Answer {
        let kept = |made: &mut DecidedEvent| (made.amends, made.json.clone());
        let forwards = self.forwards(source, memory.head + 1, &mut made, now);
        self.entries.push(Entry {
            forwards,
            delivers: command.forward.clone(),
            command: command.id.clone(),
            by: command.who.id.clone(),
            at: now,
            events: made.iter_mut().map(kept).collect(),
            refused: None,
        });
        for made in made {
            memory.head += 1;
            self.made.push((memory.head, made));
        }
        Answer::Accepted { seq: memory.head }
    }

    /// What follows from the events that a command made, the first of which is `first`.
    fn forwards(&mut self, source: Source<'_>, first: Seq, made: &mut [DecidedEvent], at: Millis) -> Vec<Forward> {
        let mut kept = Vec::new();
        for (event, made) in made.iter_mut().enumerate() {
            let (epoch, seq) = (source.epoch, first + event as Seq);
            for (index, forward) in (0..).zip(std::mem::take(&mut made.forwards)) {
                let command = forward::id(source.topic, Cursor::new(epoch, seq), index, at);
                let (to, Blob(payload)) = forward.into_parts();
                let key = ForwardKey {
                    from: source.topic.clone(),
                    seq,
                    index,
                };
                kept.push(Forward {
                    event,
                    index,
                    to: to.clone(),
                    command: command.clone(),
                    payload: payload.clone(),
                });
                self.forwards.push(Undelivered {
                    key,
                    to,
                    command,
                    at,
                    payload,
                });
            }
        }
        kept
    }

    /// The forwards of these events are not kept.
    pub(super) fn withdraw(&mut self, goes: impl Fn(Seq) -> bool) {
        let withdrawn = |forward: &Undelivered| goes(forward.key.seq);
        let gone: Vec<_> = self.forwards.extract_if(.., |forward| withdrawn(forward)).collect();
        for entry in &mut self.entries {
            entry
                .forwards
                .retain(|forward| gone.iter().all(|gone| gone.command != forward.command));
        }
    }

    /// When the events are as they will be kept: the log makes the same checks of them.
    pub(super) fn chain(&mut self, memory: &mut Memory) {
        let checks = self.made.iter().map(|(seq, made)| {
            memory.check = chain::next(memory.check, *seq, &made.json);
            memory.check
        });
        self.checks = checks.collect();
    }

    /// Once it is kept: what the commands were answered.
    pub(super) fn remember(&self, dedupe: &mut Dedupe, commands: &[Command], now: Millis) {
        for (Command { who, id, .. }, outcome) in commands.iter().zip(&self.outcomes) {
            match outcome {
                Outcome::New(Answer::Accepted { seq }) => dedupe.accepted(&who.id, id, *seq, now),
                Outcome::New(Answer::Rejected(why)) => dedupe.refused(&who.id, id, &brief(why.clone()), now),
                Outcome::Again(_) | Outcome::Same(_) => {}
            }
        }
    }

    /// What each command is answered, and whether it is an answer given again.
    pub(super) fn answers(&self) -> impl Iterator<Item = Option<(Answer, bool)>> {
        self.outcomes.iter().map(|outcome| match outcome {
            Outcome::New(answer) => Some((answer.clone(), false)),
            Outcome::Again(answer) => Some((answer.clone(), true)),
            Outcome::Same(place) => match self.outcomes.get(*place) {
                Some(Outcome::New(answer)) => Some((answer.clone(), true)),
                _ => None,
            },
        })
    }
}

/// What is remembered of a refusal: what a client wrote must not fill the memory of its topic.
fn brief(why: Rejection) -> Rejection {
    match why {
        Rejection::Malformed { detail } => Rejection::Malformed {
            detail: detail.chars().take(limits::REMEMBERED_REASON).collect(),
        },
        Rejection::Refused { reason } => Rejection::Refused {
            reason: reason.chars().take(limits::REMEMBERED_REASON).collect(),
        },
        why => why,
    }
}
