//! What one client reads: its topics, each with the place up to which it was given everything. Holds no event: what comes
//! next is read from the topic's ring, and behind it from the log. Knows no transport.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::quota::Address;
use crate::topic::shared_state::Recovered;
use crate::topic::unwritten::{Found, Unwritten};
use crate::{Hub, Principal, ReadBatch, ReadLimit, Rights, SubscriptionGuard, TopicHandle, Wake};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::protocol::Protocol;
use duplex_protocol::session::{Denied, ServerFrame, SessionId, Verdict};
use duplex_protocol::topic::TopicName;

pub struct Reader {
    hub: Hub,
    protocol: Protocol,
    session: SessionId,
    person: Person,
    wake: Arc<Wake>,
    reads: BTreeMap<TopicName, Read>,
    /// Topics whose first event is still to come.
    unwritten: BTreeMap<TopicName, Unwritten>,
    /// Where the next round begins, so that one busy topic does not keep the others waiting.
    turn: usize,
}

struct Read {
    topic: TopicHandle,
    membership: SubscriptionGuard,
    after: Seq,
    presence: u64,
}

impl Read {
    /// Not even the log has what comes next.
    async fn start_anew(&mut self, encoding: Encoding) -> Result<Recovered, Denied> {
        let epoch = self.topic.head().epoch;
        let seq = self.after;
        let cursor = Cursor::new(epoch, seq);
        let recovered = self.topic.recover(Some(cursor), encoding).await?;
        if let Recovered::Reset { state, .. } = &recovered {
            self.after = state.cursor().seq;
        }
        Ok(recovered)
    }
}

/// The answer to a subscribe as a complete frame.
#[derive(Debug)]
pub struct Answered {
    pub frame: Option<Bytes>,
    pub kind: AnswerKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    Resumed,
    Reset,
    Denied,
}

impl Reader {
    pub fn new(hub: Hub, protocol: impl Into<Protocol>, session: SessionId, person: Person) -> Self {
        Self {
            hub,
            protocol: protocol.into(),
            session,
            person,
            wake: Wake::new(),
            reads: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            turn: 0,
        }
    }

    /// A reader of the server's own.
    pub fn for_server(hub: &Hub, protocol: impl Into<Protocol>, session: SessionId) -> Self {
        let person = Principal::server().person.clone();
        Self::new(hub.with_rights(Rights::server()), protocol, session, person)
    }

    /// The answer to a subscribe. After a verdict that is not a denial, `gather` gives what follows.
    pub async fn subscribe(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Verdict {
        match self.recover(name, cursor).await {
            Ok(recovered) => recovered.to_verdict(),
            Err(reason) => Verdict::Denied { reason },
        }
    }

    /// The same as a frame, in which the state is shared with everyone else who gets it.
    pub async fn subscribe_framed(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Answered {
        match self.recover(name, cursor).await {
            Ok(recovered) => Answered {
                frame: framed(&recovered, name, self.protocol),
                kind: match recovered {
                    Recovered::Resumed { .. } => AnswerKind::Resumed,
                    Recovered::Reset { .. } => AnswerKind::Reset,
                },
            },
            Err(reason) => {
                let (topic, verdict) = (name.clone(), Verdict::Denied { reason });
                Answered {
                    frame: self.encoded(&ServerFrame::Verdict { topic, verdict }),
                    kind: AnswerKind::Denied,
                }
            }
        }
    }

    async fn recover(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Result<Recovered, Denied> {
        self.unsubscribe(name);
        let recovered = self.enter(name, cursor).await?;
        self.wake.wake();
        Ok(recovered)
    }

    async fn enter(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Result<Recovered, Denied> {
        self.hub.admit(&self.person, name)?;
        self.hub.count_read(1)?;
        let mut read = match self.hub.open_to_read(name, &self.wake).await? {
            Found::Awake(topic) => self.join(topic),
            Found::Unwritten(unwritten) => {
                let recovered = unwritten.recover(cursor, self.protocol.encoding)?;
                self.unwritten.insert(name.clone(), unwritten);
                return Ok(recovered);
            }
        };
        let recovered = read.topic.recover(cursor, self.protocol.encoding).await?;
        read.after = match (&recovered, cursor) {
            (Recovered::Reset { state, .. }, _) => state.cursor().seq,
            (_, cursor) => cursor.map_or(0, |cursor| cursor.seq),
        };
        self.reads.insert(name.clone(), read);
        Ok(recovered)
    }

    /// What happens from here on wakes us; whoever asks for a verdict then learns where to go on.
    fn join(&self, topic: TopicHandle) -> Read {
        let membership = topic.join(
            self.session.clone(),
            self.person.clone(),
            self.address(),
            Arc::clone(&self.wake),
        );
        Read {
            topic,
            membership,
            after: 0,
            presence: 0,
        }
    }

    /// Goes on in those topics that were started meanwhile: everything in them is news.
    async fn enter_written(&mut self, out: &mut Vec<Bytes>) {
        let started = self.unwritten.keys().filter(|name| self.hub.is_awake(name));
        for name in started.cloned().collect::<Vec<_>>() {
            self.unwritten.remove(&name);
            match self.hub.open(&name).await {
                Ok(topic) => drop(self.reads.insert(name, self.join(topic))),
                Err(reason) => {
                    let verdict = Verdict::Denied { reason };
                    out.extend(self.encoded(&ServerFrame::Verdict { topic: name, verdict }));
                }
            }
        }
    }

    /// The state of a topic that is read.
    pub async fn state(&self, name: &TopicName) -> Option<Blob> {
        let state = match (self.reads.get(name), self.unwritten.get(name)) {
            (Some(read), _) => read.topic.state(self.protocol.encoding).await,
            (None, Some(unwritten)) => unwritten.state(self.protocol.encoding),
            (None, None) => return None,
        };
        state.ok().map(|(_, state)| state)
    }

    /// Where the reader is, if the hub works for a client.
    fn address(&self) -> Option<Address> {
        self.hub.bill()?.client().address
    }

    pub fn unsubscribe(&mut self, name: &TopicName) {
        self.reads.remove(name);
        self.unwritten.remove(name);
    }

    /// The topic, if it is among those that are read.
    pub fn topic(&self, name: &TopicName) -> Option<TopicHandle> {
        self.reads.get(name).map(|read| read.topic.clone())
    }

    pub const fn person(&self) -> &Person {
        &self.person
    }

    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.person.name);
        for read in self.reads.values() {
            read.membership.rename(name.to_owned());
        }
    }

    pub fn activity(&self, name: &TopicName, activity: Option<String>) {
        if let Some(read) = self.reads.get(name) {
            read.membership.activity(activity);
        }
    }

    /// Stays present until then, also when this reader is gone.
    pub fn lease(&self, name: &TopicName, until: Instant) {
        if let Some(read) = self.reads.get(name) {
            let (session, person) = (self.session.clone(), self.person.clone());
            read.topic.lease(session, person, self.address(), until);
        }
    }

    /// Who is there now is no news.
    pub fn overlook_presence(&mut self) {
        for read in self.reads.values_mut() {
            read.presence = read.topic.presence_version();
        }
    }

    /// With which of its topics the next round begins.
    pub fn begin_with(&mut self, turn: usize) {
        self.turn = turn;
    }

    /// Adds who is there, whether or not it is news, of as many topics as find room in so many bytes.
    pub fn presences(&mut self, room: usize, out: &mut Vec<Bytes>) {
        let first = self.turn.checked_rem(self.reads.len()).unwrap_or(0);
        let mut left = room;
        let encoding = self.protocol.encoding;
        let mut reads: Vec<_> = self.reads.values_mut().collect();
        reads.rotate_left(first);
        for read in reads {
            let (version, frame) = read.topic.presence(encoding);
            let Some(rest) = left.checked_sub(frame.len()) else {
                return;
            };
            left = rest;
            read.presence = version;
            out.push(frame);
        }
        let unwritten = self.unwritten.values();
        out.extend(unwritten.filter_map(|unwritten| unwritten.presence(self.protocol.encoding)));
    }

    /// Ready when there may be something to gather. May be dropped and asked for again.
    pub async fn woken(&self) {
        self.wake.woken().await;
    }

    /// Adds what is new, in whole frames, at most `most` of all topics together; one frame is taken whatever its size. If that was
    /// not all, it is woken again, and the next round begins with another topic.
    pub async fn gather(&mut self, most: ReadLimit, out: &mut Vec<Bytes>) {
        self.enter_written(out).await;
        let names: Vec<TopicName> = self.reads.keys().cloned().collect();
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn.checked_rem(names.len()).unwrap_or(0);
        let (mut left, mut counted) = (most, out.len());
        for name in names[first..].iter().chain(&names[..first]) {
            if left.frames == 0 || left.bytes == 0 {
                self.wake.wake();
                return;
            }
            if let Err(reason) = self.gather_from(name, left, out).await {
                self.reads.remove(name);
                let reason = if self.hub.is_closed(name) {
                    Denied::Unknown
                } else {
                    reason
                };
                let verdict = Verdict::Denied { reason };
                let topic = name.clone();
                out.extend(self.encoded(&ServerFrame::Verdict { topic, verdict }));
            }
            let bytes: usize = out[counted..].iter().map(Bytes::len).sum();
            left.bytes = left.bytes.saturating_sub(bytes);
            left.frames = left.frames.saturating_sub(out.len() - counted);
            counted = out.len();
        }
    }

    async fn gather_from(&mut self, name: &TopicName, most: ReadLimit, out: &mut Vec<Bytes>) -> Result<(), Denied> {
        let Some(read) = self.reads.get_mut(name) else {
            return Ok(());
        };
        let mut reading = read.topic.read(read.after, self.protocol, most);
        if matches!(reading, ReadBatch::Behind) {
            reading = read.topic.read_log(read.after, self.protocol, most).await?;
        }
        match reading {
            ReadBatch::Nothing => {}
            ReadBatch::Frames { frames, last, .. } => {
                out.extend(frames);
                read.after = last;
                if last < read.topic.head().seq {
                    self.wake.wake();
                }
            }
            ReadBatch::Behind => {
                let recovered = read.start_anew(self.protocol.encoding).await?;
                out.extend(framed(&recovered, name, self.protocol));
                self.wake.wake();
            }
        }
        if read.topic.presence_version() != read.presence {
            let (version, frame) = read.topic.presence(self.protocol.encoding);
            read.presence = version;
            out.push(frame);
        }
        Ok(())
    }

    pub fn encoded(&self, frame: &ServerFrame) -> Option<Bytes> {
        encoded(self.protocol, frame)
    }
}

fn framed(recovered: &Recovered, topic: &TopicName, protocol: Protocol) -> Option<Bytes> {
    let frame = recovered.frame(topic, protocol);
    frame
        .inspect_err(|error| tracing::error!(%topic, "a verdict cannot be encoded: {error}"))
        .ok()
}

pub fn encoded(protocol: Protocol, frame: &ServerFrame) -> Option<Bytes> {
    match protocol.encode(frame) {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            tracing::error!("a frame cannot be encoded: {error}");
            None
        }
    }
}
