//! The projection of a topic: its state and the answered commands, both rebuilt from the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::dedupe::{Dedupe, DedupeLimits};
use crate::clock;
use crate::decider::Millis;
use crate::limits;
use crate::log::{AnswerCounts, Head, Log, LogError, LogTail};
use crate::quota::LogThrottle;
use crate::topic::dyn_topic::{DynEvent, DynState, DynTopic, StateError};
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::topic::TopicName;

pub(crate) struct Projection {
    pub state: Box<dyn DynState>,
    pub(crate) dedupe: Dedupe,
    /// The newest event that is applied to the state.
    pub head: Seq,
    /// The checksum of the log up to `head`.
    pub checksum: Option<Checksum>,
    /// The number of answers in the log.
    pub answers: AnswerCounts,
    /// The seq of the newest snapshot; 0 if there is none.
    pub snapshot: Seq,
}

/// The newest loaded events, up to the ring's capacity.
pub(crate) struct Tail {
    /// The seq before the first event.
    pub after: Seq,
    /// The checksum of the log up to `after`, if it is known.
    pub checksum: Option<Checksum>,
    pub events: VecDeque<TailEvent>,
}

pub(crate) struct TailEvent {
    pub event: Box<dyn DynEvent>,
    /// The checksum of the log up to the event.
    pub checksum: Option<Checksum>,
    pub bytes: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("snapshot {0} cannot be decoded: {1}")]
    Snapshot(Seq, StateError),
    #[error("event {0} cannot be applied: {1}")]
    Event(Seq, StateError),
    #[error("event {0} is not in the log")]
    Gap(Seq),
    #[error("the log lost its tail")]
    Diverged,
}

impl LoadError {
    /// Logs the error. A log that cannot be read is logged once a minute for all topics together.
    pub(crate) fn log(&self, topic: &TopicName) {
        static UNREADABLE_THROTTLE: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

        match self {
            Self::Log(error) => {
                if let Some(suppressed) = UNREADABLE_THROTTLE.try_log() {
                    tracing::error!(%topic, suppressed, "the log cannot be read: {error}");
                }
            }
            error => tracing::error!(%topic, "the topic cannot start: {error}"),
        }
    }
}

/// Loads a projection: the newest snapshot, then the later events page by page. The events after `published` are returned as the
/// tail.
pub(crate) async fn load(
    log: &dyn Log,
    kind: &Arc<dyn DynTopic>,
    topic: &TopicName,
    published: Seq,
) -> Result<(Projection, Tail, Head), LoadError> {
    let now = clock::now();
    let opened = log
        .open(topic, limits::DEDUPE_ENTRIES, now.saturating_sub(DEDUPE_LIMITS.max_age))
        .await?;
    let snapshot = opened.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let state = opened.snapshot.as_ref().map(|(_, state)| state.as_slice());
    // If events follow, the last of them has the checksum.
    let checksum = opened.head.checksum.filter(|_| snapshot == opened.head.last);
    let mut projection = Projection {
        state: kind
            .load_state(state)
            .map_err(|error| LoadError::Snapshot(snapshot, error))?,
        dedupe: Dedupe::new(DEDUPE_LIMITS, opened.forgotten),
        head: snapshot,
        checksum,
        answers: opened.head.answers,
        snapshot,
    };
    projection.dedupe.add(&opened.commands, &opened.rejections, now);
    let mut tail = Tail {
        after: published.max(snapshot),
        checksum: checksum.filter(|_| published <= snapshot),
        events: VecDeque::new(),
    };
    while projection.head < opened.head.last {
        projection.read_page(log, topic, opened.head.last, &mut tail).await?;
    }
    Ok((projection, tail, opened.head))
}

/// The committed state, saved before a batch is decided.
pub(crate) struct SavedState {
    state: Box<dyn DynState>,
    head: Seq,
    checksum: Option<Checksum>,
    answers: AnswerCounts,
}

impl Projection {
    pub(crate) fn save(&self) -> SavedState {
        SavedState {
            state: self.state.copy(),
            head: self.head,
            checksum: self.checksum,
            answers: self.answers,
        }
    }

    /// Reverts what was decided since the state was saved. Answers are recorded only after they are stored.
    pub(crate) fn restore(&mut self, saved: SavedState) {
        self.state = saved.state;
        (self.head, self.checksum, self.answers) = (saved.head, saved.checksum, saved.answers);
    }

    /// Whether a tail that was read from this projection's head on belongs to the same events.
    pub(crate) fn continues_with(&self, tail: &LogTail, epoch: Epoch) -> bool {
        let differ = |(known, stored)| known != stored;
        tail.head.epoch == epoch && !self.checksum.zip(tail.checksum).is_some_and(differ)
    }

    /// Applies what other nodes appended. `None` if the projection must be loaded again: an event cannot be applied, or it redacts
    /// earlier ones, which the ring may have.
    pub(crate) fn follow(&mut self, tail: LogTail) -> Option<Vec<TailEvent>> {
        let mut events = Vec::with_capacity(tail.records.len());
        for record in tail.records {
            let (event, redacts) = self.state.follow(record.seq, &record.event).ok()?;
            if redacts || record.seq != self.head + 1 {
                return None;
            }
            (self.head, self.checksum) = (record.seq, record.checksum);
            events.push(TailEvent {
                event,
                checksum: record.checksum,
                bytes: record.event.len(),
            });
        }
        let now = clock::now();
        self.dedupe.add(&tail.commands, &tail.rejections, now);
        self.answers = tail.head.answers;
        self.snapshot = self.snapshot.max(tail.snapshot.min(self.head));
        Some(events)
    }

    /// Applies the next events up to `last`. Later ones of other nodes are left, because their answers are not known yet.
    async fn read_page(
        &mut self,
        log: &dyn Log,
        topic: &TopicName,
        last: Seq,
        tail: &mut Tail,
    ) -> Result<(), LoadError> {
        let mut records = log.read(topic, self.head, limits::LOG_PAGE).await?;
        records.retain(|record| record.seq <= last);
        if records.is_empty() {
            return Err(LoadError::Gap(self.head + 1));
        }
        for record in records {
            if record.seq != self.head + 1 {
                return Err(LoadError::Gap(self.head + 1));
            }
            let event = self
                .state
                .apply(record.seq, &record.event)
                .map_err(|error| LoadError::Event(record.seq, error))?;
            (self.head, self.checksum) = (record.seq, record.checksum);
            let tail_event = TailEvent {
                event,
                checksum: record.checksum,
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
                self.checksum = event.checksum;
            }
            return;
        }
        self.events.push_back(event);
        if self.events.len() > limits::RING_EVENTS {
            self.checksum = self.events.pop_front().and_then(|event| event.checksum);
            self.after += 1;
        }
    }
}

const DEDUPE_LIMITS: DedupeLimits = DedupeLimits {
    max_known: limits::DEDUPE_ENTRIES,
    max_age: millis(limits::DEDUPE_AGE),
    max_ahead: millis(limits::MAX_ID_AHEAD),
    min_rejection_age: millis(limits::MIN_REJECTION_AGE),
};

const fn millis(time: Duration) -> Millis {
    time.as_secs() * 1000
}
