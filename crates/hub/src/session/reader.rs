//! The subscriptions of one session, each with its cursor. A reader stores no events: it reads them from the topic's ring, and
//! behind the ring from the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::quota::Address;
use crate::topic::empty_topic::{EmptyTopic, OpenedTopic};
use crate::topic::encoded_state::Recovered;
use crate::topic::{DirectWriter, Frame, presence::SessionKey};
use crate::{Hub, Principal, ReadBatch, ReadLimit, Rights, SubscriptionGuard, TopicHandle, Wake};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Denial, ServerFrame, SessionId, Verdict};
use duplex_protocol::subprotocol::Subprotocol;
use duplex_protocol::topic::TopicName;

/// The subscriptions of one session, over any transport. A transport waits for [`Self::woken`], then writes what [`Self::gather`]
/// returns.
pub struct Reader {
    hub: Hub,
    protocol: Subprotocol,
    session: SessionKey,
    person: Person,
    wake: Arc<Wake>,
    /// Receives events while this reader is parked.
    writer: Option<Arc<dyn DirectWriter>>,
    /// Without duplicates, in no order: a session has few.
    topics: Vec<TopicReader>,
    /// Topics without an event.
    empty_topics: BTreeMap<TopicName, EmptyTopic>,
    /// The index of the topic with which the next round begins, so that one busy topic does not delay the others.
    next: usize,
}

struct TopicReader {
    subscription: SubscriptionGuard,
    after: Seq,
    presence: u64,
}

impl TopicReader {
    const fn topic(&self) -> &TopicHandle {
        self.subscription.topic()
    }

    /// Appends the new events and a new presence. Returns whether more is left.
    async fn gather(&mut self, protocol: Subprotocol, limit: ReadLimit, out: &mut Vec<Frame>) -> Result<bool, Denial> {
        let mut batch = self.topic().read(self.after, protocol, limit);
        if matches!(batch, ReadBatch::Behind) {
            batch = self.topic().read_log(self.after, protocol, limit).await?;
        }
        let mut more = false;
        match batch {
            ReadBatch::Nothing => {}
            ReadBatch::Frames { frames, last, .. } => {
                out.extend(frames);
                self.after = last;
                more = last < self.topic().head().seq;
            }
            ReadBatch::Behind => {
                let recovered = self.reset(protocol.encoding).await?;
                out.extend(recovery_frame(&recovered, self.topic().name(), protocol));
                more = true;
            }
        }
        if self.topic().presence_version() != self.presence {
            let (version, frame) = self.topic().presence(protocol.encoding);
            self.presence = version;
            out.push(frame);
        }
        Ok(more)
    }

    /// Resets the reader to the state: the next event is no longer in the log.
    async fn reset(&mut self, encoding: Encoding) -> Result<Recovered, Denial> {
        let epoch = self.topic().head().epoch;
        let seq = self.after;
        let cursor = Cursor::new(epoch, seq);
        let recovered = self.topic().recover(Some(cursor), encoding).await?;
        if let Recovered::Reset { state, .. } = &recovered {
            self.after = state.cursor().seq;
        }
        Ok(recovered)
    }
}

/// The answer to a subscription as a complete frame.
#[derive(Debug)]
pub struct SubscribeReply {
    /// The encoded frame; `None` if encoding failed, which was logged.
    pub frame: Option<Frame>,
    /// The kind of the verdict.
    pub kind: VerdictKind,
}

/// The kind of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictKind {
    /// [`Verdict::Resumed`].
    Resumed,
    /// [`Verdict::Reset`].
    Reset,
    /// [`Verdict::Denied`].
    Denied,
}

impl Reader {
    /// A reader without subscriptions, with the rights and quotas of `hub`.
    pub fn new(hub: Hub, protocol: impl Into<Subprotocol>, session: SessionId, person: Person) -> Self {
        Self {
            hub,
            protocol: protocol.into(),
            session: session.0.into(),
            person,
            wake: Wake::new(),
            writer: None,
            topics: Vec::new(),
            empty_topics: BTreeMap::new(),
            next: 0,
        }
    }

    /// A reader for the server itself, which may read everything.
    pub fn for_server(hub: &Hub, protocol: impl Into<Subprotocol>, session: SessionId) -> Self {
        let person = Principal::server().person.clone();
        Self::new(hub.with_rights(Rights::server()), protocol, session, person)
    }

    /// Sets the connection to which topics write while the reader is parked. Applies to later subscriptions.
    pub fn set_writer(&mut self, writer: Arc<dyn DirectWriter>) {
        self.writer = Some(writer);
    }

    /// Hands the positions over to the topics: while the writer permits it, they write events directly and move the positions.
    /// Call it under the writer's lock, before it permits writes.
    pub fn park(&self) {
        for read in &self.topics {
            read.subscription.position().set(read.after);
        }
    }

    /// Takes the positions back. Call it under the writer's lock, when it no longer permits writes.
    pub fn unpark(&mut self) {
        for read in &mut self.topics {
            read.after = read.subscription.position().get();
        }
    }

    /// Subscribes to a topic, or restarts a subscription. After a verdict other than a denial, [`Self::gather`] returns the
    /// events that follow.
    pub async fn subscribe(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Verdict {
        match self.recover(name, cursor).await {
            Ok(recovered) => recovered.to_verdict(),
            Err(reason) => Verdict::Denied { reason },
        }
    }

    /// Like [`Self::subscribe`], with the verdict as a frame whose state is encoded once for all subscribers.
    pub async fn subscribe_encoded(&mut self, name: &TopicName, cursor: Option<Cursor>) -> SubscribeReply {
        match self.recover(name, cursor).await {
            Ok(recovered) => SubscribeReply {
                frame: recovery_frame(&recovered, name, self.protocol),
                kind: match recovered {
                    Recovered::Resumed { .. } => VerdictKind::Resumed,
                    Recovered::Reset { .. } => VerdictKind::Reset,
                },
            },
            Err(reason) => {
                let (topic, verdict) = (name.clone(), Verdict::Denied { reason });
                SubscribeReply {
                    frame: self.encode(&ServerFrame::Verdict { topic, verdict }),
                    kind: VerdictKind::Denied,
                }
            }
        }
    }

    async fn recover(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Result<Recovered, Denial> {
        self.unsubscribe(name);
        let recovered = self.start_reading(name, cursor).await?;
        self.wake.wake();
        Ok(recovered)
    }

    async fn start_reading(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Result<Recovered, Denial> {
        self.hub.admit(&self.person, name)?;
        self.hub.charge_reads(1)?;
        let mut read = match self.hub.open_for_read(name, &self.wake).await? {
            OpenedTopic::Awake(topic) => self.topic_reader(topic),
            OpenedTopic::Empty(empty) => {
                let recovered = empty.recover(cursor, self.protocol.encoding)?;
                self.empty_topics.insert(name.clone(), empty);
                return Ok(recovered);
            }
        };
        let recovered = read.topic().recover(cursor, self.protocol.encoding).await?;
        read.after = match (&recovered, cursor) {
            (Recovered::Reset { state, .. }, _) => state.cursor().seq,
            (_, cursor) => cursor.map_or(0, |cursor| cursor.seq),
        };
        self.topics.reserve_exact(1);
        self.topics.push(read);
        Ok(recovered)
    }

    /// Subscribes before the verdict is computed, so that no later event is missed: each one wakes this reader.
    fn topic_reader(&self, topic: TopicHandle) -> TopicReader {
        let subscription = topic.subscribe_with_writer(
            Arc::clone(&self.session),
            self.person.clone(),
            self.address(),
            (Arc::clone(&self.wake), self.writer.clone()),
        );
        TopicReader {
            subscription,
            after: 0,
            presence: 0,
        }
    }

    /// Subscribes to topics that have started since. The reader has seen none of their events.
    async fn subscribe_to_started(&mut self, out: &mut Vec<Frame>) {
        let started = self.empty_topics.keys().filter(|name| self.hub.is_awake(name));
        for name in started.cloned().collect::<Vec<_>>() {
            self.empty_topics.remove(&name);
            match self.hub.open(&name).await {
                Ok(topic) => {
                    let read = self.topic_reader(topic);
                    self.topics.push(read);
                }
                Err(reason) => {
                    let verdict = Verdict::Denied { reason };
                    out.extend(self.encode(&ServerFrame::Verdict { topic: name, verdict }));
                }
            }
        }
    }

    /// The state of a subscribed topic; `None` if it is not subscribed, or cannot be read now.
    pub async fn state(&self, name: &TopicName) -> Option<EncodedValue> {
        let state = match (self.find(name), self.empty_topics.get(name)) {
            (Some(read), _) => read.topic().state(self.protocol.encoding).await,
            (None, Some(empty)) => empty.state(self.protocol.encoding),
            (None, None) => return None,
        };
        state.ok().map(|(_, state)| state)
    }

    /// The client's address, if the hub works for a client.
    fn address(&self) -> Option<Address> {
        self.hub.client_quota()?.client().address
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, name: &TopicName) {
        self.topics.retain(|read| read.topic().name() != name);
        self.empty_topics.remove(name);
    }

    fn find(&self, name: &TopicName) -> Option<&TopicReader> {
        self.topics.iter().find(|read| read.topic().name() == name)
    }

    /// The handle of a subscribed topic.
    pub fn topic(&self, name: &TopicName) -> Option<TopicHandle> {
        self.find(name).map(|read| read.topic().clone())
    }

    /// The visitor.
    pub const fn person(&self) -> &Person {
        &self.person
    }

    /// Changes the visitor's name in all subscribed topics.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.person.name);
        for read in &self.topics {
            read.subscription.rename(name.to_owned());
        }
    }

    /// Sets the visitor's activity in a subscribed topic; `None` ends it.
    pub fn set_activity(&self, name: &TopicName, activity: Option<String>) {
        if let Some(read) = self.find(name) {
            read.subscription.set_activity(activity);
        }
    }

    /// Stays present in a subscribed topic until `until`, even after the reader is dropped: for the time between two polls.
    pub fn lease(&self, name: &TopicName, until: Instant) {
        if let Some(read) = self.find(name) {
            let (session, person) = (SessionId(self.session.to_string()), self.person.clone());
            read.topic().lease(session, person, self.address(), until);
        }
    }

    /// Marks the current presence of all topics as sent, so that [`Self::gather`] returns only later ones.
    pub fn skip_presence(&mut self) {
        for read in &mut self.topics {
            read.presence = read.topic().presence_version();
        }
    }

    /// Sets the topic with which the next round of [`Self::gather`] begins. Polls pass a different number each time.
    pub fn start_at(&mut self, next: usize) {
        self.next = next;
    }

    /// Appends presence frames of as many topics as fit into `max_bytes`.
    pub fn gather_presence(&mut self, max_bytes: usize, out: &mut Vec<Frame>) {
        let first = self.next.checked_rem(self.topics.len()).unwrap_or(0);
        let mut left = max_bytes;
        let encoding = self.protocol.encoding;
        let mut reads: Vec<_> = self.topics.iter_mut().collect();
        reads.rotate_left(first);
        for read in reads {
            let (version, frame) = read.topic().presence(encoding);
            let Some(rest) = left.checked_sub(frame.len()) else {
                return;
            };
            left = rest;
            read.presence = version;
            out.push(frame);
        }
        let empty_topics = self.empty_topics.values();
        out.extend(empty_topics.filter_map(|empty| empty.presence(self.protocol.encoding)));
    }

    /// Waits until new frames may be available. Cancel safe.
    pub async fn woken(&self) {
        self.wake.woken().await;
    }

    /// Appends the new events and presence updates of all topics as complete frames, within `limit` in total. If more is left, the
    /// reader is woken again, and the next round begins with another topic.
    pub async fn gather(&mut self, limit: ReadLimit, out: &mut Vec<Frame>) {
        self.subscribe_to_started(out).await;
        let mut denied = Vec::new();
        self.next = self.next.wrapping_add(1);
        let count = self.topics.len();
        let first = self.next.checked_rem(count).unwrap_or(0);
        let (mut left, mut counted) = (limit, out.len());
        for read in rotated(&mut self.topics, first) {
            if left.frames == 0 || left.bytes == 0 {
                self.wake.wake();
                break;
            }
            match read.gather(self.protocol, left, out).await {
                Ok(true) => self.wake.wake(),
                Ok(false) => {}
                Err(reason) => denied.push((read.topic().name().clone(), reason)),
            }
            let bytes: usize = out[counted..].iter().map(|frame| frame.len()).sum();
            left.bytes = left.bytes.saturating_sub(bytes);
            left.frames = left.frames.saturating_sub(out.len() - counted);
            counted = out.len();
        }
        for (topic, reason) in denied {
            self.unsubscribe(&topic);
            let reason = if self.hub.is_closed(&topic) {
                Denial::Unknown
            } else {
                reason
            };
            let verdict = Verdict::Denied { reason };
            out.extend(self.encode(&ServerFrame::Verdict { topic, verdict }));
        }
    }

    /// Encodes a frame in the reader's protocol; `None` if encoding fails, which is logged.
    pub fn encode(&self, frame: &ServerFrame) -> Option<Frame> {
        encode_frame(self.protocol, frame)
    }
}

/// All items, from `first` on.
fn rotated<T>(items: &mut [T], first: usize) -> impl Iterator<Item = &mut T> {
    let (before, from) = items.split_at_mut_checked(first).unwrap_or_default();
    from.iter_mut().chain(before)
}

fn recovery_frame(recovered: &Recovered, topic: &TopicName, protocol: Subprotocol) -> Option<Frame> {
    let frame = recovered.frame(topic, protocol);
    frame
        .inspect_err(|error| tracing::error!(%topic, "a verdict cannot be encoded: {error}"))
        .ok()
}

/// Encodes a frame; `None` if encoding fails, which is logged.
pub fn encode_frame(protocol: Subprotocol, frame: &ServerFrame) -> Option<Frame> {
    let encoded = protocol.encode(frame);
    encoded
        .inspect_err(|error| tracing::error!("a frame cannot be encoded: {error}"))
        .ok()
        .map(Frame::from)
}
