//! A `Log` wrapper that injects delays, read errors and crashes. After a crash, pending operations never complete;
//! they may have been committed.

use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use duplex_hub::log::{
    Entry, ForwardKey, History, Log, LogEnd, LogError, LogSecret, LogTail, Millis, MovedHeads, PendingForward, Record,
    RedactionWrite, Retention, StartData, TailStart,
    memory::{Fault, MemoryLog},
    sqlite::SqliteLog,
};
use duplex_protocol::{
    cursor::{Checksum, Epoch, Seq},
    topic::TopicName,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::random::Random;

/// Storage shared by successive nodes.
pub struct Store {
    backend: Backend,
    /// Whether every read fails.
    unreadable: Arc<AtomicBool>,
}

enum Backend {
    Memory(Arc<MemoryLog>),
    File(PathBuf),
}

impl Store {
    pub fn memory(epoch: u64) -> Self {
        Self::new(Backend::Memory(Arc::new(MemoryLog::new(Epoch::new(epoch)))))
    }

    pub fn file(path: PathBuf) -> Self {
        Self::new(Backend::File(path))
    }

    fn new(backend: Backend) -> Self {
        let unreadable = Arc::default();
        Self { backend, unreadable }
    }

    pub fn open(&self, random: Random) -> Disk {
        let (log, is_file): (Arc<dyn Log>, _) = match &self.backend {
            Backend::Memory(memory) => (Arc::clone(memory) as _, false),
            Backend::File(path) => (Arc::new(SqliteLog::open(path).unwrap()), true),
        };
        Disk {
            log,
            is_file,
            unreadable: Arc::clone(&self.unreadable),
            crashed: watch::Sender::default(),
            random: Mutex::new(random),
        }
    }

    /// Removes the topic's newest `count` events while no node is running. Returns the events before the loss.
    pub fn lose_tail(&self, topic: &TopicName, count: u64) -> Vec<(Vec<u8>, Option<Checksum>)> {
        match &self.backend {
            Backend::Memory(memory) => {
                let events = memory.read(topic, 0, usize::MAX >> 1).now_or_never().unwrap().unwrap();
                memory.truncate_tail(topic, (events.len() as Seq).saturating_sub(count));
                events
                    .into_iter()
                    .map(|record| (record.event, record.checksum))
                    .collect()
            }
            Backend::File(path) => lose_rows(&Connection::open(path).unwrap(), topic, count).unwrap(),
        }
    }

    /// Injects append faults; only supported in memory.
    pub fn set_fault(&self, fault: Fault) {
        if let Backend::Memory(memory) = &self.backend {
            memory.set_fault(fault);
        }
    }

    pub fn set_unreadable(&self, unreadable: bool) {
        self.unreadable.store(unreadable, Relaxed);
    }
}

fn lose_rows(file: &Connection, topic: &TopicName, count: u64) -> rusqlite::Result<Vec<(Vec<u8>, Option<Checksum>)>> {
    let query = "SELECT event, events.chain FROM events JOIN topics ON id = topic WHERE name = ?1 ORDER BY seq";
    let mut query = file.prepare(query)?;
    let rows = query.query_map([topic.as_str()], |row| {
        let checksum: Option<u32> = row.get(1)?;
        Ok((row.get::<_, String>(0)?.into_bytes(), checksum.and_then(Checksum::new)))
    })?;
    let events = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let remaining = (events.len() as Seq).saturating_sub(count);
    let checksum = remaining
        .checked_sub(1)
        .and_then(|at| events[at as usize].1)
        .map(Checksum::get);
    let in_topic = "topic = (SELECT id FROM topics WHERE name = ?1)";
    for table in ["events", "answers", "snapshots"] {
        let lost = format!("DELETE FROM {table} WHERE {in_topic} AND seq > ?2");
        file.execute(&lost, (topic.as_str(), remaining))?;
    }
    let answers = format!("(SELECT coalesce(max(n), 0) FROM answers WHERE {in_topic})");
    let end = format!("UPDATE topics SET last = ?2, chain = ?3, answers = {answers} WHERE name = ?1");
    file.execute(&end, (topic.as_str(), remaining, checksum))?;
    Ok(events)
}

/// The log as used by one node.
pub struct Disk {
    log: Arc<dyn Log>,
    /// Whether its operations take real time.
    is_file: bool,
    unreadable: Arc<AtomicBool>,
    crashed: watch::Sender<bool>,
    random: Mutex<Random>,
}

impl Disk {
    /// Crashes the node. Appends in flight may be stored or not; their results are never returned.
    pub async fn crash(&self) {
        self.crashed.send_replace(true);
        self.hold_clock_during(self.log.close()).await;
    }

    /// Prevents tokio's paused clock from auto-advancing during real disk I/O.
    async fn hold_clock_during<T>(&self, future: impl Future<Output = T>) -> T {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        if self.is_file {
            spawn_blocking(move || wait.recv());
        }
        let result = future.await;
        drop(done);
        result
    }

    fn read_operation<'a, T: Send + 'a>(
        &'a self,
        operation: BoxFuture<'a, Result<T, LogError>>,
    ) -> BoxFuture<'a, Result<T, LogError>> {
        let unreadable = self.unreadable.load(Relaxed);
        self.operation(if unreadable { read_error() } else { operation })
    }

    fn operation<'a, T: Send + 'a>(&'a self, operation: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        let mut random = self.random.lock().unwrap().split();
        Box::pin(async move {
            let delayed = async {
                let _ = timeout(random.millis(0, 12), wait_for_crash(self.crashed.subscribe())).await;
                let result = self.hold_clock_during(operation).await;
                let _ = timeout(random.millis(0, 12), wait_for_crash(self.crashed.subscribe())).await;
                result
            };
            tokio::select! {
                biased;
                () = wait_for_crash(self.crashed.subscribe()) => pending().await,
                result = delayed => result,
            }
        })
    }
}

async fn wait_for_crash(mut crashed: watch::Receiver<bool>) {
    // The disk itself holds the sender.
    let _ = crashed.wait_for(|crashed| *crashed).await;
}

/// The result of a read while the store is unreadable.
fn read_error<T: Send>() -> BoxFuture<'static, Result<T, LogError>> {
    Box::pin(async { Err(LogError::Unavailable("injected by the simulation".to_owned())) })
}

impl Log for Disk {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<StartData, LogError>> {
        self.read_operation(self.log.open(topic, commands, since))
    }

    fn append(&self, topic: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        self.operation(self.log.append(topic, expected, entries))
    }

    fn redact(
        &self,
        topic: &TopicName,
        expected: LogEnd,
        entries: Vec<Entry>,
        redaction: RedactionWrite,
    ) -> BoxFuture<'_, Result<Seq, LogError>> {
        self.operation(self.log.redact(topic, expected, entries, redaction))
    }

    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.read_operation(self.log.with_amendments(topic, events))
    }

    fn secret(&self) -> &LogSecret {
        self.log.secret()
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.read_operation(self.log.read(topic, after, limit))
    }

    fn tail(
        &self,
        topic: &TopicName,
        start: TailStart,
        limit: usize,
    ) -> BoxFuture<'_, Result<Option<LogTail>, LogError>> {
        self.read_operation(self.log.tail(topic, start, limit))
    }

    fn heads_since(&self, version: Option<u64>) -> BoxFuture<'_, Result<MovedHeads, LogError>> {
        self.read_operation(self.log.heads_since(version))
    }

    fn checksum(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Checksum>, LogError>> {
        self.read_operation(self.log.checksum(topic, seq))
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        self.read_operation(self.log.history(topic, before, limit))
    }

    fn snapshot(
        &self,
        topic: &TopicName,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> BoxFuture<'_, Result<(), LogError>> {
        self.operation(self.log.snapshot(topic, seq, state, retention, now))
    }

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<PendingForward>, LogError>> {
        self.read_operation(self.log.forwards(from))
    }

    fn remove_forwards(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>> {
        self.operation(self.log.remove_forwards(forwards))
    }

    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>> {
        self.operation(self.log.topics(kind))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.operation(self.log.close())
    }
}
