//! The hub: all topics of this node, awake or asleep.
//!
//! A topic is on the list from the moment it is opened. It starts in a task of its own, so the caller that opened it may be dropped; it
//! leaves the list when it has nothing left to do, and only while there is no handle to it.

mod asleep;
mod closed;
mod reports;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};

use futures_util::future::select_all;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::decider::{Access, Principal};
use super::rights::{Needed, Rights};
use crate::limits;
use crate::lock;
use crate::log::Log;
use crate::log::memory::Memory as InMemory;
use crate::names::NamePolicy;
use crate::quota::Bill;
use crate::quota::{Client, QuotaGuard, Quotas};
use crate::topic::dyn_topic::DynTopic;
use crate::topic::frames;
use crate::topic::handle::{Ask, Board, TopicHandle};
use crate::topic::outbox::Outbox;
use crate::topic::projection::{Memory, load};
use crate::topic::ring::{Bounds, Ring};
use crate::topic::stats::Tally;
use crate::topic::subscribers::Crowd;
use crate::topic::task::Task;
use crate::topic::unwritten::Waiting;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::Person;
use duplex_protocol::session::Denied;
use duplex_protocol::topic::TopicName;

/// All topics of this node. Cheap to clone; each clone has the [`Rights`] of one request and the quotas of one client, or works for the
/// server itself, and so do the topic handles that it opens.
///
/// A topic is started when it is opened, loads its state from the log, and falls asleep a minute after its last handle was dropped.
#[derive(Clone)]
pub struct Hub(Arc<Inner>, Rights, Option<Arc<Bill>>);

/// Why a person or a program may not write to a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteDenied {
    /// The topic is closed to the person.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The program's token does not have the role that writes there.
    #[error("this needs a token with the role {0}")]
    Role(&'static str),
}

struct Inner {
    log: Arc<dyn Log>,
    /// Of the kinds that are not kept beyond the process.
    fleeting: Arc<dyn Log>,
    kinds: HashMap<&'static str, Arc<dyn DynTopic>>,
    topics: Mutex<HashMap<TopicName, Slot>>,
    /// Topics that may be awake at once.
    room: usize,
    /// For topics that nobody has written yet.
    waiting: Arc<Waiting>,
    /// Of each kind.
    tallies: BTreeMap<&'static str, Arc<Tally>>,
    /// What belongs to no kind: the forwards.
    tally: Tally,
    closing: AtomicBool,
    names: OnceLock<Arc<dyn NamePolicy>>,
    /// Closed for good: nobody enters them. Whether their events are erased, too.
    closed: RwLock<HashMap<TopicName, bool>>,
    outbox: Outbox,
}

enum Slot {
    /// Says how the start went.
    Starting(watch::Receiver<Option<Denied>>),
    Awake(Arc<Board>),
}

/// A topic on the list, or that there is no room on it.
enum Entry {
    Awake(TopicHandle),
    Starting(watch::Receiver<Option<Denied>>),
    /// These are awake and nobody reads them.
    Full(Vec<Arc<Board>>),
}

impl Hub {
    /// A hub with these kinds of topics, whose events `log` stores. Of two kinds of one name the last counts. Must be called within a
    /// tokio runtime before its topics are opened.
    pub fn new(log: Arc<dyn Log>, kinds: Vec<Box<dyn DynTopic>>) -> Self {
        Self::with_room(log, kinds, limits::ACTIVE_TOPICS)
    }

    /// As [`Self::new`], with at most `room` topics awake at once instead of 10,000.
    pub fn with_room(log: Arc<dyn Log>, kinds: Vec<Box<dyn DynTopic>>, room: usize) -> Self {
        let kinds = kinds.into_iter().map(Arc::<dyn DynTopic>::from);
        let kinds: HashMap<_, _> = kinds.map(|kind| (kind.name(), kind)).collect();
        let inner = Inner {
            log,
            fleeting: Arc::new(InMemory::new(Epoch::new(uuid::Uuid::now_v7().as_u64_pair().1))),
            tallies: kinds.keys().map(|name| (*name, Arc::default())).collect(),
            kinds,
            topics: Mutex::default(),
            room,
            waiting: Arc::default(),
            tally: Tally::default(),
            closing: AtomicBool::new(false),
            names: OnceLock::new(),
            closed: RwLock::default(),
            outbox: Outbox::default(),
        };
        Self(Arc::new(inner), Rights::default(), None)
    }

    /// The same hub with the rights of a request, which the caller has verified.
    #[must_use]
    pub fn with_rights(&self, rights: Rights) -> Self {
        Self(Arc::clone(&self.0), rights, self.2.clone())
    }

    /// The same hub for a client, which is held to its quotas.
    #[must_use]
    pub fn for_client(&self, quotas: &Arc<Quotas>, client: Client) -> Self {
        let bill = Bill::new(Arc::clone(quotas), client);
        Self(Arc::clone(&self.0), self.1.clone(), Some(Arc::new(bill)))
    }

    /// None: the server itself.
    pub(crate) fn bill(&self) -> Option<&Bill> {
        self.2.as_deref()
    }

    /// The same hub for the server's own work, without the rights of any request: a topic outlives the one that woke it.
    pub(crate) fn own(&self) -> Self {
        Self(Arc::clone(&self.0), Rights::default(), None)
    }

    /// Whether a person may read a topic, and write to it, with the rights of this hub. Asks [`Decider::admit`]; does not start the
    /// topic.
    ///
    /// # Errors
    ///
    /// [`Denied::Unknown`] if there is no such kind or the topic was closed, [`Denied::Forbidden`] or the decider's reason otherwise.
    ///
    /// [`Decider::admit`]: crate::decider::Decider::admit
    pub fn admit(&self, who: &Person, topic: &TopicName) -> Result<Access, Denied> {
        let (kind, rights) = (self.kind(topic)?, &self.1);
        if self.is_closed(topic) {
            return Err(Denied::Unknown);
        }
        let closed = kind.is_for_operators() && !rights.allows(Needed::Read);
        let private = kind.is_private() && rights.is_program() && !rights.allows(Needed::Operator);
        if closed || private {
            return Err(Denied::Forbidden);
        }
        kind.admit(self.principal(who), topic)
    }

    fn principal<'a>(&self, person: &'a Person) -> Principal<'a> {
        let origin = self.1.origin();
        Principal { person, origin }
    }

    /// Whether a person may write to a topic. A program needs the role of [`Decider::program_role`].
    ///
    /// # Errors
    ///
    /// [`WriteDenied::Role`] if a program lacks the role, else as [`Self::admit`].
    ///
    /// [`Decider::program_role`]: crate::decider::Decider::program_role
    pub fn admit_to_write(&self, who: &Person, topic: &TopicName) -> Result<(), WriteDenied> {
        let (kind, rights) = (self.kind(topic)?, &self.1);
        let needed = kind.program_role(topic);
        if rights.is_program() && !rights.allows(needed) {
            return Err(WriteDenied::Role(needed.role()));
        }
        if kind.is_for_operators() && !rights.allows(Needed::Operator) {
            return Err(Denied::Forbidden.into());
        }
        if self.is_closed(topic) {
            return Err(Denied::Unknown.into());
        }
        match kind.admit(self.principal(who), topic)? {
            Access::Write => Ok(()),
            Access::Read => Err(Denied::Forbidden.into()),
        }
    }

    /// Whether this hub has the rights of an operator.
    pub fn is_for_operator(&self) -> bool {
        self.1.allows(Needed::Operator)
    }

    /// Opens a topic, and starts it if it is asleep. Does not check access: see [`Self::admit`].
    ///
    /// # Errors
    ///
    /// [`Denied::Unknown`] if there is no such kind or the topic was closed; [`Denied::Full`] at the limit of topics or of the client's
    /// quota; [`Denied::Unavailable`] if its log cannot be read, or the hub is closing.
    pub async fn open(&self, topic: &TopicName) -> Result<TopicHandle, Denied> {
        if self.0.closing.load(Ordering::Acquire) {
            return Err(Denied::Unavailable);
        }
        self.open_even_closing(topic).await
    }

    pub(crate) async fn open_even_closing(&self, topic: &TopicName) -> Result<TopicHandle, Denied> {
        if self.is_closed(topic) {
            return Err(Denied::Unknown);
        }
        self.open_even_closed(topic).await
    }

    async fn open_even_closed(&self, topic: &TopicName) -> Result<TopicHandle, Denied> {
        let kind = self.kind(topic)?;
        let mut attempts = 0;
        loop {
            let mut starting = match self.look_up(topic, &kind)? {
                Entry::Awake(handle) => return Ok(handle),
                Entry::Starting(starting) => starting,
                Entry::Full(idle) if !idle.is_empty() && attempts < limits::ROOM_ATTEMPTS => {
                    attempts += 1;
                    make_room(&idle).await;
                    continue;
                }
                Entry::Full(_) => return Err(Denied::Full),
            };
            // The sender goes when the start is over; only a start that failed says something before.
            while starting.changed().await.is_ok() {}
            if let Some(denied) = *starting.borrow() {
                return Err(denied);
            }
        }
    }

    /// Clients leave some places to the server's own work.
    fn room(&self) -> usize {
        let kept = match self.2 {
            Some(_) => limits::RESERVED_TOPICS.min(self.0.room / 4),
            None => 0,
        };
        self.0.room - kept
    }

    fn look_up(&self, topic: &TopicName, kind: &Arc<dyn DynTopic>) -> Result<Entry, Denied> {
        let mut topics = self.topics();
        match topics.get(topic) {
            Some(Slot::Awake(board)) => Ok(Entry::Awake(TopicHandle::new(board, &self.1))),
            Some(Slot::Starting(starting)) => Ok(Entry::Starting(starting.clone())),
            None if topics.len() >= self.room() => {
                let idle = topics.values().filter_map(|slot| match slot {
                    Slot::Awake(board) if board.is_idle() => Some(Arc::clone(board)),
                    _ => None,
                });
                Ok(Entry::Full(idle.take(limits::ROOM_AT_ONCE).collect()))
            }
            None => {
                let held = self.2.as_ref().map(|bill| bill.topic()).transpose();
                let held = held.map_err(|_| Denied::Full)?;
                // Whoever waits for a start that was dropped is told so.
                let (started, starting) = watch::channel(Some(Denied::Unavailable));
                topics.insert(topic.clone(), Slot::Starting(starting.clone()));
                let span = tracing::info_span!("topic", %topic);
                let task = self.own().start(topic.clone(), Arc::clone(kind), started, held);
                tokio::spawn(task.instrument(span));
                Ok(Entry::Starting(starting))
            }
        }
    }

    /// From the log to the topic's end.
    async fn start(
        self,
        topic: TopicName,
        kind: Arc<dyn DynTopic>,
        started: watch::Sender<Option<Denied>>,
        held: Option<QuotaGuard>,
    ) {
        let mut place = Place {
            hub: self.clone(),
            topic,
            board: None,
            _held: held,
        };
        let log = Arc::clone(self.log_of(kind.as_ref()));
        let loaded = load(log.as_ref(), &kind, &place.topic, 0).await;
        let (memory, tail, head) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return error.tell(&place.topic),
        };
        let mut ring = Ring::new((tail.after, tail.check), kind.delivery(), Bounds::default());
        frames::fill(&mut ring, tail, kind.delivery());
        let (asks, asked) = mpsc::channel(limits::TOPIC_QUEUE);
        let crowd = Crowd::new(kind.has_presence());
        let board = Arc::new(Board {
            name: place.topic.clone(),
            tally: self.0.tallies.get(kind.name()).cloned().unwrap_or_default(),
            kind,
            log,
            epoch: head.epoch,
            asks,
            woke: ring.head(),
            head: AtomicU64::new(ring.head()),
            ring: RwLock::new(ring),
            kept: AtomicU64::new(head.first),
            crowd,
            handles: AtomicUsize::new(0),
        });
        self.topics()
            .insert(board.name.clone(), Slot::Awake(Arc::clone(&board)));
        place.board = Some(Arc::clone(&board));
        started.send_replace(None);
        drop(started);
        self.0.waiting.started(&board.name);
        live(place, board, asked, memory).await;
    }

    /// Takes a topic off the list if `may_go` says so while nobody can open it.
    pub(crate) fn remove_if(&self, board: &Arc<Board>, may_go: impl FnOnce() -> bool) -> bool {
        let mut topics = self.topics();
        let goes = may_go();
        if goes && matches!(topics.get(&board.name), Some(Slot::Awake(awake)) if Arc::ptr_eq(awake, board)) {
            topics.remove(&board.name);
        }
        goes
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    fn kind(&self, topic: &TopicName) -> Result<Arc<dyn DynTopic>, Denied> {
        self.0.kinds.get(topic.kind()).cloned().ok_or(Denied::Unknown)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<TopicName, Slot>> {
        lock::lock(&self.0.topics)
    }
}

/// Asks topics that nobody reads for their places, and waits for the first that gives one.
async fn make_room(idle: &[Arc<Board>]) {
    for board in idle {
        // A queue that is full is not idle any more.
        let _ = board.asks.try_send(Ask::Rest);
    }
    let gone = select_all(idle.iter().map(|board| Box::pin(board.asks.closed())));
    let _ = timeout(limits::ROOM_WAIT, gone).await;
}

/// However a topic ends, it first leaves the list, then its queue closes, then its readers are woken to see that.
async fn live(place: Place, board: Arc<Board>, asked: mpsc::Receiver<Ask>, memory: Memory) {
    let _readers = Readers(Arc::clone(&board));
    let mut task = Task::new(place.hub.clone(), board, asked, memory);
    let _place = place;
    task.run().await;
}

/// A topic's place on the list.
struct Place {
    hub: Hub,
    topic: TopicName,
    /// None while it starts.
    board: Option<Arc<Board>>,
    /// Of the client for whom it was started.
    _held: Option<QuotaGuard>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut topics = self.hub.topics();
        let mine = match (topics.get(&self.topic), &self.board) {
            (Some(Slot::Awake(awake)), Some(board)) => Arc::ptr_eq(awake, board),
            (Some(Slot::Starting(_)), None) => true,
            _ => false,
        };
        if mine {
            topics.remove(&self.topic);
        }
    }
}

struct Readers(Arc<Board>);

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.crowd.wake_all();
    }
}
