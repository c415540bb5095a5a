//! The hub: all topics of this node, awake or asleep.
//!
//! A topic is in the map from the moment it is opened. It starts in its own task, so dropping the future that opened it does not
//! cancel the start. It is removed from the map when it is idle and has no handles.

mod closed;
mod cluster;
#[cfg(test)]
mod cluster_tests;
mod lease;
mod preview;
mod queries;
mod shutdown;
mod start;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::Instrument as _;

use self::cluster::Cluster;
use super::decider::{Access, Principal};
use super::rights::{RequiredRole, Rights};
use crate::limits;
use crate::lock;
use crate::log::Log;
use crate::log::memory::MemoryLog;
use crate::names::NamePolicy;
use crate::quota::ClientQuota;
use crate::quota::{ClientKey, Quotas};
use crate::topic::dyn_topic::DynTopic;
use crate::topic::empty_topic::WaitingReaders;
use crate::topic::handle::{TopicHandle, TopicShared};
use crate::topic::outbox::Outbox;
use crate::topic::request::TopicRequest;
use crate::topic::stats::KindCounters;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::Person;
use duplex_protocol::session::Denial;
use duplex_protocol::topic::TopicName;

/// All topics of this node. Cheap to clone. A clone acts with the [`Rights`] of one request and the quotas of one client, or for
/// the server itself; topic handles inherit both.
///
/// A topic is started when it is opened, loads its state from the log, and falls asleep a minute after its last handle was
/// dropped.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
    rights: Rights,
    /// `None` for the server itself.
    client_quota: Option<Arc<ClientQuota>>,
}

/// The reason why a person or a program may not write to a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteDenial {
    /// The person has no access to the topic.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The program's token lacks the required role.
    #[error("this needs a token with the role {0}")]
    Role(&'static str),
}

struct Inner {
    log: Arc<dyn Log>,
    /// Stores the ephemeral kinds, in memory.
    ephemeral: Arc<dyn Log>,
    kinds: HashMap<&'static str, Arc<dyn DynTopic>>,
    topics: Mutex<HashMap<TopicName, Slot>>,
    /// The maximum number of awake topics.
    max_topics: usize,
    /// Readers of topics that have no events yet.
    waiting_readers: Arc<WaitingReaders>,
    /// Counters by kind.
    kind_counters: BTreeMap<&'static str, Arc<KindCounters>>,
    /// Counters that belong to no kind: forwards.
    counters: KindCounters,
    closing: AtomicBool,
    names: OnceLock<Arc<dyn NamePolicy>>,
    /// The topics that are closed permanently, and whether their events are redacted.
    closed: RwLock<HashMap<TopicName, bool>>,
    outbox: Outbox,
    /// Set if the log is shared with other nodes.
    cluster: OnceLock<Cluster>,
}

enum Slot {
    /// Receives the result of the start.
    Starting(watch::Receiver<Option<Denial>>),
    Awake(Arc<TopicShared>),
}

/// The result of a topic lookup.
enum Lookup {
    Awake(TopicHandle),
    Starting(watch::Receiver<Option<Denial>>),
    /// The topic limit is reached; these idle topics may be evicted.
    Full(Vec<Arc<TopicShared>>),
}

impl Hub {
    /// A hub with these kinds of topics, whose events `log` stores. If two kinds have the same name, the last one wins. Topics must
    /// be opened within a tokio runtime.
    pub fn new(log: Arc<dyn Log>, kinds: Vec<Box<dyn DynTopic>>) -> Self {
        Self::with_max_topics(log, kinds, limits::MAX_AWAKE_TOPICS)
    }

    /// Like [`Self::new`], with at most `max_topics` topics awake at once instead of 10,000.
    pub fn with_max_topics(log: Arc<dyn Log>, kinds: Vec<Box<dyn DynTopic>>, max_topics: usize) -> Self {
        let kinds = kinds.into_iter().map(Arc::<dyn DynTopic>::from);
        let kinds: HashMap<_, _> = kinds.map(|kind| (kind.name(), kind)).collect();
        let inner = Inner {
            log,
            ephemeral: Arc::new(MemoryLog::new(Epoch::new(uuid::Uuid::now_v7().as_u64_pair().1))),
            kind_counters: kinds.keys().map(|name| (*name, Arc::default())).collect(),
            kinds,
            topics: Mutex::default(),
            max_topics,
            waiting_readers: Arc::default(),
            counters: KindCounters::default(),
            closing: AtomicBool::new(false),
            names: OnceLock::new(),
            closed: RwLock::default(),
            outbox: Outbox::default(),
            cluster: OnceLock::new(),
        };
        Self {
            inner: Arc::new(inner),
            rights: Rights::default(),
            client_quota: None,
        }
    }

    /// The same hub with the rights of a request, which the caller has verified.
    #[must_use]
    pub fn with_rights(&self, rights: Rights) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            rights,
            client_quota: self.client_quota.clone(),
        }
    }

    /// The same hub for a client, within its quotas.
    #[must_use]
    pub fn for_client(&self, quotas: &Arc<Quotas>, client: ClientKey) -> Self {
        let client_quota = ClientQuota::new(Arc::clone(quotas), client);
        Self {
            inner: Arc::clone(&self.inner),
            rights: self.rights.clone(),
            client_quota: Some(Arc::new(client_quota)),
        }
    }

    /// `None` for the server itself.
    pub(crate) fn client_quota(&self) -> Option<&ClientQuota> {
        self.client_quota.as_deref()
    }

    /// The same hub for the server's own work, without the rights of any request: a topic outlives the request that started it.
    pub(crate) fn for_server(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            rights: Rights::default(),
            client_quota: None,
        }
    }

    /// The access of a person to a topic, with the rights of this hub. Calls [`Decider::admit`]; does not start the topic.
    ///
    /// # Errors
    ///
    /// [`Denial::Unknown`] if there is no such kind or the topic was closed, [`Denial::Forbidden`] or the decider's reason
    /// otherwise.
    ///
    /// [`Decider::admit`]: crate::decider::Decider::admit
    pub fn admit(&self, who: &Person, topic: &TopicName) -> Result<Access, Denial> {
        let (kind, rights) = (self.kind(topic)?, &self.rights);
        if self.is_closed(topic) {
            return Err(Denial::Unknown);
        }
        let closed = kind.is_for_operators() && !rights.allows(RequiredRole::Read);
        let private = kind.is_private() && rights.is_program() && !rights.allows(RequiredRole::Operator);
        if closed || private {
            return Err(Denial::Forbidden);
        }
        kind.admit(self.principal(who), topic)
    }

    fn principal<'a>(&self, person: &'a Person) -> Principal<'a> {
        let sender_kind = self.rights.sender_kind();
        Principal { person, sender_kind }
    }

    /// Checks that a person may write to a topic. A program needs the role of [`Decider::program_role`].
    ///
    /// # Errors
    ///
    /// [`WriteDenial::Role`] if a program lacks the role, else as [`Self::admit`].
    ///
    /// [`Decider::program_role`]: crate::decider::Decider::program_role
    pub fn authorize_write(&self, who: &Person, topic: &TopicName) -> Result<(), WriteDenial> {
        let (kind, rights) = (self.kind(topic)?, &self.rights);
        let required = kind.program_role(topic);
        if rights.is_program() && !rights.allows(required) {
            return Err(WriteDenial::Role(required.name()));
        }
        if kind.is_for_operators() && !rights.allows(RequiredRole::Operator) {
            return Err(Denial::Forbidden.into());
        }
        if self.is_closed(topic) {
            return Err(Denial::Unknown.into());
        }
        match kind.admit(self.principal(who), topic)? {
            Access::Write => Ok(()),
            Access::Read => Err(Denial::Forbidden.into()),
        }
    }

    /// Whether this hub has the rights of an operator.
    pub fn is_operator(&self) -> bool {
        self.rights.allows(RequiredRole::Operator)
    }

    /// Opens a topic, and starts it if it is asleep. Does not check access: see [`Self::admit`].
    ///
    /// # Errors
    ///
    /// [`Denial::Unknown`] if there is no such kind or the topic was closed; [`Denial::Full`] if the topic limit or the client's
    /// quota is reached; [`Denial::Unavailable`] if its log cannot be read, or the hub is closing.
    pub async fn open(&self, topic: &TopicName) -> Result<TopicHandle, Denial> {
        if self.inner.closing.load(Ordering::Acquire) {
            return Err(Denial::Unavailable);
        }
        self.open_while_closing(topic).await
    }

    pub(crate) async fn open_while_closing(&self, topic: &TopicName) -> Result<TopicHandle, Denial> {
        if self.is_closed(topic) {
            return Err(Denial::Unknown);
        }
        self.open_including_closed(topic).await
    }

    async fn open_including_closed(&self, topic: &TopicName) -> Result<TopicHandle, Denial> {
        let kind = self.kind(topic)?;
        let mut attempts = 0;
        loop {
            let mut starting = match self.look_up(topic, &kind)? {
                Lookup::Awake(handle) => return Ok(handle),
                Lookup::Starting(starting) => starting,
                Lookup::Full(idle) if !idle.is_empty() && attempts < limits::EVICTION_ATTEMPTS => {
                    attempts += 1;
                    evict_idle(&idle).await;
                    continue;
                }
                Lookup::Full(_) => return Err(Denial::Full),
            };
            // The sender is dropped when the start has ended; it sends a value earlier only if the start failed.
            while starting.changed().await.is_ok() {}
            if let Some(denial) = *starting.borrow() {
                return Err(denial);
            }
        }
    }

    /// The topic limit for this hub. Part of the node's limit is reserved for the server's own work.
    fn max_topics(&self) -> usize {
        let reserved = match self.client_quota {
            Some(_) => limits::RESERVED_TOPICS.min(self.inner.max_topics / 4),
            None => 0,
        };
        self.inner.max_topics - reserved
    }

    fn look_up(&self, topic: &TopicName, kind: &Arc<dyn DynTopic>) -> Result<Lookup, Denial> {
        let mut topics = self.topics();
        match topics.get(topic) {
            Some(Slot::Awake(shared)) => Ok(Lookup::Awake(TopicHandle::new(shared, &self.rights))),
            Some(Slot::Starting(starting)) => Ok(Lookup::Starting(starting.clone())),
            None if topics.len() >= self.max_topics() => {
                let idle = topics.values().filter_map(|slot| match slot {
                    Slot::Awake(shared) if shared.is_idle() => Some(Arc::clone(shared)),
                    _ => None,
                });
                Ok(Lookup::Full(idle.take(limits::EVICTION_CANDIDATES).collect()))
            }
            None => {
                let quota_guard = self
                    .client_quota
                    .as_ref()
                    .map(|quota| quota.acquire_topic())
                    .transpose();
                let quota_guard = quota_guard.map_err(|_| Denial::Full)?;
                // Waiters get this value if the start is dropped.
                let (started, starting) = watch::channel(Some(Denial::Unavailable));
                topics.insert(topic.clone(), Slot::Starting(starting.clone()));
                let span = tracing::info_span!("topic", %topic);
                let task = self
                    .for_server()
                    .start(topic.clone(), Arc::clone(kind), started, quota_guard);
                tokio::spawn(task.instrument(span));
                Ok(Lookup::Starting(starting))
            }
        }
    }

    /// Removes a topic from the map if `is_removable` returns true. The map is locked meanwhile, so the topic cannot be opened.
    pub(crate) fn remove_if(&self, shared: &Arc<TopicShared>, is_removable: impl FnOnce() -> bool) -> bool {
        let mut topics = self.topics();
        let removes = is_removable();
        if removes && matches!(topics.get(&shared.name), Some(Slot::Awake(awake)) if Arc::ptr_eq(awake, shared)) {
            topics.remove(&shared.name);
        }
        removes
    }

    pub(crate) fn counters(&self) -> &KindCounters {
        &self.inner.counters
    }

    fn kind(&self, topic: &TopicName) -> Result<Arc<dyn DynTopic>, Denial> {
        self.inner.kinds.get(topic.kind()).cloned().ok_or(Denial::Unknown)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<TopicName, Slot>> {
        lock::lock(&self.inner.topics)
    }
}

/// Asks idle topics to fall asleep and waits until one of them has ended.
async fn evict_idle(idle: &[Arc<TopicShared>]) {
    for shared in idle {
        // A topic with a full queue is no longer idle.
        let _ = shared.requests.try_send(TopicRequest::Sleep);
    }
    let closed = select_all(idle.iter().map(|shared| Box::pin(shared.requests.closed())));
    let _ = timeout(limits::EVICTION_WAIT, closed).await;
}
