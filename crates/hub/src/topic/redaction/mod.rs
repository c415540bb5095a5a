//! Redactions: planned before the commit of a batch, executed in the log with it and in the ring after it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::Instrument as _;

use super::batch::Batch;
use super::frames;
use super::handle::TopicShared;
use super::ring::Ring;
use crate::decider::Redaction;
use crate::log::{self, LogError, RedactedEvents};
use crate::topic::dyn_topic::{DynEvent, StateError};
use crate::topic::event_frame::EventFrame;
use crate::topic::projection::Projection;
use duplex_protocol::cursor::Seq;

/// The changes to the ring, once the log has committed them.
pub(super) enum RedactionPlan {
    /// Replaces these events; the number is the bytes of their JSON.
    Overwrite(Vec<(Seq, Box<dyn DynEvent>, usize)>),
    /// Restarts the ring at this event.
    Restart(Seq),
}

/// The redacted events.
#[derive(Default)]
struct Targets {
    events: BTreeSet<Seq>,
    before: Option<Seq>,
}

impl Targets {
    fn new(batch: &Batch) -> Self {
        let mut targets = Self::default();
        for (seq, event) in &batch.events {
            match &event.redaction {
                Redaction::Nothing => {}
                Redaction::Events(events) => targets.events.extend(events.iter().filter(|event| *event < seq)),
                Redaction::AllEarlier => targets.before = Some(*seq),
            }
        }
        targets
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.before.is_none()
    }

    fn contains(&self, seq: Seq, amends: Option<Seq>) -> bool {
        self.events.contains(&seq) || amends.is_some_and(|amended| self.events.contains(&amended))
    }
}

/// Appends the batch, which `projection` has applied, after the event `seq`, and executes its redactions in the log.
pub(super) async fn append(
    shared: &TopicShared,
    projection: &mut Projection,
    batch: &mut Batch,
    seq: Seq,
) -> Result<(Seq, Option<RedactionPlan>), LogError> {
    let plan = plan(shared, projection, batch).await?;
    // The log's end before this batch.
    let expected = log::LogEnd {
        seq,
        checksum: projection.checksum,
        answers: Some(projection.answers),
    };
    batch.compute_checksums(projection);
    batch.count_answers(projection);
    let (commands, events) = (batch.entries.len(), batch.events.len());
    let span = tracing::debug_span!("append", topic = %shared.name, commands, events);
    let entries = std::mem::take(&mut batch.entries);
    let (plan, appended) = match plan {
        None => (None, shared.log.append(&shared.name, expected, entries)),
        Some((plan, redaction)) => {
            let appended = shared.log.redact(&shared.name, expected, entries, redaction);
            (Some(plan), appended)
        }
    };
    Ok((appended.instrument(span).await?, plan))
}

/// `None` if nothing is redacted. Redacted events of the same batch are overwritten in place.
async fn plan(
    shared: &TopicShared,
    projection: &mut Projection,
    batch: &mut Batch,
) -> Result<Option<(RedactionPlan, log::RedactionWrite)>, LogError> {
    let targets = Targets::new(batch);
    if targets.is_empty() {
        return Ok(None);
    }
    overwrite_in_batch(shared, batch, &targets).map_err(redaction_failed)?;
    let state = projection.state.snapshot().map_err(redaction_failed)?;
    let (plan, redacted) = match targets.before {
        Some(seq) => (RedactionPlan::Restart(seq), RedactedEvents::Before(seq)),
        None => overwrite(shared, targets).await?,
    };
    Ok(Some((plan, log::RedactionWrite { redacted, state })))
}

fn redaction_failed(error: StateError) -> LogError {
    LogError::Unavailable(format!("events cannot be redacted: {error}"))
}

fn overwrite_in_batch(shared: &TopicShared, batch: &mut Batch, targets: &Targets) -> Result<(), StateError> {
    let mut redacted_events = BTreeSet::new();
    let events = batch.entries.iter_mut().flat_map(|entry| &mut entry.events);
    for ((_, json), (seq, event)) in events.zip(&mut batch.events) {
        if targets.contains(*seq, event.amends) {
            let (redacted, redacted_json) = shared.kind.redacted(json)?;
            (event.event, event.bytes) = (redacted, redacted_json.len());
            if redacted_json != *json {
                redacted_events.insert(*seq);
                *json = redacted_json;
            }
        }
    }
    let before = targets.before.unwrap_or_default();
    if !redacted_events.is_empty() || before > 0 {
        batch.remove_forwards(|seq| seq < before || redacted_events.contains(&seq));
    }
    Ok(())
}

async fn overwrite(shared: &TopicShared, targets: Targets) -> Result<(RedactionPlan, RedactedEvents), LogError> {
    let events = targets.events.into_iter().collect();
    let records = shared.log.with_amendments(&shared.name, events).await?;
    let (mut replaced, mut payloads) = (Vec::new(), Vec::new());
    for record in records {
        let (event, json) = shared.kind.redacted(&record.event).map_err(redaction_failed)?;
        if json != record.event {
            replaced.push((record.seq, event, json.len()));
            payloads.push((record.seq, json));
        }
    }
    Ok((RedactionPlan::Overwrite(replaced), RedactedEvents::Payloads(payloads)))
}

impl RedactionPlan {
    /// Applies the plan to the ring, before the batch is pushed.
    pub(super) fn apply_to_ring(self, shared: &TopicShared, ring: &mut Ring<Arc<EventFrame>>) {
        match self {
            Self::Overwrite(events) => {
                for (seq, event, bytes) in events {
                    frames::replace(ring, seq, event, bytes);
                }
            }
            Self::Restart(seq) => {
                let before = seq.saturating_sub(1);
                let checksum = ring.checksum(before);
                frames::restart(ring, (before, checksum), shared.kind.delivery());
            }
        }
    }

    /// Whether this event is redacted.
    pub(super) fn redacts(&self, seq: Seq) -> bool {
        match self {
            Self::Overwrite(events) => events.iter().any(|(event, ..)| *event == seq),
            Self::Restart(first) => seq < *first,
        }
    }

    /// The oldest remaining event, if the plan changes it.
    pub(super) const fn first(&self) -> Option<Seq> {
        match self {
            Self::Overwrite(_) => None,
            Self::Restart(seq) => Some(*seq),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
