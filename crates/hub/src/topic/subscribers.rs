//! A topic's subscribers: their wakes, the delivery of events, and the throttled presence updates. The clock is an argument.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::direct::{EventBatch, Subscriber};
use super::frame::Frame;
use super::presence::PresenceSet;
use super::shared_presence::SharedPresence;
use crate::limits;
use crate::lock;
use crate::topic::event_frame::PerEncoding;
use duplex_protocol::codec::Encoding;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::ServerFrame;
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub(crate) struct Subscribers {
    /// Whether presence is disabled for the topic.
    presence_disabled: bool,
    /// The current presence, not yet published.
    presence: Mutex<PresenceSet>,
    /// The presence on other nodes; `None` if there are none. Locked after `presence`.
    shared: Option<Box<Mutex<SharedPresence>>>,
    subscribers: Mutex<SubscriberSlab>,
    published: Mutex<Arc<PublishedPresence>>,
    /// The version of the published presence.
    version: AtomicU64,
    /// Notifies the topic's task of a change.
    changed: Notify,
    /// Whether a handle or a subscriber of this node changed.
    local_change: AtomicBool,
}

/// A published presence.
#[derive(Debug, Default)]
struct PublishedPresence {
    version: u64,
    presence: Presence,
    /// Encoded when a reader first needs it.
    frames: PerEncoding<OnceLock<Frame>>,
}

/// The version of the last published presence, and the earliest time of the next.
#[derive(Debug, Default)]
pub(crate) struct PresenceThrottle {
    published: u64,
    next: Option<Instant>,
}

impl Subscribers {
    pub(crate) fn new(has_presence: bool, is_shared: bool) -> Self {
        Self {
            presence_disabled: !has_presence,
            shared: (has_presence && is_shared).then(Box::default),
            ..Self::default()
        }
    }

    pub(crate) fn presence(&self) -> MutexGuard<'_, PresenceSet> {
        lock::lock(&self.presence)
    }

    /// The presence on other nodes, if the topic has any.
    pub(crate) fn shared_presence(&self) -> Option<MutexGuard<'_, SharedPresence>> {
        self.shared.as_deref().map(lock::lock)
    }

    pub(crate) fn add(&self, subscriber: Arc<Subscriber>) -> usize {
        lock::lock(&self.subscribers).add(subscriber)
    }

    pub(crate) fn remove(&self, slot: usize) {
        lock::lock(&self.subscribers).remove(slot);
    }

    pub(crate) fn wake_all(&self) {
        let mut chunk = Vec::new();
        let mut next = 0;
        while self.next_chunk(&mut next, &mut chunk) {
            chunk.drain(..).for_each(|subscriber| subscriber.wake());
        }
    }

    /// Delivers new events, which the ring has, to all subscribers. Returns how many received them directly.
    pub(crate) async fn deliver(&self, batch: &EventBatch) -> usize {
        let mut chunk = Vec::new();
        let (mut next, mut written) = (0, 0);
        while self.next_chunk(&mut next, &mut chunk) {
            let is_full = chunk.len() == limits::DELIVERY_CHUNK;
            written += chunk.drain(..).filter(|subscriber| subscriber.deliver(batch)).count();
            if is_full {
                yield_now().await;
            }
        }
        written
    }

    /// Takes the next subscribers, so that the lock is not held while they are served. A subscriber that arrives meanwhile has read
    /// the ring itself.
    fn next_chunk(&self, next: &mut usize, chunk: &mut Vec<Arc<Subscriber>>) -> bool {
        let slab = lock::lock(&self.subscribers);
        let Some(rest) = slab.slots.get(*next..).filter(|rest| !rest.is_empty()) else {
            return false;
        };
        let slots = &rest[..rest.len().min(limits::DELIVERY_CHUNK)];
        chunk.extend(slots.iter().flatten().cloned());
        *next += slots.len();
        true
    }

    /// Notifies the topic's task that a subscriber changed.
    pub(crate) fn notify(&self) {
        self.local_change.store(true, Release);
        self.changed.notify_one();
    }

    /// Notifies the topic's task of a message of another node, which does not keep the topic awake.
    pub(crate) fn notify_remote(&self) {
        self.changed.notify_one();
    }

    /// Whether [`Self::notify`] was called since this was last called.
    pub(crate) fn take_local_change(&self) -> bool {
        self.local_change.swap(false, AcqRel)
    }

    pub(crate) async fn notified(&self) {
        self.changed.notified().await;
    }

    /// 0 for an empty presence.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    pub(crate) fn frame(&self, topic: &TopicName, encoding: Encoding) -> (u64, Frame) {
        let published = Arc::clone(&lock::lock(&self.published));
        let frame = published.frames.get(encoding).get_or_init(|| {
            let frame = ServerFrame::Presence {
                topic: topic.clone(),
                presence: published.presence.clone(),
            };
            let encoded = encoding.encode(&frame);
            encoded
                .inspect_err(|error| tracing::error!(%topic, "a presence update cannot be encoded: {error}"))
                .unwrap_or_default()
                .into()
        });
        (published.version, frame.clone())
    }

    /// Expires leases and activities, and publishes a changed presence if the throttle allows. Returns when to call it next, unless
    /// a notification comes before.
    pub(crate) fn refresh(&self, throttle: &mut PresenceThrottle, now: Instant) -> Option<Instant> {
        let (presence, deadline, pause) = {
            let mut set = self.presence();
            // A deadline missed by this much means that the process was suspended.
            if let Some(due) = set.deadline()
                && now >= due + limits::SUSPEND_GAP
            {
                set.extend(now.saturating_duration_since(due) + limits::RESUME_GRACE);
            }
            set.expire(now);
            let mut shared = self.shared_presence();
            shared.iter_mut().for_each(|shared| shared.expire(now));
            let remote = shared.as_ref().and_then(|shared| shared.deadline());
            let deadline = set.deadline().into_iter().chain(remote).min();
            // Both versions only rise.
            let version = set.version() + shared.as_ref().map_or(0, |shared| shared.version());
            if version == throttle.published || self.presence_disabled {
                return deadline;
            }
            if let Some(next) = throttle.next.filter(|next| now < *next) {
                return Some(deadline.map_or(next, |deadline| deadline.min(next)));
            }
            throttle.published = version;
            let presence = match shared {
                Some(shared) => shared.merge(set.node_people()),
                None => set.presence(),
            };
            (presence, deadline, pause(set.session_count()))
        };
        throttle.next = Some(now + pause);
        self.publish(presence);
        deadline
    }

    fn publish(&self, presence: Presence) {
        let mut published = lock::lock(&self.published);
        if published.presence == presence {
            return;
        }
        let version = published.version + 1;
        *published = Arc::new(PublishedPresence {
            version,
            presence,
            frames: PerEncoding::default(),
        });
        drop(published);
        self.version.store(version, Relaxed);
        self.wake_all();
    }
}

fn pause(sessions: usize) -> Duration {
    let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
    limits::PRESENCE_PAUSE_PER_SESSION
        .saturating_mul(sessions)
        .clamp(limits::PRESENCE_PAUSE, limits::PRESENCE_PAUSE_MAX)
}

/// A slab of subscribers, for removal in O(1).
#[derive(Default)]
struct SubscriberSlab {
    slots: Vec<Option<Arc<Subscriber>>>,
    free: Vec<usize>,
}

impl SubscriberSlab {
    fn add(&mut self, subscriber: Arc<Subscriber>) -> usize {
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = Some(subscriber);
                slot
            }
            None => {
                self.slots.push(Some(subscriber));
                self.slots.len() - 1
            }
        }
    }

    fn remove(&mut self, slot: usize) {
        if self.slots.get_mut(slot).and_then(Option::take).is_some() {
            self.free.push(slot);
        }
        if self.free.len() == self.slots.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::wake::Wake;
    use duplex_protocol::person::{Person, PersonId};

    fn join(subscribers: &Subscribers, number: u32) {
        let person = Person {
            id: PersonId(number.to_string()),
            name: String::new(),
        };
        subscribers.presence().join(&number.to_string().into(), person, None);
    }

    #[test]
    fn a_disabled_presence_is_not_published() {
        let (subscribers, mut throttle, start) = (
            Subscribers::new(false, false),
            PresenceThrottle::default(),
            Instant::now(),
        );
        join(&subscribers, 1);
        assert_eq!(subscribers.refresh(&mut throttle, start), None);
        assert_eq!((subscribers.version(), subscribers.presence().session_count()), (0, 1));
    }

    #[test]
    fn joins_are_coalesced_into_few_presence_updates() {
        let (subscribers, mut throttle, start) = (Subscribers::default(), PresenceThrottle::default(), Instant::now());
        for number in 0..1000 {
            join(&subscribers, number);
            subscribers.refresh(&mut throttle, start + Duration::from_millis(number.into()));
        }
        let version = subscribers.version();
        assert!((2..=10).contains(&version), "{version} presence updates");
        let next = subscribers
            .refresh(&mut throttle, start + Duration::from_secs(1))
            .unwrap();
        subscribers.refresh(&mut throttle, next);
        let (_, frame) = subscribers.frame(&"chat/lobby".parse().unwrap(), Encoding::Json);
        let frame: ServerFrame = Encoding::Json.decode(&frame).unwrap();
        let ServerFrame::Presence { presence, .. } = frame else {
            panic!("{frame:?}")
        };
        assert_eq!(presence.session_count, 1000);
        assert_eq!(
            subscribers.refresh(&mut throttle, next),
            None,
            "nothing is left to publish"
        );
    }

    #[test]
    fn the_pause_grows_with_the_number_of_sessions() {
        assert_eq!(pause(1), limits::PRESENCE_PAUSE);
        assert_eq!(pause(1000), Duration::from_secs(1));
        assert_eq!(pause(usize::MAX), limits::PRESENCE_PAUSE_MAX);
    }

    #[test]
    fn a_presence_is_encoded_once_and_only_for_a_reader() {
        let (subscribers, mut throttle) = (Subscribers::default(), PresenceThrottle::default());
        let topic = "chat/lobby".parse().unwrap();
        join(&subscribers, 1);
        subscribers.refresh(&mut throttle, Instant::now());
        assert!(
            lock::lock(&subscribers.published)
                .frames
                .get(Encoding::Json)
                .get()
                .is_none()
        );
        let first = subscribers.frame(&topic, Encoding::Json).1;
        assert_eq!(first.as_ptr(), subscribers.frame(&topic, Encoding::Json).1.as_ptr());
        assert!(
            lock::lock(&subscribers.published)
                .frames
                .get(Encoding::Postcard)
                .get()
                .is_none()
        );
    }

    #[test]
    fn an_index_is_reused() {
        use futures_util::FutureExt as _;
        let subscribers = Subscribers::default();
        let wakes: Vec<_> = (0..3).map(|_| Wake::new()).collect();
        let slots: Vec<_> = wakes
            .iter()
            .map(|wake| subscribers.add(Subscriber::new(Arc::clone(wake), None)))
            .collect();
        subscribers.remove(slots[1]);
        subscribers.remove(slots[1]);
        subscribers.wake_all();
        let woken: Vec<_> = wakes.iter().map(|wake| wake.woken().now_or_never().is_some()).collect();
        assert_eq!(woken, [true, false, true]);
        assert_eq!(subscribers.add(Subscriber::new(Wake::new(), None)), slots[1]);
    }
}
