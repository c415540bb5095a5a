//! The hub: all topics of this node, awake or asleep. Knows no session, no transport and no application by name.
//!
//! A topic is on the list from the moment somebody opens it. It starts in a task of its own, so that whoever opened it may go; it
//! leaves the list when it has nothing left to do, and only while nobody has a handle: there is no moment in between.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{mpsc, watch};

use super::crowd::Crowd;
use super::decider::Access;
use super::handle::{Ask, Board, TopicHandle};
use super::kind::Kind;
use super::memory::{Memory, load};
use super::ring::{Bounds, Ring};
use super::stats::{HubStats, Tally};
use super::topic::{Task, fill};
use crate::server::limits;
use crate::server::log::Log;
use crate::wire::codec::Blob;
use crate::wire::cursor::Seq;
use crate::wire::person::Person;
use crate::wire::session::{Denied, Page};
use crate::wire::topic::TopicName;

/// Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    kinds: HashMap<&'static str, Arc<dyn Kind>>,
    topics: Mutex<HashMap<TopicName, Slot>>,
    tally: Arc<Tally>,
    closing: AtomicBool,
}

enum Slot {
    /// Says how the start went.
    Starting(watch::Receiver<Option<Denied>>),
    Awake(Arc<Board>),
}

impl Hub {
    /// Of two kinds of one name the last counts.
    pub fn new(log: Arc<dyn Log>, kinds: Vec<Box<dyn Kind>>) -> Self {
        let kinds = kinds.into_iter().map(Arc::<dyn Kind>::from);
        Self(Arc::new(Inner {
            log,
            kinds: kinds.map(|kind| (kind.name(), kind)).collect(),
            topics: Mutex::default(),
            tally: Arc::default(),
            closing: AtomicBool::new(false),
        }))
    }

    pub fn admit(&self, who: &Person, topic: &TopicName) -> Result<Access, Denied> {
        self.kind(topic)?.admit(who, topic)
    }

    /// Starts the topic if it is asleep.
    pub async fn open(&self, topic: &TopicName) -> Result<TopicHandle, Denied> {
        if self.0.closing.load(Ordering::Acquire) {
            return Err(Denied::Unavailable);
        }
        self.open_even_closing(topic).await
    }

    pub(super) async fn open_even_closing(&self, topic: &TopicName) -> Result<TopicHandle, Denied> {
        let kind = self.kind(topic)?;
        loop {
            let mut starting = match self.look_up(topic, &kind)? {
                Ok(handle) => return Ok(handle),
                Err(starting) => starting,
            };
            // The sender goes when the start is over; only a start that failed says something before.
            while starting.changed().await.is_ok() {}
            if let Some(denied) = *starting.borrow() {
                return Err(denied);
            }
        }
    }

    fn look_up(
        &self,
        topic: &TopicName,
        kind: &Arc<dyn Kind>,
    ) -> Result<Result<TopicHandle, watch::Receiver<Option<Denied>>>, Denied> {
        let mut topics = self.topics();
        match topics.get(topic) {
            Some(Slot::Awake(board)) => Ok(Ok(TopicHandle::new(board))),
            Some(Slot::Starting(starting)) => Ok(Err(starting.clone())),
            None if topics.len() >= limits::ACTIVE_TOPICS => Err(Denied::Full),
            None => {
                // Whoever waits for a start that was dropped is told so.
                let (started, starting) = watch::channel(Some(Denied::Unavailable));
                topics.insert(topic.clone(), Slot::Starting(starting.clone()));
                tokio::spawn(self.clone().start(topic.clone(), Arc::clone(kind), started));
                Ok(Err(starting))
            }
        }
    }

    /// From the log to the topic's end.
    async fn start(self, topic: TopicName, kind: Arc<dyn Kind>, started: watch::Sender<Option<Denied>>) {
        let mut place = Place {
            hub: self.clone(),
            topic,
            board: None,
        };
        let loaded = load(self.0.log.as_ref(), &kind, &place.topic, 0).await;
        let (memory, tail, head) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return tracing::error!(topic = %place.topic, "the topic cannot start: {error}"),
        };
        let mut ring = Ring::new(tail.after, kind.delivery(), Bounds::default());
        fill(&mut ring, tail, kind.delivery());
        let (asks, asked) = mpsc::channel(limits::TOPIC_QUEUE);
        let board = Arc::new(Board {
            name: place.topic.clone(),
            kind,
            log: Arc::clone(&self.0.log),
            epoch: head.epoch,
            asks,
            head: AtomicU64::new(ring.head()),
            ring: RwLock::new(ring),
            kept: AtomicU64::new(head.first),
            crowd: Crowd::default(),
            handles: AtomicUsize::new(0),
            tally: Arc::clone(&self.0.tally),
        });
        self.topics()
            .insert(board.name.clone(), Slot::Awake(Arc::clone(&board)));
        place.board = Some(Arc::clone(&board));
        started.send_replace(None);
        drop(started);
        live(place, board, asked, memory).await;
    }

    /// Takes a topic off the list if `may_go` says so while nobody can open it.
    pub(super) fn remove_if(&self, board: &Arc<Board>, may_go: impl FnOnce() -> bool) -> bool {
        let mut topics = self.topics();
        let goes = may_go();
        if goes && matches!(topics.get(&board.name), Some(Slot::Awake(awake)) if Arc::ptr_eq(awake, board)) {
            topics.remove(&board.name);
        }
        goes
    }

    /// Events as JSON, straight from the log.
    pub async fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> Result<Page, Denied> {
        self.kind(topic)?;
        let limit = limit.clamp(1, limits::HISTORY_PAGE);
        let history = self.0.log.history(topic, before, limit).await.map_err(|error| {
            tracing::warn!(%topic, "no history: {error}");
            Denied::Unavailable
        })?;
        let events = history.records.into_iter();
        Ok(Page {
            epoch: history.head.epoch,
            events: events.map(|record| (record.seq, Blob(record.event))).collect(),
            first: history.first,
            until: history.head.last,
        })
    }

    pub fn stats(&self) -> HubStats {
        self.0.tally.read(self.topics().len() as u64)
    }

    /// Nothing is opened any more; what was asked before is done, the states are kept, and the log is closed.
    pub async fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
        while let Some(topic) = self.next_to_close() {
            match topic {
                // A start ends by itself.
                Err(mut starting) => while starting.changed().await.is_ok() {},
                Ok(board) => {
                    let _ = board.asks.send(Ask::Close).await;
                    board.asks.closed().await;
                }
            }
        }
        self.0.log.close().await;
    }

    fn next_to_close(&self) -> Option<Result<Arc<Board>, watch::Receiver<Option<Denied>>>> {
        self.topics().values().next().map(|slot| match slot {
            Slot::Awake(board) => Ok(Arc::clone(board)),
            Slot::Starting(starting) => Err(starting.clone()),
        })
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    fn kind(&self, topic: &TopicName) -> Result<Arc<dyn Kind>, Denied> {
        self.0.kinds.get(topic.kind()).cloned().ok_or(Denied::Unknown)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<TopicName, Slot>> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
