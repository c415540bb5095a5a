//! How a topic's task loads its projection from the log, and follows what other nodes append.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Lifecycle, LogUnavailable, Task};
use crate::limits;
use crate::lock;
use crate::log::{Head, LogTail, TailStart};
use crate::topic::direct::EventBatch;
use crate::topic::event_frame::PerEncoding;
use crate::topic::frames;
use crate::topic::projection::{LoadError, Projection, SavedState, Tail, load};
use duplex_protocol::cursor::Seq;

impl Task {
    /// Whether another node is known to have appended events that this topic does not have.
    pub(super) fn is_behind(&self) -> bool {
        self.shared.is_shared
            && self.retry.is_none()
            && self.shared.expected.load(Ordering::Acquire) > self.shared.head()
    }

    /// Reads what other nodes appended, and publishes it.
    pub(super) async fn follow(&mut self) -> Result<(), LogUnavailable> {
        let expected = self.shared.expected.swap(0, Ordering::AcqRel);
        let followed = self.try_follow().await;
        if followed.is_err() {
            self.shared.expected.fetch_max(expected, Ordering::AcqRel);
        }
        followed
    }

    async fn try_follow(&mut self) -> Result<(), LogUnavailable> {
        let Some(projection) = &mut self.projection else {
            return self.ensure_loaded().await;
        };
        let (seq, answers) = (projection.head, projection.answers);
        let start = TailStart { seq, answers };
        let (log, name) = (&self.shared.log, &self.shared.name);
        let tail = match log.tail(name, start, limits::TAIL).await {
            Ok(tail) => tail.filter(|tail| projection.continues_with(tail, self.shared.epoch)),
            Err(error) => {
                tracing::warn!(topic = %name, "the log cannot be read: {error}");
                self.retry = Some(Instant::now() + limits::LOG_RETRY);
                return Err(LogUnavailable);
            }
        };
        if let Some(tail) = tail
            && let Some(published) = self.publish_followed(tail)
        {
            published.deliver(&self.shared).await;
            return Ok(());
        }
        self.projection = None;
        self.ensure_loaded().await
    }

    /// Applies and publishes a tail. `None` if the topic must be loaded again: an event redacts others, or cannot be applied.
    fn publish_followed(&mut self, tail: LogTail) -> Option<EventBatch> {
        let projection = self.projection.as_mut()?;
        let (first, has_events) = (tail.head.first, !tail.records.is_empty());
        let events = projection.follow(tail)?;
        self.last_snapshot_attempt = self.last_snapshot_attempt.max(projection.snapshot);
        self.shared.oldest.store(first, Ordering::Release);
        if has_events {
            self.last_followed = projection.head;
            self.contended_until = Some(Instant::now() + limits::CONTENDED);
        }
        Some(frames::publish_followed(&self.shared, events))
    }

    /// A copy of the committed state, if other nodes appended to the topic recently.
    pub(super) fn save_if_contended(&mut self) -> Option<SavedState> {
        self.contended_until.take_if(|until| *until <= Instant::now());
        self.contended_until.and(self.projection.as_ref()).map(Projection::save)
    }

    /// Returns to the newest committed state after a conflict.
    pub(super) async fn resolve_conflict(&mut self, saved: Option<SavedState>) -> Result<(), LogUnavailable> {
        self.contended_until = Some(Instant::now() + limits::CONTENDED);
        // If no other node appends, an earlier append was stored after it had failed.
        self.append_unknown |= !self.shared.is_shared;
        match (&mut self.projection, saved) {
            (Some(projection), Some(saved)) => projection.restore(saved),
            _ => self.projection = None,
        }
        self.follow().await
    }

    /// Loads the projection if it was discarded.
    pub(super) async fn ensure_loaded(&mut self) -> Result<(), LogUnavailable> {
        if self.projection.is_some() {
            return Ok(());
        }
        let shown = self.shared.head();
        match self.load(shown).await {
            Ok((projection, tail, head)) if head.epoch == self.shared.epoch && projection.head >= shown => {
                self.shared.oldest.store(head.first, Ordering::Release);
                self.states = PerEncoding::default();
                if projection.head > shown {
                    self.last_followed = projection.head;
                }
                self.projection = Some(projection);
                self.retry = None;
                self.publish_tail(tail);
                Ok(())
            }
            Err(LoadError::Log(error)) => {
                tracing::warn!(topic = %self.shared.name, "the log cannot be read: {error}");
                self.retry = Some(Instant::now() + limits::LOG_RETRY);
                Err(LogUnavailable)
            }
            other => {
                let why = other
                    .err()
                    .map_or("its log changed unexpectedly".to_owned(), |error| error.to_string());
                tracing::error!(topic = %self.shared.name, "the topic's task stops: {why}");
                self.retry = None;
                self.lifecycle = Lifecycle::Failed;
                Err(LogUnavailable)
            }
        }
    }

    /// Loads the projection, and the forwards of an append that was stored although it failed.
    async fn load(&mut self, shown: Seq) -> Result<(Projection, Tail, Head), LoadError> {
        let (log, name) = (self.shared.log.as_ref(), &self.shared.name);
        let loaded = load(log, &self.shared.kind, name, shown).await?;
        self.shared.verify_tail(shown).await?;
        if self.append_unknown {
            self.hub.reload_forwards(name).await?;
            self.append_unknown = false;
        }
        Ok(loaded)
    }

    fn publish_tail(&self, tail: Tail) {
        let has_events = !tail.events.is_empty();
        let mut ring = lock::write(&self.shared.ring);
        frames::fill(&mut ring, tail, self.shared.kind.delivery());
        self.shared.head.store(ring.head(), Ordering::Release);
        drop(ring);
        if has_events {
            self.shared.subscribers.wake_all();
        }
    }
}
