//! What one client reads: its topics, each with the place up to which it was given everything. Holds no event: what comes
//! next is read from the topic's ring, and behind it from the log. Knows no transport.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::unwritten::{Found, Unwritten};
use super::{Hub, Membership, Most, Reading, TopicHandle, Wake};
use crate::server::quota::Address;
use crate::wire::codec::{Blob, Encoding};
use crate::wire::cursor::{Cursor, Seq};
use crate::wire::person::Person;
use crate::wire::session::{Denied, ServerFrame, SessionId, Verdict};
use crate::wire::topic::TopicName;

pub struct Reader {
    hub: Hub,
    encoding: Encoding,
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
    membership: Membership,
    after: Seq,
    presence: u64,
}

impl Read {
    /// Not even the log has what comes next.
    async fn start_anew(&mut self, encoding: Encoding) -> Result<Verdict, Denied> {
        let epoch = self.topic.head().epoch;
        let seq = self.after;
        let verdict = self.topic.verdict(Some(Cursor { epoch, seq }), encoding).await?;
        if let Verdict::Reset { cursor, .. } = &verdict {
            self.after = cursor.seq;
        }
        Ok(verdict)
    }
}

impl Reader {
    pub fn new(hub: Hub, encoding: Encoding, session: SessionId, person: Person) -> Self {
        Self {
            hub,
            encoding,
            session,
            person,
            wake: Wake::new(),
            reads: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            turn: 0,
        }
    }

    /// The answer to a subscribe. After a verdict that is not a denial, `gather` gives what follows.
    pub async fn subscribe(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Verdict {
        self.unsubscribe(name);
        match self.enter(name, cursor).await {
            Ok(verdict) => {
                self.wake.wake();
                verdict
            }
            Err(reason) => Verdict::Denied { reason },
        }
    }

    async fn enter(&mut self, name: &TopicName, cursor: Option<Cursor>) -> Result<Verdict, Denied> {
        self.hub.admit(&self.person, name)?;
        let mut read = match self.hub.open_to_read(name, &self.wake).await? {
            Found::Awake(topic) => self.join(topic),
            Found::Unwritten(unwritten) => {
                let verdict = unwritten.verdict(cursor, self.encoding)?;
                self.unwritten.insert(name.clone(), unwritten);
                return Ok(verdict);
            }
        };
        let verdict = read.topic.verdict(cursor, self.encoding).await?;
        read.after = match (&verdict, cursor) {
            (Verdict::Reset { cursor, .. }, _) => cursor.seq,
            (_, cursor) => cursor.map_or(0, |cursor| cursor.seq),
        };
        self.reads.insert(name.clone(), read);
        Ok(verdict)
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
            (Some(read), _) => read.topic.state(self.encoding).await,
            (None, Some(unwritten)) => unwritten.state(self.encoding),
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

    /// Adds who is there, whether or not it is news.
    pub fn presences(&mut self, out: &mut Vec<Bytes>) {
        for read in self.reads.values_mut() {
            let (version, frame) = read.topic.presence(self.encoding);
            read.presence = version;
            out.push(frame);
        }
        let unwritten = self.unwritten.values();
        out.extend(unwritten.filter_map(|unwritten| unwritten.presence(self.encoding)));
    }

    /// Ready when there may be something to gather. May be dropped and asked for again.
    pub async fn woken(&self) {
        self.wake.woken().await;
    }

    /// Adds what is new, in whole frames, at most `most` of each topic. If that was not all, it is woken again.
    pub async fn gather(&mut self, most: Most, out: &mut Vec<Bytes>) {
        self.enter_written(out).await;
        let names: Vec<TopicName> = self.reads.keys().cloned().collect();
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn.checked_rem(names.len()).unwrap_or(0);
        for name in names[first..].iter().chain(&names[..first]) {
            if let Err(reason) = self.gather_from(name, most, out).await {
                self.reads.remove(name);
                let verdict = Verdict::Denied { reason };
                let topic = name.clone();
                out.extend(self.encoded(&ServerFrame::Verdict { topic, verdict }));
            }
        }
    }

    async fn gather_from(&mut self, name: &TopicName, most: Most, out: &mut Vec<Bytes>) -> Result<(), Denied> {
        let Some(read) = self.reads.get_mut(name) else {
            return Ok(());
        };
        let mut reading = read.topic.read(read.after, self.encoding, most);
        if matches!(reading, Reading::Behind) {
            reading = read.topic.read_log(read.after, self.encoding, most).await?;
        }
        match reading {
            Reading::Nothing => {}
            Reading::Frames { frames, last, .. } => {
                out.extend(frames);
                read.after = last;
                if last < read.topic.head().seq {
                    self.wake.wake();
                }
            }
            Reading::Behind => {
                let verdict = read.start_anew(self.encoding).await?;
                let topic = name.clone();
                out.extend(encoded(self.encoding, &ServerFrame::Verdict { topic, verdict }));
                self.wake.wake();
            }
        }
        if read.topic.presence_version() != read.presence {
            let (version, frame) = read.topic.presence(self.encoding);
            read.presence = version;
            out.push(frame);
        }
        Ok(())
    }

    pub fn encoded(&self, frame: &ServerFrame) -> Option<Bytes> {
        encoded(self.encoding, frame)
    }
}

fn encoded(encoding: Encoding, frame: &ServerFrame) -> Option<Bytes> {
    match encoding.encode(frame) {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            tracing::error!("a frame cannot be encoded: {error}");
            None
        }
    }
}
