//! The RAII guard of a session's subscription to a topic.

use std::sync::Arc;

use tokio::time::Instant;

use super::direct::{Position, Subscriber};
use super::handle::TopicHandle;
use super::presence::SessionKey;
use super::stats;

/// A session's subscription to a topic: its presence and its wakes end when this is dropped.
#[must_use = "the subscription ends when this is dropped"]
pub struct SubscriptionGuard {
    handle: TopicHandle,
    session: SessionKey,
    subscriber: Arc<Subscriber>,
    slot: usize,
}

impl SubscriptionGuard {
    pub(crate) fn new(handle: TopicHandle, session: SessionKey, subscriber: Arc<Subscriber>) -> Self {
        let slot = handle.shared.subscribers.add(Arc::clone(&subscriber));
        Self {
            handle,
            session,
            subscriber,
            slot,
        }
    }

    /// The topic.
    pub const fn topic(&self) -> &TopicHandle {
        &self.handle
    }

    /// The session's position while it is idle.
    pub(crate) fn position(&self) -> &Position {
        &self.subscriber.position
    }

    /// Changes the name that others see in this topic.
    pub fn rename(&self, name: String) {
        let subscribers = &self.handle.shared.subscribers;
        subscribers.presence().rename(&self.session, name);
        subscribers.notify();
    }

    /// Sets the session's activity, such as `typing`, for a few seconds; `None` ends it.
    pub fn set_activity(&self, activity: Option<String>) {
        let (subscribers, now) = (&self.handle.shared.subscribers, Instant::now());
        subscribers.presence().set_activity(&self.session, activity, now);
        subscribers.notify();
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let subscribers = &self.handle.shared.subscribers;
        subscribers.remove(self.slot);
        subscribers.presence().leave(&self.session);
        subscribers.notify();
        stats::subtract(&self.handle.shared.counters.subscriptions, 1);
    }
}
