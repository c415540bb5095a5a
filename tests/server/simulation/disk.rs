//! A node's log, as long as the node lives: it takes its time, and a node that crashed neither writes nor hears any more,
//! whatever it had begun. What was committed stays. Knows no topic's meaning.

use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use duplex_hub::log::{
    End, Entry, ForwardKey, History, Key, Log, LogError, Millis, Opened, Record, Redaction, Retention, Undelivered,
    memory::{Memory, Weather},
    sqlite::Sqlite,
};
use duplex_protocol::{
    cursor::{Check, Epoch, Seq},
    topic::TopicName,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::random::Random;

/// What outlives the nodes.
pub struct Store {
    kind: Kind,
    /// Nothing can be read.
    blind: Arc<AtomicBool>,
}

enum Kind {
    Memory(Arc<Memory>),
    File(PathBuf),
}

impl Store {
    pub fn memory(epoch: u64) -> Self {
        Self::new(Kind::Memory(Arc::new(Memory::new(Epoch::new(epoch)))))
    }

    pub fn file(path: PathBuf) -> Self {
        Self::new(Kind::File(path))
    }

    fn new(kind: Kind) -> Self {
        let blind = Arc::default();
        Self { kind, blind }
    }

    pub fn open(&self, random: Random) -> Disk {
        let (log, real): (Arc<dyn Log>, _) = match &self.kind {
            Kind::Memory(memory) => (Arc::clone(memory) as _, false),
            Kind::File(path) => (Arc::new(Sqlite::open(path).unwrap()), true),
        };
        Disk {
            log,
            real,
            blind: Arc::clone(&self.blind),
            dead: watch::Sender::default(),
            random: Mutex::new(random),
        }
    }

    /// No node runs. The topic loses its newest `count` events. Returns all that it had.
    pub fn lose(&self, topic: &TopicName, count: u64) -> Vec<(Vec<u8>, Option<Check>)> {
        match &self.kind {
            Kind::Memory(memory) => {
                let events = memory.read(topic, 0, usize::MAX >> 1).now_or_never().unwrap().unwrap();
                memory.lose_tail(topic, (events.len() as Seq).saturating_sub(count));
                events.into_iter().map(|record| (record.event, record.check)).collect()
            }
            Kind::File(path) => lose_rows(&Connection::open(path).unwrap(), topic, count).unwrap(),
        }
    }

    /// A file has no weather.
    pub fn set_weather(&self, weather: Weather) {
        if let Kind::Memory(memory) = &self.kind {
            memory.set_weather(weather);
        }
    }

    pub fn set_blind(&self, blind: bool) {
        self.blind.store(blind, Relaxed);
    }
}

fn lose_rows(file: &Connection, topic: &TopicName, count: u64) -> rusqlite::Result<Vec<(Vec<u8>, Option<Check>)>> {
    let query = "SELECT event, events.chain FROM events JOIN topics ON id = topic WHERE name = ?1 ORDER BY seq";
    let mut query = file.prepare(query)?;
    let rows = query.query_map([topic.as_str()], |row| {
        let check: Option<u32> = row.get(1)?;
        Ok((row.get::<_, String>(0)?.into_bytes(), check.and_then(Check::new)))
    })?;
    let events = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let left = (events.len() as Seq).saturating_sub(count);
    let check = left.checked_sub(1).and_then(|at| events[at as usize].1).map(Check::get);
    let of_topic = "topic = (SELECT id FROM topics WHERE name = ?1)";
    for table in ["events", "answers", "snapshots"] {
        let lost = format!("DELETE FROM {table} WHERE {of_topic} AND seq > ?2");
        file.execute(&lost, (topic.as_str(), left))?;
    }
    let answers = format!("(SELECT coalesce(max(n), 0) FROM answers WHERE {of_topic})");
    let end = format!("UPDATE topics SET last = ?2, chain = ?3, answers = {answers} WHERE name = ?1");
    file.execute(&end, (topic.as_str(), left, check))?;
    Ok(events)
}

/// The log as one node has it.
pub struct Disk {
    log: Arc<dyn Log>,
    /// Its work takes real time.
    real: bool,
    blind: Arc<AtomicBool>,
    dead: watch::Sender<bool>,
    random: Mutex<Random>,
}

impl Disk {
    /// The node is no more. Appends that the store had taken are kept, or not; nobody will hear which.
    pub async fn crash(&self) {
        self.dead.send_replace(true);
        self.still(self.log.close()).await;
    }

    /// The paused clock does not run while a real disk works.
    async fn still<T>(&self, work: impl Future<Output = T>) -> T {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        if self.real {
            spawn_blocking(move || wait.recv());
        }
        let result = work.await;
        drop(done);
        result
    }

    fn looks<'a, T: Send + 'a>(
        &'a self,
        look: BoxFuture<'a, Result<T, LogError>>,
    ) -> BoxFuture<'a, Result<T, LogError>> {
        let blind = self.blind.load(Relaxed);
        self.lives(if blind { unreadable() } else { look })
    }

    fn lives<'a, T: Send + 'a>(&'a self, work: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        let mut random = self.random.lock().unwrap().fork();
        Box::pin(async move {
            let work = async {
                let _ = timeout(random.millis(0, 12), died(self.dead.subscribe())).await;
                let done = self.still(work).await;
                let _ = timeout(random.millis(0, 12), died(self.dead.subscribe())).await;
                done
            };
            tokio::select! {
                biased;
                () = died(self.dead.subscribe()) => pending().await,
                done = work => done,
            }
        })
    }
}

async fn died(mut dead: watch::Receiver<bool>) {
    // Who sends is the disk itself.
    let _ = dead.wait_for(|dead| *dead).await;
}

/// Until the store can be read again.
fn unreadable<T: Send>() -> BoxFuture<'static, Result<T, LogError>> {
    Box::pin(async { Err(LogError::Unavailable("the simulation says so".to_owned())) })
}

impl Log for Disk {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<Opened, LogError>> {
        self.looks(self.log.open(topic, commands, since))
    }

    fn append(&self, topic: &TopicName, expected: End, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        self.lives(self.log.append(topic, expected, entries))
    }

    fn redact(
        &self,
        topic: &TopicName,
        expected: End,
        entries: Vec<Entry>,
        redaction: Redaction,
    ) -> BoxFuture<'_, Result<Seq, LogError>> {
        self.lives(self.log.redact(topic, expected, entries, redaction))
    }

    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.looks(self.log.with_amendments(topic, events))
    }

    fn key(&self) -> &Key {
        self.log.key()
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.looks(self.log.read(topic, after, limit))
    }

    fn check(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Check>, LogError>> {
        self.looks(self.log.check(topic, seq))
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        self.looks(self.log.history(topic, before, limit))
    }

    fn snapshot(
        &self,
        topic: &TopicName,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> BoxFuture<'_, Result<(), LogError>> {
        self.lives(self.log.snapshot(topic, seq, state, retention, now))
    }

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<Undelivered>, LogError>> {
        self.looks(self.log.forwards(from))
    }

    fn delivered(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>> {
        self.lives(self.log.delivered(forwards))
    }

    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>> {
        self.lives(self.log.topics(kind))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.lives(self.log.close())
    }
}
