//! A topic as sessions see it. Reads bypass the topic's task: they go to its ring or to the log.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::ring::{Found, Ring};
use super::shared_state::SharedState;
use super::stats::{self, Tally, TopicStats};
use super::wake::Wake;
use crate::limits;
use crate::lock;
use crate::log::{ForwardKey, Log, Record};
use crate::origin::{Origin, Principal};
use crate::quota::Address;
use crate::rights::{Authority, Rights};
use crate::topic::dyn_topic::DynTopic;
use crate::topic::event_frame::{EventFrame, event_frame};
use crate::topic::read_batch::{ReadBatch, ReadLimit, gather};
use crate::topic::subscribers::Crowd;
use crate::topic::subscription::SubscriptionGuard;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::protocol::Protocol;
use duplex_protocol::session::{Answer, CommandId, Denied, Rejection, SessionId};
use duplex_protocol::topic::{Delivery, TopicName};

/// What the task is asked.
pub(crate) enum Ask {
    Command(Command),
    State {
        encoding: Encoding,
        reply: oneshot::Sender<Result<Arc<SharedState>, Denied>>,
    },
    /// Whether the state lists another topic.
    Lists {
        topic: TopicName,
        reply: oneshot::Sender<bool>,
    },
    /// Another topic needs the place: falls asleep now, if nobody is here.
    Rest,
    /// What was asked before is done, then the task ends.
    Close,
}

pub(crate) struct Command {
    pub who: Person,
    pub origin: Origin,
    pub authority: Authority,
    pub id: CommandId,
    pub command: Blob,
    pub encoding: Encoding,
    /// The forward that this command is, if it follows from another topic's event.
    pub forward: Option<ForwardKey>,
    /// Nobody may be there any more to hear it.
    pub reply: oneshot::Sender<(Answer, bool)>,
}

/// What the task and the handles of one awake topic share.
pub(crate) struct Board {
    pub name: TopicName,
    pub kind: Arc<dyn DynTopic>,
    pub log: Arc<dyn Log>,
    pub epoch: Epoch,
    /// The newest event when the topic woke.
    pub woke: Seq,
    /// Its receiver is gone when the task has ended.
    pub asks: mpsc::Sender<Ask>,
    pub ring: RwLock<Ring<Arc<EventFrame>>>,
    /// The newest event in the ring, for a glance without the lock.
    pub head: AtomicU64,
    /// The oldest event in the log, or the one after the head.
    pub kept: AtomicU64,
    pub crowd: Crowd,
    /// Rises from 0 only while the list of topics is locked.
    pub(crate) handles: AtomicUsize,
    pub tally: Arc<Tally>,
}

impl Board {
    pub(crate) fn head(&self) -> Seq {
        self.head.load(Ordering::Acquire)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.asks.is_closed()
    }

    /// Nobody reads it, and nobody asks it anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0
            && self.asks.capacity() == self.asks.max_capacity()
            && self.crowd.set().is_empty()
    }

    pub(crate) fn figures(&self) -> TopicStats {
        TopicStats {
            topic: self.name.clone(),
            seq: self.head(),
            woke: self.woke,
            subscribers: self.crowd.set().session_count() as u64,
            waiting: (self.asks.max_capacity() - self.asks.capacity()) as u64,
        }
    }
}

/// A handle to an open topic, from [`Hub::open`](crate::Hub::open), which stays awake while a handle lives. Cheap to clone. Commands have
/// the rights of the hub that opened it. If the topic's log failed, every request answers [`Denied::Unavailable`], and opening the topic
/// again may help.
pub struct TopicHandle {
    pub(crate) board: Arc<Board>,
    authority: Authority,
    origin: Origin,
}

impl TopicHandle {
    /// Call it with the list of topics locked.
    pub(crate) fn new(board: &Arc<Board>, rights: &Rights) -> Self {
        Self::with(board, rights.authority(), rights.origin())
    }

    fn with(board: &Arc<Board>, authority: Authority, origin: Origin) -> Self {
        board.handles.fetch_add(1, Ordering::AcqRel);
        Self {
            board: Arc::clone(board),
            authority,
            origin,
        }
    }

    /// The topic's name.
    pub fn name(&self) -> &TopicName {
        &self.board.name
    }

    /// What a subscriber gets that cannot keep up.
    pub fn delivery(&self) -> Delivery {
        self.board.kind.delivery()
    }

    /// Sends a command, whose sender the caller has authorized ([`authorize_write`](crate::session::authorize_write)). Returns the
    /// answer, and whether it is one that was given before. An accepted command is durable. Dropping the future does not cancel the
    /// command.
    ///
    /// `visitor` is the sender, unless the handle belongs to a program or to the server: these have one id each.
    pub async fn command(&self, visitor: Person, id: CommandId, command: Blob, encoding: Encoding) -> (Answer, bool) {
        let who = self.origin.person(visitor);
        self.ask(who, id, (command, encoding), None).await
    }

    /// A command of the server's own, as JSON. The commit of a forward's command removes the forward.
    pub(crate) async fn deliver(&self, forward: Option<ForwardKey>, id: CommandId, command: Blob) -> (Answer, bool) {
        let server = Principal::server().person.clone();
        self.ask(server, id, (command, Encoding::Json), forward).await
    }

    async fn ask(
        &self,
        who: Person,
        id: CommandId,
        (command, encoding): (Blob, Encoding),
        forward: Option<ForwardKey>,
    ) -> (Answer, bool) {
        let unavailable = (Answer::Rejected(Rejection::Unavailable), false);
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Command(Command {
            who,
            origin: self.origin,
            authority: self.authority,
            id,
            command,
            encoding,
            forward,
            reply,
        });
        match self.board.asks.send_timeout(ask, limits::QUEUE_WAIT).await {
            Ok(()) => answer.await.unwrap_or(unavailable),
            Err(_) => {
                stats::add(&self.board.tally.rejected, 1);
                unavailable
            }
        }
    }

    /// The same topic for the server's own commands.
    #[must_use]
    pub(crate) fn for_server(self) -> Self {
        Self::with(&self.board, Authority::OPERATOR, Origin::Server)
    }

    /// The committed state and its cursor.
    ///
    /// # Errors
    ///
    /// [`Denied::Unavailable`] if the topic's queue stays full, or its log cannot be read.
    pub async fn state(&self, encoding: Encoding) -> Result<(Cursor, Blob), Denied> {
        let state = self.shared_state(encoding).await?;
        Ok((state.cursor(), Blob(state.bytes().to_vec())))
    }

    /// As [`Self::state`], without a copy.
    pub(crate) async fn shared_state(&self, encoding: Encoding) -> Result<Arc<SharedState>, Denied> {
        let (reply, state) = oneshot::channel();
        let ask = Ask::State { encoding, reply };
        let sent = self.board.asks.send_timeout(ask, limits::QUEUE_WAIT).await;
        sent.map_err(|_| Denied::Unavailable)?;
        state.await.unwrap_or(Err(Denied::Unavailable))
    }

    /// Whether the committed state lists another topic ([`Decider::lists`](crate::decider::Decider::lists)).
    ///
    /// # Errors
    ///
    /// As [`Self::state`].
    pub async fn lists(&self, topic: &TopicName) -> Result<bool, Denied> {
        let (reply, listed) = oneshot::channel();
        let topic = topic.clone();
        let ask = Ask::Lists { topic, reply };
        let sent = self.board.asks.send_timeout(ask, limits::QUEUE_WAIT).await;
        sent.map_err(|_| Denied::Unavailable)?;
        listed.await.map_err(|_| Denied::Unavailable)
    }

    /// The cursor of the newest event, without a check.
    pub fn head(&self) -> Cursor {
        self.at(self.board.head())
    }

    pub(crate) fn at(&self, seq: Seq) -> Cursor {
        Cursor::new(self.board.epoch, seq)
    }

    /// The events after `after` from the topic's ring. Does not block; takes no lock if there are none.
    pub fn read(&self, after: Seq, protocol: impl Into<Protocol>, most: ReadLimit) -> ReadBatch {
        let protocol = protocol.into();
        if self.board.is_over() {
            return ReadBatch::Behind;
        }
        if after >= self.board.head() {
            return ReadBatch::Nothing;
        }
        let found = {
            let ring = lock::read(&self.board.ring);
            ring.read(after, most.frames)
        };
        match found {
            Found::Nothing => ReadBatch::Nothing,
            Found::Behind => ReadBatch::Behind,
            Found::Events(events) => {
                let frames = events
                    .into_iter()
                    .map_while(|(seq, event)| Some((seq, event.bytes(&self.board.name, protocol)?)));
                let reading = gather(after, frames, most);
                self.count(&reading);
                reading
            }
        }
    }

    fn count(&self, reading: &ReadBatch) {
        let ReadBatch::Frames { frames, conflated, .. } = reading else {
            return;
        };
        let tally = &self.board.tally;
        stats::add(&tally.delivered, frames.len() as u64);
        if *conflated > 0 {
            stats::add(&tally.conflated, *conflated);
        }
    }

    /// The events after `after` from the log, for a reader that the ring cannot serve.
    ///
    /// # Errors
    ///
    /// [`Denied::Unavailable`] if the log cannot be read, or an event in it does not decode.
    pub async fn read_log(
        &self,
        after: Seq,
        protocol: impl Into<Protocol>,
        most: ReadLimit,
    ) -> Result<ReadBatch, Denied> {
        let (board, protocol) = (&self.board, protocol.into());
        if board.is_over() {
            return Err(Denied::Unavailable);
        }
        let head = board.head();
        if after >= head {
            return Ok(ReadBatch::Nothing);
        }
        stats::add(&board.tally.log_reads, 1);
        let limit = most.frames.clamp(1, limits::LOG_PAGE);
        let read = board.log.read(&board.name, after, limit).await;
        let records = read.map_err(|error| {
            tracing::warn!(topic = %board.name, "no events from the log: {error}");
            Denied::Unavailable
        })?;
        if records.first().is_none_or(|first| first.seq != after + 1) {
            return Ok(ReadBatch::Behind);
        }
        // What is in the log and not yet in the ring is not yet shown to anyone.
        let shown = records.into_iter().take_while(|record| record.seq <= head);
        let frames = shown.map_while(|record| {
            let frame = self.frame(&record, protocol);
            Some((record.seq, frame?))
        });
        match gather(after, frames, most) {
            ReadBatch::Behind => Err(Denied::Unavailable),
            reading => {
                self.count(&reading);
                Ok(reading)
            }
        }
    }

    fn frame(&self, record: &Record, protocol: Protocol) -> Option<Bytes> {
        let (board, seq) = (&self.board, record.seq);
        let event = board.kind.event(&record.event).map_err(|error| error.to_string());
        event
            .and_then(|event| {
                event_frame(&board.name, (seq, record.check), event.as_ref(), protocol)
                    .map_err(|error| error.to_string())
            })
            .inspect_err(|error| tracing::error!(topic = %board.name, seq, "an event has no frame: {error}"))
            .ok()
    }

    /// Subscribes a session: it is present in the topic, and `wake` is woken at each event and each change of presence. A session may
    /// join again before its earlier guard is dropped. `from` is the client's address, for the limit of present sessions of one address.
    pub fn join(
        &self,
        session: SessionId,
        person: Person,
        from: Option<Address>,
        wake: Arc<Wake>,
    ) -> SubscriptionGuard {
        self.board.crowd.set().join(&session, person, from);
        let place = self.board.crowd.add_wake(wake);
        self.board.crowd.stir();
        stats::add(&self.board.tally.members, 1);
        SubscriptionGuard::new(self.clone(), session, place)
    }

    /// Subscribes the server itself.
    pub fn watch(&self, session: SessionId, wake: Arc<Wake>) -> SubscriptionGuard {
        self.join(session, Principal::server().person.clone(), None, wake)
    }

    /// Makes a polling session present until `until`, at most 40 s from now.
    pub fn lease(&self, session: SessionId, person: Person, from: Option<Address>, until: Instant) {
        let now = Instant::now();
        self.board.crowd.set().lease(&session, person, from, until, now);
        self.board.crowd.stir();
    }

    /// Sets what a polling session is doing, while its lease runs.
    pub fn activity(&self, session: &SessionId, activity: Option<String>) {
        self.board.crowd.set().act(session, activity, Instant::now());
        self.board.crowd.stir();
    }

    /// Changes the name of a polling session, while its lease runs.
    pub fn rename(&self, session: &SessionId, name: String) {
        self.board.crowd.set().rename(session, name);
        self.board.crowd.stir();
    }

    /// The number of subscribed sessions, also in a topic without presence.
    pub fn session_count(&self) -> usize {
        self.board.crowd.set().session_count()
    }

    /// The presence's version, which rises while the topic is awake from 0 for an empty presence, and its complete encoded frame.
    pub fn presence(&self, encoding: Encoding) -> (u64, Bytes) {
        self.board.crowd.frame(&self.board.name, encoding)
    }

    /// One atomic.
    pub(crate) fn presence_version(&self) -> u64 {
        self.board.crowd.version()
    }
}

impl Clone for TopicHandle {
    fn clone(&self) -> Self {
        Self::with(&self.board, self.authority, self.origin)
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        if self.board.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.board.crowd.stir();
        }
    }
}
