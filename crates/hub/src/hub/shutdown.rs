//! The shutdown of a hub, the log of each kind, and the node's outbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::{Hub, Slot};
use crate::log::Log;
use crate::topic::dyn_topic::DynTopic;
use crate::topic::handle::TopicShared;
use crate::topic::outbox::Outbox;
use crate::topic::request::TopicRequest;
use duplex_protocol::session::Denial;
use duplex_protocol::topic::TopicName;

impl Hub {
    /// Closes the hub: no topic is opened any more, earlier requests are answered, states are stored, and the log is closed.
    pub async fn close(&self) {
        self.inner.closing.store(true, Ordering::Release);
        self.close_all().await;
        // Forwards that follow from the last events may open topics again.
        self.inner.outbox.drain().await;
        self.stop_forwards().await;
        self.close_all().await;
        self.disconnect().await;
        self.inner.log.close().await;
    }

    async fn close_all(&self) {
        while let Some(topic) = self.next_to_close() {
            match topic {
                // A start completes by itself.
                Err(mut starting) => while starting.changed().await.is_ok() {},
                Ok(shared) => {
                    let _ = shared.requests.send(TopicRequest::Close).await;
                    shared.requests.closed().await;
                }
            }
        }
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.inner.outbox
    }

    /// The log of the topic's kind; the durable log for an unknown kind.
    pub(crate) fn log_of_topic(&self, topic: &TopicName) -> &Arc<dyn Log> {
        let kind = self.inner.kinds.get(topic.kind());
        kind.map_or(&self.inner.log, |kind| self.log_of(kind.as_ref()))
    }

    pub(crate) fn log_of(&self, kind: &dyn DynTopic) -> &Arc<dyn Log> {
        if kind.is_ephemeral() {
            &self.inner.ephemeral
        } else {
            &self.inner.log
        }
    }

    fn next_to_close(&self) -> Option<Result<Arc<TopicShared>, watch::Receiver<Option<Denial>>>> {
        self.topics().values().next().map(|slot| match slot {
            Slot::Awake(shared) => Ok(Arc::clone(shared)),
            Slot::Starting(starting) => Err(starting.clone()),
        })
    }
}
