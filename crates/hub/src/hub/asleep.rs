//! Reads of topics without starting them, and their cost in a client's quotas.

use std::sync::Arc;

use super::{Hub, Slot};
use crate::topic::dyn_topic::DynTopic;
use crate::topic::handle::TopicHandle;
use crate::topic::projection::load;
use crate::topic::unwritten::{Found, Unwritten};
use crate::topic::wake::Wake;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::TopicName;

impl Hub {
    /// Opens a topic for a reader. A topic without events that does not [stand](crate::decider::Decider::stands) by itself is not started.
    pub(crate) async fn open_to_read(&self, topic: &TopicName, wake: &Arc<Wake>) -> Result<Found, Denied> {
        let kind = self.kind(topic)?;
        if self.2.is_none() || kind.stands(topic) || self.is_awake(topic) {
            return self.open(topic).await.map(Found::Awake);
        }
        let head = self.log_of(kind.as_ref()).open(topic, 0, u64::MAX).await;
        let head = head.map_err(|error| {
            tracing::warn!(%topic, "the log cannot be read: {error}");
            Denied::Unavailable
        })?;
        if head.head.last > 0 || self.is_listed(topic, kind.as_ref()).await? {
            return self.open(topic).await.map(Found::Awake);
        }
        let place = {
            let topics = self.topics();
            let asleep = !topics.contains_key(topic);
            asleep.then(|| self.0.waiting.add(topic, Arc::clone(wake)))
        };
        match place {
            Some(place) => Ok(Found::Unwritten(Unwritten {
                place,
                kind,
                epoch: head.head.epoch,
            })),
            None => self.open(topic).await.map(Found::Awake),
        }
    }

    /// The state that a new subscriber would get, and its cursor. A topic without events that does not
    /// [stand](crate::decider::Decider::stands) by itself is not started.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn preview(&self, topic: &TopicName, encoding: Encoding) -> Result<(Cursor, Blob), Denied> {
        match self.open_to_read(topic, &Wake::new()).await? {
            Found::Awake(handle) => handle.state(encoding).await,
            Found::Unwritten(unwritten) => unwritten.state(encoding),
        }
    }

    /// The committed state, without starting the topic: of a topic that is asleep, from the log.
    ///
    /// # Errors
    ///
    /// [`Denied::Unknown`] if there is no such kind; [`Denied::Unavailable`] if the log cannot be read.
    pub async fn kept(&self, topic: &TopicName, encoding: Encoding) -> Result<Blob, Denied> {
        let kind = self.kind(topic)?;
        if let Some(awake) = self.awake_one(topic) {
            return awake.state(encoding).await.map(|(_, state)| state);
        }
        let loaded = load(self.log_of(kind.as_ref()).as_ref(), &kind, topic, 0).await;
        let state = loaded.map(|(memory, ..)| memory.fold.state(encoding));
        match state {
            Ok(Ok(state)) => return Ok(state),
            Ok(Err(error)) => tracing::error!(%topic, "no state: {error}"),
            Err(error) => error.tell(topic),
        }
        Err(Denied::Unavailable)
    }

    async fn is_listed(&self, topic: &TopicName, kind: &dyn DynTopic) -> Result<bool, Denied> {
        match kind.listed_in() {
            Some(list) => self.own().open(&list).await?.lists(topic).await,
            None => Ok(false),
        }
    }

    /// Whether the topic is awake or starting.
    pub fn is_awake(&self, topic: &TopicName) -> bool {
        self.topics().contains_key(topic)
    }

    /// A handle to the topic if it is awake.
    pub fn awake_one(&self, topic: &TopicName) -> Option<TopicHandle> {
        match self.topics().get(topic) {
            Some(Slot::Awake(board)) => Some(TopicHandle::new(board, &self.1)),
            _ => None,
        }
    }

    /// Counts a command for the client, if the hub works for one.
    pub(crate) fn charge(&self, topic: &TopicName, (command, encoding): (&Blob, Encoding)) -> Result<(), Rejection> {
        let Some(bill) = &self.2 else { return Ok(()) };
        let kind = self.kind(topic).map_err(Rejection::Denied)?;
        bill.command(command.0.len(), kind.makes(command, encoding))
    }

    /// Counts topics that the client reads.
    pub(crate) fn count_read(&self, topics: u32) -> Result<(), Denied> {
        let counted = self.2.as_ref().map_or(Ok(()), |bill| bill.read(topics));
        counted.map_err(|_| Denied::Full)
    }
}
