//! A read-only view of the session state machine, for the inspector.

use super::{QueuedCommand, Session};
use crate::status::TopicStatus;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::topic::{Delivery, TopicName};

/// One subscription of the tab.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionInfo {
    /// The topic's name.
    pub topic: TopicName,
    /// How its events are delivered.
    pub delivery: Delivery,
    /// The cursor of the state; `None` without a state.
    pub cursor: Option<Cursor>,
    /// The subscription's status.
    pub status: TopicStatus,
    /// Gaps detected in the received events; each was repaired by requesting the topic again.
    pub gaps: u64,
    /// Events that arrived twice; the second was dropped.
    pub duplicates: u64,
}

impl Session {
    /// The subscriptions, by topic name.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        let connected = self.main.is_some();
        let subscriptions = self.topics.iter().map(|(topic, known)| SubscriptionInfo {
            topic: topic.clone(),
            delivery: known.delivery(),
            cursor: known.cursor(),
            status: known.status(connected),
            gaps: known.gaps,
            duplicates: known.duplicates,
        });
        subscriptions.collect()
    }

    /// Commands without an answer, in order.
    #[must_use]
    pub fn queue(&self) -> Vec<QueuedCommand> {
        self.outbox.queued()
    }
}
