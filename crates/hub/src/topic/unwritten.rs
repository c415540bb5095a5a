//! Topics that nobody has written yet. Who reads one is shown how it begins, and waits for its first event in a list: no task is
//! started for it, and no place among those awake is taken. Knows no session and no transport.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::handle::TopicHandle;
use super::recovery::{Recovery, recover};
use super::shared_state::{Recovered, SharedState};
use super::wake::Wake;
use crate::lock;
use crate::topic::dyn_topic::DynTopic;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch};
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{Denied, ServerFrame};
use duplex_protocol::topic::TopicName;

/// A topic as a reader finds it.
pub(crate) enum Found {
    Awake(TopicHandle),
    Unwritten(Unwritten),
}

/// The readers that wait for topics to be started.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<Readers>);

#[derive(Default)]
struct Readers {
    wakes: HashMap<TopicName, HashMap<u64, Arc<Wake>>>,
    last: u64,
}

impl Waiting {
    /// Call it with the list of topics locked, when the topic is not on it.
    pub(crate) fn add(self: &Arc<Self>, topic: &TopicName, wake: Arc<Wake>) -> Place {
        let mut readers = self.lock();
        readers.last += 1;
        let number = readers.last;
        readers.wakes.entry(topic.clone()).or_default().insert(number, wake);
        Place {
            waiting: Arc::clone(self),
            topic: topic.clone(),
            number,
        }
    }

    /// The topic is on the list now, and whoever looks finds it.
    pub(crate) fn started(&self, topic: &TopicName) {
        let wakes = self.lock().wakes.remove(topic);
        wakes.into_iter().flatten().for_each(|(_, wake)| wake.wake());
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.lock().wakes.values().map(HashMap::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Readers> {
        lock::lock(&self.0)
    }
}

/// A reader's place among those that wait; it is given up by dropping it.
pub(crate) struct Place {
    waiting: Arc<Waiting>,
    topic: TopicName,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut readers = self.waiting.lock();
        if let Some(wakes) = readers.wakes.get_mut(&self.topic) {
            wakes.remove(&self.number);
            if wakes.is_empty() {
                readers.wakes.remove(&self.topic);
            }
        }
    }
}

/// A topic without an event, read by one reader.
pub(crate) struct Unwritten {
    pub(crate) place: Place,
    pub(crate) kind: Arc<dyn DynTopic>,
    pub(crate) epoch: Epoch,
}

impl Unwritten {
    pub(crate) const fn head(&self) -> Cursor {
        Cursor::new(self.epoch, 0)
    }

    /// As a topic that is awake would answer.
    pub(crate) fn recover(&self, cursor: Option<Cursor>, encoding: Encoding) -> Result<Recovered, Denied> {
        let head = self.head();
        match recover(cursor, head, 1, |_| Some(0)) {
            Recovery::Ring { replayed } | Recovery::Log { replayed } => Ok(Recovered::Resumed { replayed, head }),
            Recovery::Reset(reason) => {
                let (cursor, state) = self.state(encoding)?;
                let state = SharedState::new(self.place.topic.clone(), encoding, cursor, state);
                let state = Arc::new(state);
                Ok(Recovered::Reset { reason, state })
            }
        }
    }

    pub(crate) fn state(&self, encoding: Encoding) -> Result<(Cursor, Blob), Denied> {
        let state = self.kind.fold(None).and_then(|fold| fold.state(encoding));
        state.map(|state| (self.head(), state)).map_err(|error| {
            tracing::error!(topic = %self.place.topic, ?encoding, "no state: {error}");
            Denied::Unavailable
        })
    }

    /// Nobody is told of the others here.
    pub(crate) fn presence(&self, encoding: Encoding) -> Option<Bytes> {
        let frame = ServerFrame::Presence {
            topic: self.place.topic.clone(),
            presence: Presence::default(),
        };
        encoding.encode(&frame).ok().map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn who_waits_is_woken_once_the_topic_is_started_and_who_left_is_not() {
        let (waiting, topic) = (Arc::new(Waiting::default()), "chat/new".parse().unwrap());
        let wakes = [Wake::new(), Wake::new()];
        let places = wakes.each_ref().map(|wake| waiting.add(&topic, Arc::clone(wake)));
        let [stays, leaves] = places;
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
