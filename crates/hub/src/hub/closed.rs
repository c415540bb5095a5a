//! Topics that are closed for good, and the policy on names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Hub, Slot};
use crate::command::TopicCommand;
use crate::lock;
use crate::names::{AnyName, NamePolicy};
use crate::topic::handle::Ask;
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

impl Hub {
    /// The policy on visitors' names.
    pub fn names(&self) -> &dyn NamePolicy {
        self.0.names.get().map_or(&AnyName, |policy| policy.as_ref())
    }

    /// Sets the policy on visitors' names. Only the first call of a hub has an effect.
    pub fn set_names(&self, policy: Arc<dyn NamePolicy>) {
        let _ = self.0.names.set(policy);
    }

    /// Whether [`Self::close_topics`] closed the topic.
    pub fn is_closed(&self, topic: &TopicName) -> bool {
        let closed = lock::read(&self.0.closed);
        closed.contains_key(topic)
    }

    /// Closes topics for good: from now on they cannot be opened. Not stored: the caller does it again after a restart.
    pub fn close_topics(&self, topics: &BTreeSet<TopicName>) {
        let mut closed = lock::write(&self.0.closed);
        for topic in topics {
            closed.entry(topic.clone()).or_insert(false);
        }
    }

    /// Whether [`Self::erase`] erased the topic.
    pub fn is_erased(&self, topic: &TopicName) -> bool {
        let closed = lock::read(&self.0.closed);
        closed.get(topic).copied().unwrap_or_default()
    }

    /// Erases a closed topic: sends it, and other topics, the commands that redact its events, then ends the topic. Its subscribers are
    /// denied. If a command is rejected, a line in the log says so and the topic is not erased.
    pub async fn erase(&self, topic: &TopicName, told: Vec<(CommandId, TopicCommand)>) {
        for (id, command) in told {
            let (topic, command) = command.into_parts();
            let answer = match self.open_even_closed(&topic).await {
                Ok(handle) => handle.for_server().deliver(None, id, command).await.0,
                Err(denied) => Answer::Rejected(Rejection::Denied(denied)),
            };
            if let Answer::Rejected(why) = answer {
                return tracing::warn!(%topic, "a closed topic keeps its events: {why}");
            }
        }
        let board = match self.topics().get(topic) {
            Some(Slot::Awake(board)) => Some(Arc::clone(board)),
            _ => None,
        };
        if let Some(board) = board {
            let _ = board.asks.send(Ask::Close).await;
            board.asks.closed().await;
        }
        let mut closed = lock::write(&self.0.closed);
        closed.insert(topic.clone(), true);
    }
}
