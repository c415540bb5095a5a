//! Commands that are decided together: what the log should keep of them, and what each of them is answered.
//! Knows no queue, no log and no reader.

use std::collections::HashMap;

use super::decider::{Context, Millis};
use super::dedupe::{Dedupe, Sender, Verdict, is_final};
use super::forward;
use super::handle::Command;
use super::kind::{FoldError, Made, Undecided};
use super::memory::Memory;
use crate::server::limits;
use crate::server::log::Entry;
use crate::wire::cursor::Seq;
use crate::wire::session::{Answer, MAX_COMMAND, Rejection};
use crate::wire::topic::TopicName;

#[derive(Default)]
pub struct Batch {
    /// Of the accepted commands and of those that are refused for good, in order.
    pub entries: Vec<Entry>,
    pub made: Vec<(Seq, Made)>,
    /// Of each command.
    pub outcomes: Vec<Outcome>,
}

pub enum Outcome {
    New(Answer),
    /// Answered before.
    Again(Answer),
    /// Sent twice in this batch: as the one at that place.
    Same(usize),
}

/// The state is not to be trusted any more; it was this command's doing.
#[derive(Debug)]
pub struct Broken {
    pub culprit: usize,
    pub error: FoldError,
}

impl Batch {
    /// Applies to the state what is not kept yet: if it cannot be kept, the memory is to be thrown away.
    pub fn decide(memory: &mut Memory, topic: &TopicName, commands: &[Command], now: Millis) -> Result<Self, Broken> {
        let mut batch = Self::default();
        let mut places = HashMap::new();
        for (place, command) in commands.iter().enumerate() {
            let name = (&command.who.id, &command.id);
            if let Some(first) = places.get(&name) {
                batch.outcomes.push(Outcome::Same(*first));
                continue;
            }
            let by = &command.who.id;
            let sender = match () {
                () if *by == forward::server().id => Sender::Server,
                () if *by == forward::program().id => Sender::Program,
                () => Sender::Client,
            };
            let outcome = match memory.dedupe.look(by, &command.id, now, sender) {
                Verdict::Again(answer) => Outcome::Again(answer),
                Verdict::Refused(why) => Outcome::New(batch.refuse(memory, command, why, now)),
                Verdict::New => batch
                    .decide_one(memory, topic, command, now)
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
        topic: &TopicName,
        command: &Command,
        now: Millis,
    ) -> Result<Answer, FoldError> {
        if command.command.0.len() > MAX_COMMAND {
            return Ok(self.refuse(memory, command, Rejection::TooLarge, now));
        }
        let next = memory.head + 1;
        let at = Context {
            topic,
            who: &command.who,
            authority: command.authority,
            now,
            next,
        };
        match memory.fold.decide(at, &command.command, command.encoding) {
            Ok(made) => Ok(self.accept(memory, command, made, now)),
            Err(Undecided::Rejected(why)) => Ok(self.refuse(memory, command, why, now)),
            Err(Undecided::Broken(error)) => Err(error),
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
        });
        Answer::Rejected(why)
    }

    fn accept(&mut self, memory: &mut Memory, command: &Command, mut made: Vec<Made>, now: Millis) -> Answer {
        let kept = |made: &mut Made| (made.amends, made.json.clone());
        self.entries.push(Entry {
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

    /// Once it is kept: what the commands were answered.
    pub fn remember(&self, dedupe: &mut Dedupe, commands: &[Command], now: Millis) {
        for (Command { who, id, .. }, outcome) in commands.iter().zip(&self.outcomes) {
            match outcome {
                Outcome::New(Answer::Accepted { seq }) => dedupe.accepted(&who.id, id, *seq, now),
                Outcome::New(Answer::Rejected(why)) => dedupe.refused(&who.id, id, &brief(why.clone()), now),
                Outcome::Again(_) | Outcome::Same(_) => {}
            }
        }
    }

    /// What each command is answered, and whether it is an answer given again.
    pub fn answers(&self) -> impl Iterator<Item = Option<(Answer, bool)>> {
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
        Rejection::Malformed { what } => Rejection::Malformed {
            what: what.chars().take(limits::REMEMBERED_REASON).collect(),
        },
        Rejection::Refused { why } => Rejection::Refused {
            why: why.chars().take(limits::REMEMBERED_REASON).collect(),
        },
        why => why,
    }
}
