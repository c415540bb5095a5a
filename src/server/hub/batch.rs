//! Commands that are decided together: what the log should keep of them, and what each of them is answered.
//! Knows no queue, no log and no reader.

use std::collections::HashMap;

use super::decider::{Context, Millis};
use super::dedupe::Dedupe;
use super::handle::Command;
use super::kind::{FoldError, Made, Undecided};
use super::memory::Memory;
use crate::server::log::Entry;
use crate::wire::cursor::Seq;
use crate::wire::session::{Answer, MAX_COMMAND, Rejection};
use crate::wire::topic::TopicName;

#[derive(Default)]
pub struct Batch {
    /// Of the accepted commands, in order.
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
            let outcome = match memory.dedupe.first(&command.who.id, &command.id, now) {
                Some(answer) => Outcome::Again(answer),
                None => match places.insert((&command.who.id, &command.id), place) {
                    Some(first) => {
                        places.insert((&command.who.id, &command.id), first);
                        Outcome::Same(first)
                    }
                    None => batch
                        .decide_one(memory, topic, command, now)
                        .map(Outcome::New)
                        .map_err(|error| Broken { culprit: place, error })?,
                },
            };
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
            return Ok(Answer::Rejected(Rejection::TooLarge));
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
            Err(Undecided::Rejected(why)) => Ok(Answer::Rejected(why)),
            Err(Undecided::Broken(error)) => Err(error),
        }
    }

    fn accept(&mut self, memory: &mut Memory, command: &Command, mut made: Vec<Made>, now: Millis) -> Answer {
        let kept = |made: &mut Made| (made.amends, made.json.clone());
        self.entries.push(Entry {
            command: command.id.clone(),
            by: command.who.id.clone(),
            at: now,
            events: made.iter_mut().map(kept).collect(),
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
                Outcome::New(Answer::Rejected(why)) => dedupe.rejected(&who.id, id, why, now),
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
