//! What the events of a batch take away of those before them: worked out before the commit, done in the log with it, and in the
//! ring after it. Knows no queue and no reader.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::Instrument as _;

use super::batch::Batch;
use super::frames;
use super::handle::Board;
use super::ring::Ring;
use crate::decider::Redaction;
use crate::log::{self, Erased, LogError};
use crate::topic::dyn_topic::{DynEvent, StateError};
use crate::topic::event_frame::EventFrame;
use crate::topic::projection::Memory;
use duplex_protocol::cursor::Seq;

/// For the ring, once the log has it.
pub(super) enum Plan {
    /// The new events, and the bytes of their JSON.
    Overwrite(Vec<(Seq, Box<dyn DynEvent>, usize)>),
    /// Nothing from before this event is shown any more.
    Begin(Seq),
}

/// What goes, and how much of it there may be in the batch itself.
#[derive(Default)]
struct Targets {
    events: BTreeSet<Seq>,
    before: Option<Seq>,
}

impl Targets {
    fn of(batch: &Batch) -> Self {
        let mut targets = Self::default();
        for (seq, made) in &batch.made {
            match &made.redaction {
                Redaction::Nothing => {}
                Redaction::Events(events) => targets.events.extend(events.iter().filter(|event| *event < seq)),
                Redaction::Everything => targets.before = Some(*seq),
            }
        }
        targets
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.before.is_none()
    }

    fn has(&self, seq: Seq, amends: Option<Seq>) -> bool {
        self.events.contains(&seq) || amends.is_some_and(|amended| self.events.contains(&amended))
    }
}

/// Keeps the batch, which `memory` has applied, after the event `seq`, and does in the log what its events take away.
pub(super) async fn append(
    board: &Board,
    memory: &mut Memory,
    batch: &mut Batch,
    seq: Seq,
) -> Result<(Seq, Option<Plan>), LogError> {
    let planned = plan(board, memory, batch).await?;
    // Before the events of the batch.
    let expected = log::End {
        seq,
        check: memory.check,
    };
    batch.chain(memory);
    let (commands, events) = (batch.entries.len(), batch.made.len());
    let span = tracing::debug_span!("append", topic = %board.name, commands, events);
    let entries = std::mem::take(&mut batch.entries);
    let (plan, appended) = match planned {
        None => (None, board.log.append(&board.name, expected, entries)),
        Some((plan, redaction)) => {
            let appended = board.log.redact(&board.name, expected, entries, redaction);
            (Some(plan), appended)
        }
    };
    Ok((appended.instrument(span).await?, plan))
}

/// None if nothing goes. Events of the batch that go are overwritten in it.
async fn plan(
    board: &Board,
    memory: &mut Memory,
    batch: &mut Batch,
) -> Result<Option<(Plan, log::Redaction)>, LogError> {
    let targets = Targets::of(batch);
    if targets.is_empty() {
        return Ok(None);
    }
    overwrite_in_batch(board, batch, &targets).map_err(broken)?;
    let state = memory.fold.snapshot().map_err(broken)?;
    let (plan, erased) = match targets.before {
        Some(seq) => (Plan::Begin(seq), Erased::Before(seq)),
        None => overwrite(board, targets).await?,
    };
    Ok(Some((plan, log::Redaction { erased, state })))
}

fn broken(error: StateError) -> LogError {
    LogError::Unavailable(format!("nothing can be taken away from it: {error}"))
}

fn overwrite_in_batch(board: &Board, batch: &mut Batch, targets: &Targets) -> Result<(), StateError> {
    let mut withdrawn = BTreeSet::new();
    let kept = batch.entries.iter_mut().flat_map(|entry| &mut entry.events);
    for ((_, json), (seq, made)) in kept.zip(&mut batch.made) {
        if targets.has(*seq, made.amends) {
            (made.event, made.json) = board.kind.redacted(json)?;
            if made.json != *json {
                withdrawn.insert(*seq);
                json.clone_from(&made.json);
            }
        }
    }
    let before = targets.before.unwrap_or_default();
    if !withdrawn.is_empty() || before > 0 {
        batch.withdraw(|seq| seq < before || withdrawn.contains(&seq));
    }
    Ok(())
}

async fn overwrite(board: &Board, targets: Targets) -> Result<(Plan, Erased), LogError> {
    let events = targets.events.into_iter().collect();
    let records = board.log.with_amendments(&board.name, events).await?;
    let (mut shown, mut payloads) = (Vec::new(), Vec::new());
    for record in records {
        let (event, json) = board.kind.redacted(&record.event).map_err(broken)?;
        if json != record.event {
            shown.push((record.seq, event, json.len()));
            payloads.push((record.seq, json));
        }
    }
    Ok((Plan::Overwrite(shown), Erased::Payloads(payloads)))
}

impl Plan {
    /// Before the batch is pushed.
    pub(super) fn show(self, board: &Board, ring: &mut Ring<Arc<EventFrame>>) {
        match self {
            Self::Overwrite(events) => {
                for (seq, event, bytes) in events {
                    frames::replace(ring, seq, event, bytes);
                }
            }
            Self::Begin(seq) => {
                let before = seq.saturating_sub(1);
                let check = ring.check(before);
                frames::begin(ring, (before, check), board.kind.delivery());
            }
        }
    }

    /// Whether the text of this event goes.
    pub(super) fn takes(&self, seq: Seq) -> bool {
        match self {
            Self::Overwrite(events) => events.iter().any(|(event, ..)| *event == seq),
            Self::Begin(first) => seq < *first,
        }
    }

    /// The oldest event that is kept, if that is not what it was.
    pub(super) const fn first(&self) -> Option<Seq> {
        match self {
            Self::Overwrite(_) => None,
            Self::Begin(seq) => Some(*seq),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
