//! A log in memory, which ends with the process: for tests, for trying things out, and for topics that need no disk. Its appends can be
//! made to fail or to stall.

mod lost_tail;
mod weather;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use self::weather::Weather;
use super::{
    Answered, End, Entry, Erased, ForwardKey, Head, History, Key, Log, LogError, Millis, Opened, Record, Redaction,
    Refused, Retention, Undelivered, chain, going,
};
use crate::limits;
use crate::lock;
use duplex_protocol::cursor::{Check, Epoch, Seq};
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

/// A log in memory.
pub struct Memory {
    epoch: Epoch,
    key: Key,
    topics: Mutex<Topics>,
    weather: watch::Sender<Weather>,
}

#[derive(Default)]
struct Kept {
    last: Seq,
    /// Up to `last`.
    check: Option<Check>,
    /// Of the newest event that was let go.
    gone: Option<Check>,
    /// Those that retention left; they end at `last`.
    events: VecDeque<Record>,
    commands: VecDeque<(Answered, Millis)>,
    refusals: VecDeque<(Refused, Millis)>,
    /// The newest time of an id that is in neither list any more.
    forgotten: Option<Millis>,
    snapshot: Option<(Seq, Vec<u8>)>,
    /// Those that were not delivered, by event and index.
    forwards: BTreeMap<(Seq, u32), Undelivered>,
}

impl Memory {
    /// An empty log.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            key: Key::random(),
            topics: Mutex::default(),
            weather: watch::Sender::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        lock::lock(&self.topics)
    }

    fn look<'a, T: Send + 'a>(
        &'a self,
        topic: &TopicName,
        look: impl FnOnce(&Kept, Epoch) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, LogError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let nothing = Kept::default();
            Ok(look(self.lock().get(&topic).unwrap_or(&nothing), self.epoch))
        })
    }
}

impl Kept {
    fn head(&self, epoch: Epoch) -> Head {
        Head {
            epoch,
            first: self.events.front().map_or(self.last + 1, |record| record.seq),
            last: self.last,
            check: self.check,
        }
    }

    fn check(&self, seq: Seq) -> Option<Check> {
        let Head { first, .. } = self.head(Epoch::new(0));
        match self.events.binary_search_by_key(&seq, |record| record.seq) {
            Ok(index) => self.events.get(index)?.check,
            Err(_) if seq == self.last => self.check,
            Err(_) if seq.saturating_add(1) == first => self.gone,
            Err(_) => None,
        }
    }

    fn append(&mut self, name: &TopicName, expected: End, entries: Vec<Entry>) -> Result<Seq, LogError> {
        if !expected.is_at(self.last, self.check) {
            return Err(expected.conflict(self.last));
        }
        for Entry {
            command,
            by,
            at,
            events,
            refused,
            forwards,
            delivers: _,
        } in entries
        {
            if let Some(why) = refused {
                self.refuse(Refused { by, command, why }, at);
                continue;
            }
            let first = self.last + 1;
            for forward in forwards.into_iter().map(|forward| forward.kept(name, first, at)) {
                self.forwards.insert((forward.key.seq, forward.key.index), forward);
            }
            for (amends, event) in events {
                self.last += 1;
                let seq = self.last;
                self.check = chain::next(self.check, seq, &event);
                let check = self.check;
                self.events.push_back(Record {
                    seq,
                    at,
                    amends,
                    check,
                    event,
                });
            }
            let seq = self.last;
            self.commands.push_back((Answered { by, command, seq }, at));
        }
        Ok(self.last)
    }

    fn refuse(&mut self, refused: Refused, at: Millis) {
        self.refusals.push_back((refused, at));
        let oldest = at.saturating_sub(super::millis(limits::KEPT_ANSWERS_AGE));
        while self.refusals.len() > limits::KEPT_ANSWERS || self.refusals.front().is_some_and(|(_, at)| *at < oldest) {
            let gone = self.refusals.pop_front().and_then(|(gone, _)| gone.command.time());
            self.forgotten = self.forgotten.max(gone);
        }
    }

    /// What `open` says of the commands: those that it tells, and the newest time of the ids that it does not.
    fn answers(&self, most: usize, since: Millis) -> (Vec<Answered>, Vec<Refused>, Option<Millis>) {
        let known = |id: &CommandId, at: Millis| at >= since || id.time().is_some();
        let commands = self.commands.iter().filter(|(one, at)| known(&one.command, *at));
        let refusals = self.refusals.iter().filter(|(one, at)| known(&one.command, *at));
        let (more, more_refused) = (
            commands.clone().count().saturating_sub(most),
            refusals.clone().count().saturating_sub(most),
        );
        let untold = commands.clone().take(more).map(|(one, _)| &one.command);
        let untold = untold.chain(refusals.clone().take(more_refused).map(|(one, _)| &one.command));
        (
            commands.clone().skip(more).map(|(one, _)| one.clone()).collect(),
            refusals
                .clone()
                .skip(more_refused)
                .map(|(one, _)| one.clone())
                .collect(),
            untold.map(CommandId::time).max().flatten().max(self.forgotten),
        )
    }

    fn redact(&mut self, Redaction { erased, state }: Redaction) {
        match erased {
            Erased::Before(seq) => {
                self.let_go(|record| record.seq < seq);
                self.forwards.retain(|(event, _), _| *event >= seq);
            }
            Erased::Payloads(payloads) => {
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

    /// The oldest, until one stays.
    fn let_go(&mut self, goes: impl Fn(&Record) -> bool) {
        while self.events.front().is_some_and(&goes) {
            self.gone = self.events.pop_front().and_then(|record| record.check);
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
        let mut plain = earlier.filter(|record| record.amends.is_none());
        let page: BTreeSet<Seq> = plain.by_ref().take(limit).map(|record| record.seq).collect();
        let first = plain.next().is_none();
        let belongs = |record: &&Record| page.contains(&record.amends.unwrap_or(record.seq));
        History {
            records: self.events.iter().filter(belongs).cloned().collect(),
            first,
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
        let goes = retention.reaches(seq, self.last, now);
        let events = self.events.iter().map(|event| (event.seq, event.at));
        let gone = self.events.drain(..going(events, now, goes)).next_back();
        self.gone = gone.map_or(self.gone, |newest| newest.check);
        let oldest = now.saturating_sub(super::millis(limits::KEPT_ANSWERS_AGE));
        while self.commands.len() > limits::KEPT_ANSWERS || self.commands.front().is_some_and(|(_, at)| *at < oldest) {
            let gone = self.commands.pop_front().and_then(|(gone, _)| gone.command.time());
            self.forgotten = self.forgotten.max(gone);
        }
        Ok(())
    }
}

type Topics = BTreeMap<TopicName, Kept>;

fn append(
    topics: &mut Topics,
    name: TopicName,
    expected: End,
    entries: Vec<Entry>,
    redaction: Option<Redaction>,
) -> Result<Seq, LogError> {
    let delivered: Vec<_> = entries.iter().filter_map(|entry| entry.delivers.clone()).collect();
    let kept = topics.entry(name.clone()).or_default();
    let seq = kept.append(&name, expected, entries)?;
    if let Some(redaction) = redaction {
        kept.redact(redaction);
    }
    remove(topics, &delivered);
    Ok(seq)
}

fn remove(topics: &mut Topics, forwards: &[ForwardKey]) {
    for ForwardKey { from, seq, index } in forwards {
        if let Some(kept) = topics.get_mut(from) {
            kept.forwards.remove(&(*seq, *index));
        }
    }
}

impl Log for Memory {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<Opened, LogError>> {
        self.look(topic, move |kept, epoch| {
            let (commands, refusals, forgotten) = kept.answers(commands, since);
            Opened {
                head: kept.head(epoch),
                snapshot: kept.snapshot.clone(),
                commands,
                refusals,
                forgotten,
            }
        })
    }

    fn append(&self, topic: &TopicName, expected: End, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.weathered().await?;
            append(&mut self.lock(), topic, expected, entries, None)
        })
    }

    fn redact(
        &self,
        topic: &TopicName,
        expected: End,
        entries: Vec<Entry>,
        redaction: Redaction,
    ) -> BoxFuture<'_, Result<Seq, LogError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.weathered().await?;
            append(&mut self.lock(), topic, expected, entries, Some(redaction))
        })
    }

    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.look(topic, move |kept, _| kept.with_amendments(&events))
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.look(topic, move |kept, _| {
            let later = kept.events.iter().filter(|record| record.seq > after);
            later.take(limit).cloned().collect()
        })
    }

    fn check(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Check>, LogError>> {
        self.look(topic, move |kept, _| kept.check(seq))
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        self.look(topic, move |kept, epoch| kept.history(before, limit, kept.head(epoch)))
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

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<Undelivered>, LogError>> {
        let from = from.cloned();
        Box::pin(async move {
            let topics = self.lock();
            let asked = topics
                .iter()
                .filter(|(name, _)| from.as_ref().is_none_or(|from| from == *name));
            Ok(asked.flat_map(|(_, kept)| kept.forwards.values().cloned()).collect())
        })
    }

    fn delivered(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move {
            self.weathered().await?;
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
                .filter(|(name, kept)| name.kind() == kind && kept.last > 0);
            Ok(of_kind.map(|(name, _)| name.clone()).collect())
        })
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
