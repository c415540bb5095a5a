//! The machine as the inspector shows it. Changes nothing.

use super::Link;
use crate::status::TopicStatus;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::{Delivery, TopicName};

#[derive(Debug, Clone, PartialEq)]
pub struct Subscribed {
    pub topic: TopicName,
    pub delivery: Delivery,
    pub cursor: Option<Cursor>,
    pub status: TopicStatus,
    /// Of what came over the lines; the page was not shown them.
    pub gaps: u64,
    pub duplicates: u64,
}

/// A command without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    pub topic: TopicName,
    pub id: CommandId,
    pub attempts: u32,
}

impl Link {
    pub fn subscriptions(&self) -> Vec<Subscribed> {
        let coming = self.main.is_some();
        let shown = self.topics.iter().map(|(topic, known)| Subscribed {
            topic: topic.clone(),
            delivery: known.delivery(),
            cursor: known.cursor(),
            status: known.status(coming),
            gaps: known.gaps,
            duplicates: known.duplicates,
        });
        shown.collect()
    }

    pub fn queue(&self) -> Vec<Unsent> {
        self.outbox.unsent()
    }
}
