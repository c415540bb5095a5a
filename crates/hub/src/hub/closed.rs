//! Topics that are closed permanently, and the policy for visitors' names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Hub, Slot};
use crate::command::TopicCommand;
use crate::lock;
use crate::names::{AnyName, NamePolicy};
use crate::topic::request::TopicRequest;
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

impl Hub {
    /// The policy for visitors' names.
    pub fn name_policy(&self) -> &dyn NamePolicy {
        self.inner.names.get().map_or(&AnyName, |policy| policy.as_ref())
    }

    /// Sets the policy for visitors' names. Only the first call has an effect.
    pub fn set_name_policy(&self, policy: Arc<dyn NamePolicy>) {
        let _ = self.inner.names.set(policy);
    }

    /// Whether [`Self::close_topics`] closed the topic.
    pub fn is_closed(&self, topic: &TopicName) -> bool {
        let closed = lock::read(&self.inner.closed);
        closed.contains_key(topic)
    }

    /// Closes topics permanently: from now on they cannot be opened. This is not persisted; the caller must close them again after
    /// a restart.
    pub fn close_topics(&self, topics: &BTreeSet<TopicName>) {
        let mut closed = lock::write(&self.inner.closed);
        for topic in topics {
            closed.entry(topic.clone()).or_insert(false);
        }
    }

    /// Whether [`Self::redact_closed`] redacted the topic.
    pub fn is_redacted(&self, topic: &TopicName) -> bool {
        let closed = lock::read(&self.inner.closed);
        closed.get(topic).copied().unwrap_or_default()
    }

    /// Redacts a closed topic: sends the commands that redact its events, to it and to other topics, then stops its task. Its
    /// subscribers receive a [`Denial`](duplex_protocol::session::Denial). If a command is rejected, this logs a warning and the
    /// topic does not count as redacted.
    pub async fn redact_closed(&self, topic: &TopicName, commands: Vec<(CommandId, TopicCommand)>) {
        for (id, command) in commands {
            let (topic, command) = command.into_parts();
            let answer = match self.open_including_closed(&topic).await {
                Ok(handle) => handle.for_server().deliver(None, id, command).await.0,
                Err(denial) => Answer::Rejected(Rejection::Denied(denial)),
            };
            if let Answer::Rejected(rejection) = answer {
                return tracing::warn!(%topic, "the closed topic was not redacted: a command was rejected: {rejection}");
            }
        }
        let shared = match self.topics().get(topic) {
            Some(Slot::Awake(shared)) => Some(Arc::clone(shared)),
            _ => None,
        };
        if let Some(shared) = shared {
            let _ = shared.requests.send(TopicRequest::Close).await;
            shared.requests.closed().await;
        }
        let mut closed = lock::write(&self.inner.closed);
        closed.insert(topic.clone(), true);
    }
}
