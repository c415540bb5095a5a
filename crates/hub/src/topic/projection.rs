//! What a topic's task knows by heart: the state and the answered commands, both made from the log.
//! Knows no reader and no queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::dedupe::{Bounds, Dedupe};
use crate::clock;
use crate::decider::Millis;
use crate::limits;
use crate::log::{Answered, Head, Log, LogError, Refused};
use crate::quota::LogThrottle;
use crate::topic::dyn_topic::{DynEvent, DynState, DynTopic, StateError};
use duplex_protocol::cursor::{Check, Seq};
use duplex_protocol::topic::TopicName;

pub(crate) struct Memory {
    pub fold: Box<dyn DynState>,
    pub(crate) dedupe: Dedupe,
    /// The newest event in the state.
    pub head: Seq,
    /// Of the log up to `head`.
    pub check: Option<Check>,
    /// The newest snapshot's; 0 if there is none.
    pub snapshot: Seq,
}

/// The newest events of those that were read, as many as a ring may hold.
pub(crate) struct Tail {
    /// The seq before the first of them.
    pub after: Seq,
    /// Of the log up to `after`, if that is known.
    pub check: Option<Check>,
    pub events: VecDeque<TailEvent>,
}

pub(crate) struct TailEvent {
    pub event: Box<dyn DynEvent>,
    /// Of the log up to it.
    pub check: Option<Check>,
    pub bytes: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the snapshot at {0}: {1}")]
    Snapshot(Seq, StateError),
    #[error("the event {0}: {1}")]
    Event(Seq, StateError),
    #[error("the event {0} is not in the log")]
    Gap(Seq),
    #[error("the log lost its tail")]
    Diverged,
}

impl LoadError {
    /// A log that cannot be read now is told of once a minute, for whichever topic.
    pub(crate) fn tell(&self, topic: &TopicName) {
        static UNREADABLE: LogThrottle = LogThrottle::new(limits::REFUSALS_LOGGED);

        match self {
            Self::Log(error) => {
                if let Some(unlogged) = UNREADABLE.due() {
                    tracing::error!(%topic, unlogged, "the log cannot be read: {error}");
                }
            }
            broken => tracing::error!(%topic, "the topic cannot start: {broken}"),
        }
    }
}

/// Reads the log: the newest snapshot, then what came after it, page by page. Events after `shown` come back as the tail.
pub(crate) async fn load(
    log: &dyn Log,
    kind: &Arc<dyn DynTopic>,
    topic: &TopicName,
    shown: Seq,
) -> Result<(Memory, Tail, Head), LoadError> {
    let now = clock::now();
    let opened = log
        .open(topic, limits::KEPT_ANSWERS, now.saturating_sub(BOUNDS.age))
        .await?;
    let snapshot = opened.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let state = opened.snapshot.as_ref().map(|(_, state)| state.as_slice());
    // Where events follow, the last of them says it.
    let check = opened.head.check.filter(|_| snapshot == opened.head.last);
    let mut memory = Memory {
        fold: kind.fold(state).map_err(|error| LoadError::Snapshot(snapshot, error))?,
        dedupe: Dedupe::new(BOUNDS, opened.forgotten),
        head: snapshot,
        check,
        snapshot,
    };
    for Answered { by, command, seq } in &opened.commands {
        memory.dedupe.accepted(by, command, *seq, now);
    }
    for Refused { by, command, why } in &opened.refusals {
        memory.dedupe.refused(by, command, why, now);
    }
    let mut tail = Tail {
        after: shown.max(snapshot),
        check: check.filter(|_| shown <= snapshot),
        events: VecDeque::new(),
    };
    while memory.head < opened.head.last {
        memory.read_page(log, topic, &mut tail).await?;
    }
    Ok((memory, tail, opened.head))
}

impl Memory {
    async fn read_page(&mut self, log: &dyn Log, topic: &TopicName, tail: &mut Tail) -> Result<(), LoadError> {
        let records = log.read(topic, self.head, limits::LOG_PAGE).await?;
        if records.is_empty() {
            return Err(LoadError::Gap(self.head + 1));
        }
        for record in records {
            if record.seq != self.head + 1 {
                return Err(LoadError::Gap(self.head + 1));
            }
            let event = self
                .fold
                .apply(record.seq, &record.event)
                .map_err(|error| LoadError::Event(record.seq, error))?;
            (self.head, self.check) = (record.seq, record.check);
            let tail_event = TailEvent {
                event,
                check: record.check,
                bytes: record.event.len(),
            };
            tail.push(record.seq, tail_event);
        }
        Ok(())
    }
}

impl Tail {
    fn push(&mut self, seq: Seq, event: TailEvent) {
        if seq <= self.after {
            if seq == self.after {
                self.check = event.check;
            }
            return;
        }
        self.events.push_back(event);
        if self.events.len() > limits::RING_EVENTS {
            self.check = self.events.pop_front().and_then(|event| event.check);
            self.after += 1;
        }
    }
}

const BOUNDS: Bounds = Bounds {
    known: limits::KEPT_ANSWERS,
    age: millis(limits::KEPT_ANSWERS_AGE),
    ahead: millis(limits::ID_AHEAD),
    young: millis(limits::REFUSALS_YOUNG),
};

const fn millis(time: Duration) -> Millis {
    time.as_secs() * 1000
}
