//! A topic's life in the map: it is loaded, its task runs, and it is removed when the task ends.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, watch};

use super::{Hub, Slot};
use crate::limits;
use crate::quota::QuotaGuard;
use crate::topic::dyn_topic::DynTopic;
use crate::topic::frames;
use crate::topic::handle::TopicShared;
use crate::topic::projection::{Projection, load};
use crate::topic::request::TopicRequest;
use crate::topic::ring::{Ring, RingLimits};
use crate::topic::subscribers::Subscribers;
use crate::topic::task::Task;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Denial;
use duplex_protocol::topic::TopicName;

impl Hub {
    /// Loads a topic and runs its task until it ends.
    pub(super) async fn start(
        self,
        topic: TopicName,
        kind: Arc<dyn DynTopic>,
        started: watch::Sender<Option<Denial>>,
        quota_guard: Option<QuotaGuard>,
    ) {
        let mut slot = SlotGuard {
            hub: self.clone(),
            topic,
            shared: None,
            _quota_guard: quota_guard,
        };
        let log = Arc::clone(self.log_of(kind.as_ref()));
        let loaded = load(log.as_ref(), &kind, &slot.topic, 0).await;
        let (projection, tail, head) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return error.log(&slot.topic),
        };
        let mut ring = Ring::new((tail.after, tail.checksum), kind.delivery(), RingLimits::default());
        frames::fill(&mut ring, tail, kind.delivery());
        let (requests, receiver) = mpsc::channel(limits::TOPIC_QUEUE);
        let is_shared = self.cluster().is_some() && !kind.is_ephemeral();
        let subscribers = Subscribers::new(kind.has_presence(), is_shared);
        let shared = Arc::new(TopicShared {
            name: slot.topic.clone(),
            counters: self.inner.kind_counters.get(kind.name()).cloned().unwrap_or_default(),
            kind,
            log,
            epoch: head.epoch,
            requests,
            start_seq: ring.head(),
            head: AtomicU64::new(ring.head()),
            ring: RwLock::new(ring),
            oldest: AtomicU64::new(head.first),
            subscribers,
            is_shared,
            // What was appended since the topic was loaded may have been announced before it was in the map.
            expected: AtomicU64::new(if is_shared { Seq::MAX } else { 0 }),
            handles: AtomicUsize::new(0),
        });
        self.topics()
            .insert(shared.name.clone(), Slot::Awake(Arc::clone(&shared)));
        slot.shared = Some(Arc::clone(&shared));
        started.send_replace(None);
        drop(started);
        self.inner.waiting_readers.started(&shared.name);
        run_topic(slot, shared, receiver, projection).await;
    }
}

/// Runs a topic's task. When it ends for any reason (by the drop order), the topic is removed from the map, then its queue closes,
/// then its readers are woken.
async fn run_topic(
    slot: SlotGuard,
    shared: Arc<TopicShared>,
    receiver: mpsc::Receiver<TopicRequest>,
    projection: Projection,
) {
    let _wake = WakeOnDrop(Arc::clone(&shared));
    let mut task = Task::new(slot.hub.clone(), shared, receiver, projection);
    let _slot = slot;
    task.run().await;
}

/// A topic's entry in the map, removed when this is dropped.
struct SlotGuard {
    hub: Hub,
    topic: TopicName,
    /// `None` while the topic starts.
    shared: Option<Arc<TopicShared>>,
    /// The quota of the client that started it.
    _quota_guard: Option<QuotaGuard>,
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let mut topics = self.hub.topics();
        let owned = match (topics.get(&self.topic), &self.shared) {
            (Some(Slot::Awake(awake)), Some(shared)) => Arc::ptr_eq(awake, shared),
            (Some(Slot::Starting(_)), None) => true,
            _ => false,
        };
        if owned {
            topics.remove(&self.topic);
        }
    }
}

struct WakeOnDrop(Arc<TopicShared>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.subscribers.wake_all();
    }
}
