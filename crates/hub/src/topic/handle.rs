//! [`TopicHandle`]: a topic's handle for sessions. Reads bypass the topic's task and use the ring or the log.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::direct::{DirectWriter, Subscriber};
use super::encoded_state::EncodedState;
use super::frame::Frame;
use super::presence::SessionKey;
use super::ring::{Ring, RingRead};
use super::stats::{self, KindCounters};
use super::wake::Wake;
use crate::limits;
use crate::lock;
use crate::log::{ForwardKey, Log, Record};
use crate::quota::Address;
use crate::rights::{Authority, Rights};
use crate::sender::{Principal, SenderKind};
use crate::topic::dyn_topic::DynTopic;
use crate::topic::event_frame::{EventFrame, event_frame};
use crate::topic::read_batch::{ReadBatch, ReadLimit, collect_frames};
use crate::topic::request::{CommandRequest, TopicRequest};
use crate::topic::subscribers::Subscribers;
use crate::topic::subscription::SubscriptionGuard;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection, SessionId};
use duplex_protocol::subprotocol::Subprotocol;
use duplex_protocol::topic::{Delivery, TopicName};

/// The data that the task and the handles of one awake topic share.
pub(crate) struct TopicShared {
    pub name: TopicName,
    pub kind: Arc<dyn DynTopic>,
    pub log: Arc<dyn Log>,
    pub epoch: Epoch,
    /// The newest event when the topic was started.
    pub start_seq: Seq,
    /// Closed when the task has ended.
    pub requests: mpsc::Sender<TopicRequest>,
    pub ring: RwLock<Ring<Arc<EventFrame>>>,
    /// The newest event in the ring, readable without the lock.
    pub head: AtomicU64,
    /// The oldest event in the log, or the one after the head.
    pub oldest: AtomicU64,
    pub subscribers: Subscribers,
    /// Whether other nodes may append.
    pub(crate) is_shared: bool,
    /// The newest event that another node is known to have appended.
    pub(crate) expected: AtomicU64,
    /// Incremented from 0 only under the lock of the topic map.
    pub(crate) handles: AtomicUsize,
    pub counters: Arc<KindCounters>,
}

impl TopicShared {
    pub(crate) fn head(&self) -> Seq {
        self.head.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Whether the topic has no handle, no session and no request.
    pub(crate) fn is_idle(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0
            && self.requests.capacity() == self.requests.max_capacity()
            && self.subscribers.presence().is_empty()
    }
}

/// A handle to an open topic, from [`Hub::open`](crate::Hub::open). The topic stays awake while a handle lives. Cheap to clone.
/// Commands have the rights of the hub that opened it. If the topic's log failed, every request returns [`Denial::Unavailable`],
/// and the topic must be opened again.
pub struct TopicHandle {
    pub(crate) shared: Arc<TopicShared>,
    authority: Authority,
    sender_kind: SenderKind,
}

impl TopicHandle {
    /// The caller must hold the lock of the map of topics.
    pub(crate) fn new(shared: &Arc<TopicShared>, rights: &Rights) -> Self {
        Self::with_rights(shared, rights.authority(), rights.sender_kind())
    }

    fn with_rights(shared: &Arc<TopicShared>, authority: Authority, sender_kind: SenderKind) -> Self {
        shared.handles.fetch_add(1, Ordering::AcqRel);
        Self {
            shared: Arc::clone(shared),
            authority,
            sender_kind,
        }
    }

    /// The topic's name.
    pub fn name(&self) -> &TopicName {
        &self.shared.name
    }

    /// The delivery to a subscriber that cannot keep up.
    pub fn delivery(&self) -> Delivery {
        self.shared.kind.delivery()
    }

    /// Sends a command, whose sender the caller has authorized ([`authorize_write`](crate::session::authorize_write)). Returns the
    /// answer, and whether it is a duplicate. An accepted command is durable. Dropping the future does not cancel the command.
    ///
    /// `visitor` is the sender, unless the handle belongs to a program or to the server, which have one id each.
    pub async fn command(
        &self,
        visitor: Person,
        id: CommandId,
        command: EncodedValue,
        encoding: Encoding,
    ) -> (Answer, bool) {
        let sender = self.sender_kind.person(visitor);
        self.request(sender, id, (command, encoding), None).await
    }

    /// Sends a server command, as JSON. Committing the command also removes the forward from the log.
    pub(crate) async fn deliver(
        &self,
        forward: Option<ForwardKey>,
        id: CommandId,
        command: EncodedValue,
    ) -> (Answer, bool) {
        let server = Principal::server().person.clone();
        self.request(server, id, (command, Encoding::Json), forward).await
    }

    async fn request(
        &self,
        sender: Person,
        id: CommandId,
        (command, encoding): (EncodedValue, Encoding),
        forward: Option<ForwardKey>,
    ) -> (Answer, bool) {
        let unavailable = (Answer::Rejected(Rejection::Unavailable), false);
        let (reply, answer) = oneshot::channel();
        let request = TopicRequest::Command(CommandRequest {
            sender,
            sender_kind: self.sender_kind,
            authority: self.authority,
            id,
            payload: command,
            encoding,
            forward,
            reply,
        });
        match self.shared.requests.send_timeout(request, limits::QUEUE_WAIT).await {
            Ok(()) => answer.await.unwrap_or(unavailable),
            Err(_) => {
                stats::add(&self.shared.counters.rejected, 1);
                unavailable
            }
        }
    }

    /// Returns a handle that sends commands as the server.
    #[must_use]
    pub(crate) fn for_server(self) -> Self {
        Self::with_rights(&self.shared, Authority::OPERATOR, SenderKind::Server)
    }

    /// The committed state and its cursor.
    ///
    /// # Errors
    ///
    /// [`Denial::Unavailable`] if the topic's queue stays full, or its log cannot be read.
    pub async fn state(&self, encoding: Encoding) -> Result<(Cursor, EncodedValue), Denial> {
        let state = self.encoded_state(encoding).await?;
        Ok((state.cursor(), EncodedValue(state.bytes().to_vec())))
    }

    /// Like [`Self::state`], without copying the state.
    pub(crate) async fn encoded_state(&self, encoding: Encoding) -> Result<Arc<EncodedState>, Denial> {
        let (reply, state) = oneshot::channel();
        let request = TopicRequest::State { encoding, reply };
        let sent = self.shared.requests.send_timeout(request, limits::QUEUE_WAIT).await;
        sent.map_err(|_| Denial::Unavailable)?;
        state.await.unwrap_or(Err(Denial::Unavailable))
    }

    /// Whether the committed state lists another topic ([`Decider::lists`](crate::decider::Decider::lists)).
    ///
    /// # Errors
    ///
    /// See [`Self::state`].
    pub async fn lists(&self, topic: &TopicName) -> Result<bool, Denial> {
        let (reply, listed) = oneshot::channel();
        let topic = topic.clone();
        let request = TopicRequest::Lists { topic, reply };
        let sent = self.shared.requests.send_timeout(request, limits::QUEUE_WAIT).await;
        sent.map_err(|_| Denial::Unavailable)?;
        listed.await.map_err(|_| Denial::Unavailable)
    }

    /// The cursor of the newest event, without a checksum.
    pub fn head(&self) -> Cursor {
        self.cursor_at(self.shared.head())
    }

    pub(crate) fn cursor_at(&self, seq: Seq) -> Cursor {
        Cursor::new(self.shared.epoch, seq)
    }

    /// The events after `after` from the topic's ring. Does not block; takes no lock if there are none.
    pub fn read(&self, after: Seq, protocol: impl Into<Subprotocol>, limit: ReadLimit) -> ReadBatch {
        let protocol = protocol.into();
        if self.shared.is_closed() {
            return ReadBatch::Behind;
        }
        if after >= self.shared.head() {
            return ReadBatch::Nothing;
        }
        let read = {
            let ring = lock::read(&self.shared.ring);
            ring.read(after, limit.frames)
        };
        match read {
            RingRead::Nothing => ReadBatch::Nothing,
            RingRead::Behind => ReadBatch::Behind,
            RingRead::Events(events) => {
                let frames = events
                    .into_iter()
                    .map_while(|(seq, event)| Some((seq, event.encoded(&self.shared.name, protocol)?)));
                let batch = collect_frames(after, frames, limit);
                self.count(&batch);
                batch
            }
        }
    }

    fn count(&self, batch: &ReadBatch) {
        let ReadBatch::Frames { frames, conflated, .. } = batch else {
            return;
        };
        let counters = &self.shared.counters;
        stats::add(&counters.delivered, frames.len() as u64);
        if *conflated > 0 {
            stats::add(&counters.conflated, *conflated);
        }
    }

    /// The events after `after` from the log, for a reader behind the ring.
    ///
    /// # Errors
    ///
    /// [`Denial::Unavailable`] if the log cannot be read, or an event in it does not decode.
    pub async fn read_log(
        &self,
        after: Seq,
        protocol: impl Into<Subprotocol>,
        limit: ReadLimit,
    ) -> Result<ReadBatch, Denial> {
        let (shared, protocol) = (&self.shared, protocol.into());
        if shared.is_closed() {
            return Err(Denial::Unavailable);
        }
        let head = shared.head();
        if after >= head {
            return Ok(ReadBatch::Nothing);
        }
        stats::add(&shared.counters.log_reads, 1);
        let page = limit.frames.clamp(1, limits::LOG_PAGE);
        let read = shared.log.read(&shared.name, after, page).await;
        let records = read.map_err(|error| {
            tracing::warn!(topic = %shared.name, "the events cannot be read from the log: {error}");
            Denial::Unavailable
        })?;
        if records.first().is_none_or(|first| first.seq != after + 1) {
            return Ok(ReadBatch::Behind);
        }
        // Events in the log that are not in the ring yet are not published.
        let published = records.into_iter().take_while(|record| record.seq <= head);
        let frames = published.map_while(|record| {
            let frame = self.frame(&record, protocol);
            Some((record.seq, frame?))
        });
        match collect_frames(after, frames, limit) {
            ReadBatch::Behind => Err(Denial::Unavailable),
            batch => {
                self.count(&batch);
                Ok(batch)
            }
        }
    }

    fn frame(&self, record: &Record, protocol: Subprotocol) -> Option<Frame> {
        let (shared, seq) = (&self.shared, record.seq);
        let event = shared.kind.event(&record.event).map_err(|error| error.to_string());
        event
            .and_then(|event| {
                event_frame(&shared.name, (seq, record.checksum), event.as_ref(), protocol)
                    .map_err(|error| error.to_string())
            })
            .inspect_err(|error| tracing::error!(topic = %shared.name, seq, "an event cannot be encoded: {error}"))
            .ok()
    }

    /// Subscribes a session: it is present in the topic, and `wake` is woken at each event and each change of presence. A session
    /// may subscribe again before its earlier guard is dropped. `address` counts against the limit of present sessions per address.
    pub fn subscribe(
        &self,
        session: SessionId,
        person: Person,
        address: Option<Address>,
        wake: Arc<Wake>,
    ) -> SubscriptionGuard {
        self.subscribe_with_writer(session.0.into(), person, address, (wake, None))
    }

    /// Like [`Self::subscribe`]. While the session is idle, events are written directly.
    pub(crate) fn subscribe_with_writer(
        &self,
        session: SessionKey,
        person: Person,
        address: Option<Address>,
        (wake, writer): (Arc<Wake>, Option<Arc<dyn DirectWriter>>),
    ) -> SubscriptionGuard {
        self.shared.subscribers.presence().join(&session, person, address);
        let guard = SubscriptionGuard::new(self.clone(), session, Subscriber::new(wake, writer));
        self.shared.subscribers.notify();
        stats::add(&self.shared.counters.subscriptions, 1);
        guard
    }

    /// Subscribes the server itself.
    pub fn subscribe_as_server(&self, session: SessionId, wake: Arc<Wake>) -> SubscriptionGuard {
        self.subscribe(session, Principal::server().person.clone(), None, wake)
    }

    /// Makes a polling session present until `until`, at most 40 s from now.
    pub fn lease(&self, session: SessionId, person: Person, address: Option<Address>, until: Instant) {
        let now = Instant::now();
        self.shared
            .subscribers
            .presence()
            .lease(&session.0.into(), person, address, until, now);
        self.shared.subscribers.notify();
    }

    /// Sets the activity of a polling session, while its lease is valid.
    pub fn set_activity(&self, session: &SessionId, activity: Option<String>) {
        self.shared
            .subscribers
            .presence()
            .set_activity(&session.0, activity, Instant::now());
        self.shared.subscribers.notify();
    }

    /// Renames a polling session, while its lease is valid.
    pub fn rename(&self, session: &SessionId, name: String) {
        self.shared.subscribers.presence().rename(&session.0, name);
        self.shared.subscribers.notify();
    }

    /// The number of subscribed sessions, even in a topic without presence.
    pub fn session_count(&self) -> usize {
        self.shared.subscribers.presence().session_count()
    }

    /// The presence's version and its complete encoded frame. The version is 0 for an empty presence and rises while the topic is
    /// awake.
    pub fn presence(&self, encoding: Encoding) -> (u64, Frame) {
        self.shared.subscribers.frame(&self.shared.name, encoding)
    }

    /// The presence version; lock-free.
    pub(crate) fn presence_version(&self) -> u64 {
        self.shared.subscribers.version()
    }
}

impl Clone for TopicHandle {
    fn clone(&self) -> Self {
        Self::with_rights(&self.shared, self.authority, self.sender_kind)
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.subscribers.notify();
        }
    }
}
