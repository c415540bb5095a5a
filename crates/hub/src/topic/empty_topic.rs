//! Readers of topics without events: they get the default state and are woken when the topic starts. Such a topic has no task and
//! does not count as awake.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::encoded_state::{EncodedState, Recovered};
use super::frame::Frame;
use super::handle::TopicHandle;
use super::recovery::{Recovery, recover};
use super::wake::Wake;
use crate::lock;
use crate::topic::dyn_topic::DynTopic;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch};
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{Denial, ServerFrame};
use duplex_protocol::topic::TopicName;

/// A topic opened for a reader.
pub(crate) enum OpenedTopic {
    Awake(TopicHandle),
    Empty(EmptyTopic),
}

/// The readers that wait for topics to be started.
#[derive(Default)]
pub(crate) struct WaitingReaders(Mutex<WaitList>);

#[derive(Default)]
struct WaitList {
    wakes: HashMap<TopicName, HashMap<u64, Arc<Wake>>>,
    last: u64,
}

impl WaitingReaders {
    /// Adds a reader. The caller must hold the lock of the map of topics, and the topic must not be in it.
    pub(crate) fn add(self: &Arc<Self>, topic: &TopicName, wake: Arc<Wake>) -> WaitGuard {
        let mut list = self.lock();
        list.last += 1;
        let id = list.last;
        list.wakes.entry(topic.clone()).or_default().insert(id, wake);
        WaitGuard {
            waiting: Arc::clone(self),
            topic: topic.clone(),
            id,
        }
    }

    /// Whether readers wait for the topic.
    pub(crate) fn has(&self, topic: &TopicName) -> bool {
        self.lock().wakes.contains_key(topic)
    }

    /// Wakes the readers of a topic that has started. Call it after the insertion into the map.
    pub(crate) fn started(&self, topic: &TopicName) {
        let wakes = self.lock().wakes.remove(topic);
        wakes.into_iter().flatten().for_each(|(_, wake)| wake.wake());
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.lock().wakes.values().map(HashMap::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, WaitList> {
        lock::lock(&self.0)
    }
}

/// A reader's entry in the list, removed when this is dropped.
pub(crate) struct WaitGuard {
    waiting: Arc<WaitingReaders>,
    topic: TopicName,
    id: u64,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let mut list = self.waiting.lock();
        if let Some(wakes) = list.wakes.get_mut(&self.topic) {
            wakes.remove(&self.id);
            if wakes.is_empty() {
                list.wakes.remove(&self.topic);
            }
        }
    }
}

/// A topic without an event, read by one reader.
pub(crate) struct EmptyTopic {
    pub(crate) guard: WaitGuard,
    pub(crate) kind: Arc<dyn DynTopic>,
    pub(crate) epoch: Epoch,
}

impl EmptyTopic {
    pub(crate) const fn head(&self) -> Cursor {
        Cursor::new(self.epoch, 0)
    }

    /// The same result as an awake topic without events.
    pub(crate) fn recover(&self, cursor: Option<Cursor>, encoding: Encoding) -> Result<Recovered, Denial> {
        let head = self.head();
        match recover(cursor, head, 1, |_| Some(0)) {
            Recovery::Ring { replayed } | Recovery::Log { replayed } => Ok(Recovered::Resumed { replayed, head }),
            Recovery::Reset(reason) => {
                let (cursor, state) = self.state(encoding)?;
                let state = EncodedState::new(self.guard.topic.clone(), encoding, cursor, state);
                let state = Arc::new(state);
                Ok(Recovered::Reset { reason, state })
            }
        }
    }

    pub(crate) fn state(&self, encoding: Encoding) -> Result<(Cursor, EncodedValue), Denial> {
        let state = self.kind.load_state(None).and_then(|state| state.state(encoding));
        state.map(|state| (self.head(), state)).map_err(|error| {
            tracing::error!(topic = %self.guard.topic, ?encoding, "the state cannot be encoded: {error}");
            Denial::Unavailable
        })
    }

    /// An empty presence: readers of a topic without events are not shown to each other.
    pub(crate) fn presence(&self, encoding: Encoding) -> Option<Frame> {
        let frame = ServerFrame::Presence {
            topic: self.guard.topic.clone(),
            presence: Presence::default(),
        };
        encoding.encode(&frame).ok().map(Frame::from)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn waiting_readers_are_woken_when_the_topic_is_started_unless_they_left() {
        let (waiting, topic) = (Arc::new(WaitingReaders::default()), "chat/new".parse().unwrap());
        let wakes = [Wake::new(), Wake::new()];
        let guards = wakes.each_ref().map(|wake| waiting.add(&topic, Arc::clone(wake)));
        let [stays, leaves] = guards;
        drop(leaves);
        assert_eq!(waiting.count(), 1);
        waiting.started(&topic);
        assert_eq!(
            wakes.each_ref().map(|wake| wake.woken().now_or_never().is_some()),
            [true, false]
        );
        assert_eq!(waiting.count(), 0);
        drop(stays);
    }
}
