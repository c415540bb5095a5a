//! This node among the nodes that share its log: sends what they need to know, and follows their appends. See [`crate::bus`].

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Hub, Slot};
use crate::bus::{self, Bus, Message, NodeId};
use crate::limits;
use crate::lock;
use crate::quota::LogThrottle;
use crate::topic::handle::TopicShared;
use crate::topic::shared_presence::SharedPresence;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// The connection of a node to the others.
pub(crate) struct Cluster {
    node: NodeId,
    bus: Arc<dyn Bus>,
    outgoing: Mutex<Outgoing>,
    /// Notified when there is something to send.
    ready: Notify,
    stop: CancellationToken,
}

/// What will be sent together, while earlier messages are being sent.
#[derive(Default)]
struct Outgoing {
    heads: HashMap<TopicName, Seq>,
    others: Vec<Message>,
}

impl Outgoing {
    fn take(&mut self) -> Vec<Message> {
        let heads = std::mem::take(&mut self.heads).into_iter();
        let heads = heads.map(|(topic, seq)| Message::Head(topic, seq));
        heads.chain(self.others.drain(..)).collect()
    }
}

impl Cluster {
    fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            node: NodeId::random(),
            bus,
            outgoing: Mutex::default(),
            ready: Notify::new(),
            stop: CancellationToken::new(),
        }
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }

    /// Announces to the other nodes that a topic has events up to `seq`.
    pub(crate) fn announce(&self, topic: &TopicName, seq: Seq) {
        lock::lock(&self.outgoing).heads.insert(topic.clone(), seq);
        self.ready.notify_one();
    }

    /// Sends messages that may be lost: those beyond a limit are dropped.
    pub(crate) fn send_lossy(&self, messages: impl IntoIterator<Item = Message>) {
        let mut outgoing = lock::lock(&self.outgoing);
        let room = limits::BUS_MESSAGES.saturating_sub(outgoing.others.len());
        outgoing.others.extend(messages.into_iter().take(room));
        let is_empty = outgoing.others.is_empty();
        drop(outgoing);
        if !is_empty {
            self.ready.notify_one();
        }
    }

    /// Sends what there is. A failure is not repeated: the other nodes find the heads in the log.
    async fn send(&self) {
        static FAILED_THROTTLE: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

        let messages = lock::lock(&self.outgoing).take();
        let payloads = bus::encode(self.node, messages);
        if payloads.is_empty() {
            return;
        }
        if let Err(error) = self.bus.send(payloads).await
            && let Some(suppressed) = FAILED_THROTTLE.try_log()
        {
            tracing::warn!(
                suppressed,
                "the other nodes were not told of events; they find them within a second: {error}"
            );
        }
    }
}

impl Hub {
    /// Connects this node to the others that use its log. Call it within a tokio runtime and before topics are opened; only the first
    /// call has an effect.
    pub fn connect(&self, bus: Arc<dyn Bus>) {
        if self.inner.cluster.set(Cluster::new(bus)).is_ok() {
            let stop = self.cluster().map(|cluster| cluster.stop.clone()).unwrap_or_default();
            let hub = self.for_server();
            tokio::spawn(stop.run_until_cancelled_owned(async move {
                tokio::join!(
                    hub.send_messages(),
                    hub.receive_messages(),
                    hub.watch_heads(),
                    hub.adopt_forwards()
                )
            }));
        }
    }

    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.inner.cluster.get()
    }

    /// Leaves the other nodes, after all topics have ended.
    pub(super) async fn disconnect(&self) {
        if let Some(cluster) = self.cluster() {
            let _ = timeout(limits::BUS_DRAIN, cluster.send()).await;
            cluster.stop.cancel();
        }
    }

    async fn send_messages(&self) {
        let Some(cluster) = self.cluster() else { return };
        loop {
            cluster.ready.notified().await;
            cluster.send().await;
        }
    }

    async fn receive_messages(&self) {
        let Some(cluster) = self.cluster() else { return };
        loop {
            let payload = cluster.bus.receive().await;
            match bus::decode(&payload) {
                Some((node, messages)) if node != cluster.node => {
                    for message in messages {
                        self.on_message(node, message);
                    }
                }
                Some(_) => {}
                None => tracing::debug!("a malformed message of the bus was ignored"),
            }
        }
    }

    fn on_message(&self, node: NodeId, message: Message) {
        let now = Instant::now();
        match message {
            Message::Head(topic, seq) => self.on_head(&topic, seq),
            Message::Presence(topic, update) => {
                self.on_presence(&topic, |shared| shared.receive(node, update, now));
            }
            Message::AskPresence(topic) => self.on_presence(&topic, |shared| shared.request_round(now)),
        }
    }

    /// Changes the shared presence of a topic, if it is awake and has one.
    fn on_presence(&self, topic: &TopicName, change: impl FnOnce(&mut SharedPresence)) {
        let awake = self.topics().get(topic).and_then(Slot::awake);
        let Some(topic) = awake else { return };
        if let Some(mut shared) = topic.subscribers.shared_presence() {
            change(&mut shared);
            drop(shared);
            topic.subscribers.notify_remote();
        }
    }

    /// Asks the log regularly for the heads that moved.
    async fn watch_heads(&self) {
        let mut version = None;
        loop {
            match self.log().heads_since(version).await {
                Ok(moved) => {
                    if version.is_none() {
                        self.follow_all();
                    }
                    version = Some(moved.version);
                    for (topic, seq) in moved.heads {
                        self.on_head(&topic, seq);
                    }
                }
                Err(error) => tracing::debug!("the log cannot be asked for moved heads: {error}"),
            }
            sleep(limits::HEADS_INTERVAL).await;
        }
    }

    /// Makes the topic follow the log if it is awake and behind, or starts it if readers wait for its first event. A topic that is
    /// starting reads its tail by itself.
    fn on_head(&self, topic: &TopicName, seq: Seq) {
        let awake = match self.topics().get(topic) {
            Some(Slot::Awake(shared)) => Some(Arc::clone(shared)),
            Some(Slot::Starting(_)) => return,
            None => None,
        };
        match awake {
            Some(shared) => shared.notice_head(seq),
            None if self.inner.waiting_readers.has(topic) => {
                let (hub, topic) = (self.for_server(), topic.clone());
                tokio::spawn(async move { hub.open(&topic).await.map(drop) });
            }
            None => {}
        }
    }

    /// Makes every awake topic read its tail once.
    fn follow_all(&self) {
        let awake: Vec<_> = self.topics().values().filter_map(Slot::awake).collect();
        awake.iter().for_each(|shared| shared.notice_head(Seq::MAX));
    }
}

impl Slot {
    fn awake(&self) -> Option<Arc<TopicShared>> {
        match self {
            Self::Awake(shared) => Some(Arc::clone(shared)),
            Self::Starting(_) => None,
        }
    }
}

impl TopicShared {
    /// Makes the topic's task read the log if its head is before `seq`.
    pub(crate) fn notice_head(&self, seq: Seq) {
        if self.is_shared && seq > self.head() {
            self.expected.fetch_max(seq, Ordering::AcqRel);
            self.subscribers.notify_remote();
        }
    }
}
