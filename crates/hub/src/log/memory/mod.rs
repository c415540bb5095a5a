//! An in-memory log, for tests and for ephemeral kinds. Tests can make its appends fail or stall.

mod fault;
mod lost_tail;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use self::fault::Fault;
use super::{
    AcceptedCommand, Entry, ForwardKey, Head, History, Log, LogEnd, LogError, LogSecret, Millis, PendingForward,
    Record, RedactedEvents, RedactionWrite, RejectedCommand, Retention, StartData, chain, count_removable,
};
use crate::limits;
use crate::lock;
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

/// An in-memory log.
pub struct MemoryLog {
    epoch: Epoch,
    secret: LogSecret,
    topics: Mutex<Topics>,
    fault: watch::Sender<Fault>,
}

#[derive(Default)]
struct StoredTopic {
    last: Seq,
    /// The checksum up to `last`.
    checksum: Option<Checksum>,
    /// The checksum of the newest removed event.
    removed_checksum: Option<Checksum>,
    /// The events within the retention; they end at `last`.
    events: VecDeque<Record>,
    commands: VecDeque<(AcceptedCommand, Millis)>,
    rejections: VecDeque<(RejectedCommand, Millis)>,
    /// The newest timestamp among the ids that were removed from either list.
    forgotten: Option<Millis>,
    snapshot: Option<(Seq, Vec<u8>)>,
    /// Undelivered forwards, by event and index.
    forwards: BTreeMap<(Seq, u32), PendingForward>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            secret: LogSecret::random(),
            topics: Mutex::default(),
            fault: watch::Sender::default(),
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
            let nothing = StoredTopic::default();
            Ok(read(self.lock().get(&topic).unwrap_or(&nothing), self.epoch))
        })
    }
}

impl StoredTopic {
    fn head(&self, epoch: Epoch) -> Head {
        Head {
            epoch,
            first: self.events.front().map_or(self.last + 1, |record| record.seq),
            last: self.last,
            checksum: self.checksum,
        }
    }

    fn checksum(&self, seq: Seq) -> Option<Checksum> {
        let Head { first, .. } = self.head(Epoch::new(0));
        match self.events.binary_search_by_key(&seq, |record| record.seq) {
            Ok(index) => self.events.get(index)?.checksum,
            Err(_) if seq == self.last => self.checksum,
            Err(_) if seq.saturating_add(1) == first => self.removed_checksum,
            Err(_) => None,
        }
    }

    fn append(&mut self, name: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> Result<Seq, LogError> {
        if !expected.is_at(self.last, self.checksum) {
            return Err(expected.conflict(self.last));
        }
        for Entry {
            command,
            sender,
            at,
            events,
            rejection,
            forwards,
            delivers: _,
        } in entries
        {
            if let Some(rejection) = rejection {
                let rejected = RejectedCommand {
                    sender,
                    command,
                    rejection,
                };
                self.reject(rejected, at);
                continue;
            }
            let first = self.last + 1;
            for forward in forwards
                .into_iter()
                .map(|forward| forward.into_pending(name, first, at))
            {
                self.forwards.insert((forward.key.seq, forward.key.index), forward);
            }
            for (amends, event) in events {
                self.last += 1;
                let seq = self.last;
                self.checksum = chain::next_checksum(self.checksum, seq, &event);
                let checksum = self.checksum;
                self.events.push_back(Record {
                    seq,
                    at,
                    amends,
                    checksum,
                    event,
                });
            }
            let seq = self.last;
            self.commands.push_back((AcceptedCommand { sender, command, seq }, at));
        }
        Ok(self.last)
    }

    fn reject(&mut self, rejected: RejectedCommand, at: Millis) {
        self.rejections.push_back((rejected, at));
        let oldest = at.saturating_sub(super::millis(limits::DEDUPE_AGE));
        while self.rejections.len() > limits::DEDUPE_ENTRIES
            || self.rejections.front().is_some_and(|(_, at)| *at < oldest)
        {
            let removed = self
                .rejections
                .pop_front()
                .and_then(|(removed, _)| removed.command.time());
            self.forgotten = self.forgotten.max(removed);
        }
    }

    /// The newest answers, and the newest timestamp among the omitted ids.
    fn answers(&self, limit: usize, since: Millis) -> (Vec<AcceptedCommand>, Vec<RejectedCommand>, Option<Millis>) {
        let keep = |id: &CommandId, at: Millis| at >= since || id.time().is_some();
        let commands = self.commands.iter().filter(|(entry, at)| keep(&entry.command, *at));
        let rejections = self.rejections.iter().filter(|(entry, at)| keep(&entry.command, *at));
        let (excess, excess_rejects) = (
            commands.clone().count().saturating_sub(limit),
            rejections.clone().count().saturating_sub(limit),
        );
        let omitted = commands.clone().take(excess).map(|(entry, _)| &entry.command);
        let omitted = omitted.chain(rejections.clone().take(excess_rejects).map(|(entry, _)| &entry.command));
        (
            commands.clone().skip(excess).map(|(entry, _)| entry.clone()).collect(),
            rejections
                .clone()
                .skip(excess_rejects)
                .map(|(entry, _)| entry.clone())
                .collect(),
            omitted.map(CommandId::time).max().flatten().max(self.forgotten),
        )
    }

    fn redact(&mut self, RedactionWrite { redacted, state }: RedactionWrite) {
        match redacted {
            RedactedEvents::Before(seq) => {
                self.remove_oldest(|record| record.seq < seq);
                self.forwards.retain(|(event, _), _| *event >= seq);
            }
            RedactedEvents::Payloads(payloads) => {
                for (seq, payload) in payloads {
                    self.forwards.retain(|(event, _), _| *event != seq);
                    if let Ok(index) = self.events.binary_search_by_key(&seq, |record| record.seq)
                        && let Some(record) = self.events.get_mut(index)
                    {
                        record.event = payload;
                    }
                }
            }
        }
        self.snapshot = Some((self.last, state));
    }

    /// Removes events from the oldest on while `is_removable` is true.
    fn remove_oldest(&mut self, is_removable: impl Fn(&Record) -> bool) {
        while self.events.front().is_some_and(&is_removable) {
            self.removed_checksum = self.events.pop_front().and_then(|record| record.checksum);
        }
    }

    fn with_amendments(&self, events: &[Seq]) -> Vec<Record> {
        let belongs = |record: &&Record| {
            [Some(record.seq), record.amends]
                .iter()
                .flatten()
                .any(|seq| events.contains(seq))
        };
        self.events.iter().filter(belongs).cloned().collect()
    }

    fn history(&self, before: Seq, limit: usize, head: Head) -> History {
        let earlier = self.events.iter().rev().filter(|record| record.seq < before);
        let mut roots = earlier.filter(|record| record.amends.is_none());
        let page: BTreeSet<Seq> = roots.by_ref().take(limit).map(|record| record.seq).collect();
        let reaches_start = roots.next().is_none();
        let belongs = |record: &&Record| page.contains(&record.amends.unwrap_or(record.seq));
        History {
            records: self.events.iter().filter(belongs).cloned().collect(),
            reaches_start,
            head,
        }
    }

    fn snapshot(&mut self, seq: Seq, state: Vec<u8>, retention: Retention, now: Millis) -> Result<(), LogError> {
        if seq > self.last {
            let last = self.last;
            return Err(LogError::Conflict { expected: seq, last });
        }
        if self.snapshot.as_ref().is_some_and(|(newest, _)| *newest > seq) {
            return Ok(());
        }
        self.snapshot = Some((seq, state));
        let is_removable = retention.removable(seq, self.last, now);
        let events = self.events.iter().map(|event| (event.seq, event.at));
        let removed = self
            .events
            .drain(..count_removable(events, now, is_removable))
            .next_back();
        self.removed_checksum = removed.map_or(self.removed_checksum, |newest| newest.checksum);
        let oldest = now.saturating_sub(super::millis(limits::DEDUPE_AGE));
        while self.commands.len() > limits::DEDUPE_ENTRIES || self.commands.front().is_some_and(|(_, at)| *at < oldest)
        {
            let removed = self
                .commands
                .pop_front()
                .and_then(|(removed, _)| removed.command.time());
            self.forgotten = self.forgotten.max(removed);
        }
        Ok(())
    }
}

type Topics = BTreeMap<TopicName, StoredTopic>;

fn append(
    topics: &mut Topics,
    name: TopicName,
    expected: LogEnd,
    entries: Vec<Entry>,
    redaction: Option<RedactionWrite>,
) -> Result<Seq, LogError> {
    let delivered: Vec<_> = entries.iter().filter_map(|entry| entry.delivers.clone()).collect();
    let stored = topics.entry(name.clone()).or_default();
    let seq = stored.append(&name, expected, entries)?;
    if let Some(redaction) = redaction {
        stored.redact(redaction);
    }
    remove(topics, &delivered);
    Ok(seq)
}

fn remove(topics: &mut Topics, forwards: &[ForwardKey]) {
    for ForwardKey { from, seq, index } in forwards {
        if let Some(stored) = topics.get_mut(from) {
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
            topics.entry(topic).or_default().snapshot(seq, state, retention, now)
        })
    }

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<PendingForward>, LogError>> {
        let from = from.cloned();
        Box::pin(async move {
            let topics = self.lock();
            let matching = topics
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
                .iter()
                .filter(|(name, stored)| name.kind() == kind && stored.last > 0);
            Ok(of_kind.map(|(name, _)| name.clone()).collect())
        })
    }

    fn secret(&self) -> &LogSecret {
        &self.secret
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
