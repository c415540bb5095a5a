//! Previews and other reads of topics, mostly without starting them; and the charges to a client's quota.

use std::sync::Arc;

use super::{Hub, Slot};
use crate::topic::dyn_topic::DynTopic;
use crate::topic::empty_topic::{EmptyTopic, OpenedTopic};
use crate::topic::handle::TopicHandle;
use crate::topic::projection::load;
use crate::topic::wake::Wake;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

impl Hub {
    /// Opens a topic for a reader. A topic without events that does not [start on a
    /// read](crate::decider::Decider::starts_on_read) is not started.
    pub(crate) async fn open_for_read(&self, topic: &TopicName, wake: &Arc<Wake>) -> Result<OpenedTopic, Denial> {
        let kind = self.kind(topic)?;
        if self.client_quota.is_none() || kind.starts_on_read(topic) || self.is_awake(topic) {
            return self.open(topic).await.map(OpenedTopic::Awake);
        }
        let head = self.log_of(kind.as_ref()).open(topic, 0, u64::MAX).await;
        let head = head.map_err(|error| {
            tracing::warn!(%topic, "the log cannot be read: {error}");
            Denial::Unavailable
        })?;
        if head.head.last > 0 || self.is_listed(topic, kind.as_ref()).await? {
            return self.open(topic).await.map(OpenedTopic::Awake);
        }
        let guard = {
            let topics = self.topics();
            let asleep = !topics.contains_key(topic);
            asleep.then(|| self.inner.waiting_readers.add(topic, Arc::clone(wake)))
        };
        match guard {
            Some(guard) => Ok(OpenedTopic::Empty(EmptyTopic {
                guard,
                kind,
                epoch: head.head.epoch,
            })),
            None => self.open(topic).await.map(OpenedTopic::Awake),
        }
    }

    /// A preview: the state that a new subscriber would get, and its cursor. A topic without events that does not [start on a
    /// read](crate::decider::Decider::starts_on_read) is not started.
    ///
    /// # Errors
    ///
    /// See [`Self::open`].
    pub async fn preview(&self, topic: &TopicName, encoding: Encoding) -> Result<(Cursor, EncodedValue), Denial> {
        match self.open_for_read(topic, &Wake::new()).await? {
            OpenedTopic::Awake(handle) => handle.state(encoding).await,
            OpenedTopic::Empty(empty) => empty.state(encoding),
        }
    }

    /// The committed state, without starting the topic: if the topic is asleep, the state is read from the log.
    ///
    /// # Errors
    ///
    /// [`Denial::Unknown`] if there is no such kind; [`Denial::Unavailable`] if the log cannot be read.
    pub async fn stored_state(&self, topic: &TopicName, encoding: Encoding) -> Result<EncodedValue, Denial> {
        let kind = self.kind(topic)?;
        if let Some(awake) = self.awake_handle(topic) {
            return awake.state(encoding).await.map(|(_, state)| state);
        }
        let loaded = load(self.log_of(kind.as_ref()).as_ref(), &kind, topic, 0).await;
        let state = loaded.map(|(projection, ..)| projection.state.state(encoding));
        match state {
            Ok(Ok(state)) => return Ok(state),
            Ok(Err(error)) => tracing::error!(%topic, "no state: {error}"),
            Err(error) => error.log(topic),
        }
        Err(Denial::Unavailable)
    }

    async fn is_listed(&self, topic: &TopicName, kind: &dyn DynTopic) -> Result<bool, Denial> {
        match kind.listed_in() {
            Some(list) => self.for_server().open(&list).await?.lists(topic).await,
            None => Ok(false),
        }
    }

    /// Whether the topic is awake. One that is starting counts as awake.
    pub fn is_awake(&self, topic: &TopicName) -> bool {
        self.topics().contains_key(topic)
    }

    /// A handle to the topic, if it is awake.
    pub fn awake_handle(&self, topic: &TopicName) -> Option<TopicHandle> {
        match self.topics().get(topic) {
            Some(Slot::Awake(shared)) => Some(TopicHandle::new(shared, &self.rights)),
            _ => None,
        }
    }

    /// Charges a command to this hub's client quota, if it has one.
    pub(crate) fn charge(
        &self,
        topic: &TopicName,
        (command, encoding): (&EncodedValue, Encoding),
    ) -> Result<(), Rejection> {
        let Some(client_quota) = &self.client_quota else {
            return Ok(());
        };
        let kind = self.kind(topic).map_err(Rejection::Denied)?;
        client_quota.charge_command(command.0.len(), kind.creates(command, encoding))
    }

    /// Charges reads of topics to this hub's client quota, if it has one.
    pub(crate) fn charge_reads(&self, topics: u32) -> Result<(), Denial> {
        let counted = self
            .client_quota
            .as_ref()
            .map_or(Ok(()), |client_quota| client_quota.charge_reads(topics));
        counted.map_err(|_| Denial::Full)
    }
}
