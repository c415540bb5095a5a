//! A node's log, as long as the node lives: it takes its time, and a node that crashed neither writes nor hears any more,
//! whatever it had begun. What was committed stays. Knows no topic's meaning.

use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use duplex::server::log::memory::{Memory, Weather};
use duplex::server::log::sqlite::Sqlite;
use duplex::server::log::{Entry, History, Log, LogError, Millis, Opened, Record, Retention};
use duplex::wire::cursor::Seq;
use duplex::wire::topic::TopicName;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::random::Random;

/// What outlives the nodes.
pub enum Store {
    Memory(Arc<Memory>),
    File(PathBuf),
}

impl Store {
    pub fn open(&self, random: Random) -> Disk {
        let (log, real): (Arc<dyn Log>, _) = match self {
            Self::Memory(memory) => (Arc::clone(memory) as _, false),
            Self::File(path) => (Arc::new(Sqlite::open(path).unwrap()), true),
        };
        Disk {
            log,
            real,
            dead: watch::Sender::default(),
            random: Mutex::new(random),
        }
    }

    /// A file has no weather.
    pub fn set_weather(&self, weather: Weather) {
        if let Self::Memory(memory) = self {
            memory.set_weather(weather);
        }
    }
}

/// The log as one node has it.
pub struct Disk {
    log: Arc<dyn Log>,
    /// Its work takes real time.
    real: bool,
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

impl Log for Disk {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<Opened, LogError>> {
        self.lives(self.log.open(topic, commands, since))
    }

    fn append(&self, topic: &TopicName, expected: Seq, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        self.lives(self.log.append(topic, expected, entries))
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.lives(self.log.read(topic, after, limit))
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        self.lives(self.log.history(topic, before, limit))
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

    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>> {
        self.lives(self.log.topics(kind))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.lives(self.log.close())
    }
}
