//! An in-memory log, for tests and for ephemeral kinds. Tests can make its appends fail or stall.

mod fault;
mod lost_tail;
mod stored;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::fault::Fault;
use self::stored::StoredTopic;
use super::{
    Entry, ForwardKey, History, Log, LogEnd, LogError, LogSecret, LogTail, Millis, MovedHeads, PendingForward, Record,
    RedactionWrite, Retention, StartData, TailStart,
};
use crate::lock;
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::topic::TopicName;

/// An in-memory log.
pub struct MemoryLog {
    epoch: Epoch,
    secret: LogSecret,
    topics: Mutex<Topics>,
    fault: watch::Sender<Fault>,
    /// The holder of each lease, and its end.
    leases: Mutex<HashMap<String, (u64, Instant)>>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            secret: LogSecret::random(),
            topics: Mutex::default(),
            fault: watch::Sender::default(),
            leases: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        lock::lock(&self.topics)
    }

    fn read_topic<'a, T: Send + 'a>(
        &'a self,
        topic: &TopicName,
        read: impl FnOnce(&StoredTopic, Epoch) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, LogError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.delay_read().await;
            let nothing = StoredTopic::default();
            Ok(read(self.lock().by_name.get(&topic).unwrap_or(&nothing), self.epoch))
        })
    }
}

#[derive(Default)]
struct Topics {
    by_name: BTreeMap<TopicName, StoredTopic>,
    /// Counts the appends of events.
    version: u64,
}

fn append(
    topics: &mut Topics,
    name: TopicName,
    expected: LogEnd,
    entries: Vec<Entry>,
    redaction: Option<RedactionWrite>,
) -> Result<Seq, LogError> {
    let delivered: Vec<_> = entries.iter().filter_map(|entry| entry.delivers.clone()).collect();
    let stored = topics.by_name.entry(name.clone()).or_default();
    let before = stored.last;
    let seq = stored.append(&name, expected, entries)?;
    if seq > before {
        topics.version += 1;
        stored.version = topics.version;
    }
    if let Some(redaction) = redaction {
        stored.redact(redaction);
    }
    remove(topics, &delivered);
    Ok(seq)
}

fn remove(topics: &mut Topics, forwards: &[ForwardKey]) {
    for ForwardKey { from, seq, index } in forwards {
        if let Some(stored) = topics.by_name.get_mut(from) {
            stored.forwards.remove(&(*seq, *index));
        }
    }
}

impl Log for MemoryLog {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<StartData, LogError>> {
        self.read_topic(topic, move |stored, epoch| {
            let (commands, rejections, forgotten) = stored.answers(commands, since);
            StartData {
                head: stored.head(epoch),
                snapshot: stored.snapshot.clone(),
                commands,
                rejections,
                forgotten,
            }
        })
    }

    fn append(&self, topic: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.check_fault().await?;
            append(&mut self.lock(), topic, expected, entries, None)
        })
    }

    fn redact(
        &self,
        topic: &TopicName,
        expected: LogEnd,
        entries: Vec<Entry>,
        redaction: RedactionWrite,
    ) -> BoxFuture<'_, Result<Seq, LogError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.check_fault().await?;
            append(&mut self.lock(), topic, expected, entries, Some(redaction))
        })
    }

    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.read_topic(topic, move |stored, _| stored.with_amendments(&events))
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.read_topic(topic, move |stored, _| {
            let later = stored.events.iter().filter(|record| record.seq > after);
            later.take(limit).cloned().collect()
        })
    }

    fn tail(
        &self,
        topic: &TopicName,
        start: TailStart,
        limit: usize,
    ) -> BoxFuture<'_, Result<Option<LogTail>, LogError>> {
        self.read_topic(topic, move |stored, epoch| stored.tail(start, limit, epoch))
    }

    fn heads_since(&self, version: Option<u64>) -> BoxFuture<'_, Result<MovedHeads, LogError>> {
        Box::pin(async move {
            let topics = self.lock();
            let since = version.unwrap_or(topics.version);
            let moved = topics.by_name.iter().filter(|(_, stored)| stored.version > since);
            Ok(MovedHeads {
                version: topics.version,
                heads: moved.map(|(name, stored)| (name.clone(), stored.last)).collect(),
            })
        })
    }

    fn checksum(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Checksum>, LogError>> {
        self.read_topic(topic, move |stored, _| stored.checksum(seq))
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        self.read_topic(topic, move |stored, epoch| {
            stored.history(before, limit, stored.head(epoch))
        })
    }

    fn snapshot(
        &self,
        topic: &TopicName,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> BoxFuture<'_, Result<(), LogError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let mut topics = self.lock();
            topics
                .by_name
                .entry(topic)
                .or_default()
                .snapshot(seq, state, retention, now)
        })
    }

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<PendingForward>, LogError>> {
        let from = from.cloned();
        Box::pin(async move {
            let topics = self.lock();
            let matching = topics
                .by_name
                .iter()
                .filter(|(name, _)| from.as_ref().is_none_or(|from| from == *name));
            Ok(matching
                .flat_map(|(_, stored)| stored.forwards.values().cloned())
                .collect())
        })
    }

    fn remove_forwards(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move {
            self.check_fault().await?;
            remove(&mut self.lock(), &forwards);
            Ok(())
        })
    }

    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>> {
        let kind = kind.to_owned();
        Box::pin(async move {
            let topics = self.lock();
            let of_kind = topics
                .by_name
                .iter()
                .filter(|(name, stored)| name.kind() == kind && stored.last > 0);
            Ok(of_kind.map(|(name, _)| name.clone()).collect())
        })
    }

    fn lease(&self, name: &str, holder: u64, duration: Duration) -> BoxFuture<'_, Result<bool, LogError>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.check_fault().await?;
            let (mut leases, now) = (lock::lock(&self.leases), Instant::now());
            let is_free = leases
                .get(&name)
                .is_none_or(|(known, until)| *known == holder || *until <= now);
            if is_free {
                leases.insert(name, (holder, now + duration));
            }
            Ok(is_free)
        })
    }

    fn end_lease(&self, name: &str, holder: u64) -> BoxFuture<'_, Result<(), LogError>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.check_fault().await?;
            let mut leases = lock::lock(&self.leases);
            if leases.get(&name).is_some_and(|(known, _)| *known == holder) {
                leases.remove(&name);
            }
            Ok(())
        })
    }

    fn secret(&self) -> &LogSecret {
        &self.secret
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
