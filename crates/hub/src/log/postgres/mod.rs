//! The log in a PostgreSQL database: one writer task that commits in groups, and readers that never wait for it.
//!
//! An append is a compare-and-set of its topic's row, so several programs may append to one database: one whose expected end is not
//! the newest event gets a conflict. A completed append is as durable as a commit of the server, which is on its disk unless `fsync`
//! is off; `synchronous_commit` is at least `on` in the sessions of this crate.
//!
//! The tables are in the schema `duplex`. They are created at the first start, and migrated by the first node of a newer release.

mod append;
mod bus;
mod config;
mod connect;
mod error;
mod head;
mod inspect;
mod lease;
mod password;
mod plan;
mod pool;
mod reader;
mod schema;
mod tail;
#[cfg(feature = "sqlite")]
pub(crate) mod transfer;
mod upkeep;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

pub use self::bus::PostgresBus;
pub use self::config::{ConfigError, PostgresConfig, is_url};
pub use self::connect::TlsError;
pub use self::error::OpenError;
pub use self::inspect::{Inspection, LogInspection, inspect};
pub use crate::limits::postgres::NODE_CONNECTIONS;

use self::connect::Connector;
use self::error::Failure;
use self::plan::Append;
use self::pool::Pool;
use self::writer::{Counters, Job, SizeLimit, Writer};
use super::snapshot::Snapshot;
use super::{
    Entry, ForwardKey, History, Log, LogEnd, LogError, LogSecret, LogStats, LogTail, Millis, MovedHeads,
    PendingForward, Record, RedactionWrite, Retention, StartData, TailStart, WriterStats,
};
use crate::bus::Bus;
use crate::limits::postgres as limits;
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::topic::TopicName;

/// Runs an operation on a connection of a pool. The connection is closed if the operation fails or does not end in time.
macro_rules! on {
    ($pool:expr, $operation:path $(, $argument:expr)*) => {{
        let mut pooled = $pool.get().await?;
        let done = timeout(limits::ANSWER_TIMEOUT, $operation(&mut pooled.connection $(, $argument)*)).await;
        let value = done.unwrap_or(Err(Failure::NoAnswer))?;
        pooled.keep();
        value
    }};
}

/// A log in a PostgreSQL database.
pub struct PostgresLog {
    epoch: Epoch,
    secret: LogSecret,
    counters: Arc<Counters>,
    size_limit: Arc<SizeLimit>,
    connector: Arc<Connector>,
    readers: Pool,
    upkeep: Pool,
    jobs: mpsc::Sender<Job>,
    /// Closed when the writer has ended; carries no value.
    ended: watch::Receiver<()>,
}

impl PostgresLog {
    /// Opens the log in the database, and creates its tables if there are none. Must be called within a tokio runtime, on which it
    /// spawns the writer.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(config: PostgresConfig) -> Result<Self, OpenError> {
        let connector = Arc::new(Connector::new(config)?);
        let mut connection = connector.connect().await?;
        let identity = schema::open(&mut connection).await?;
        let counters = Arc::new(Counters::default());
        let size_limit = Arc::new(SizeLimit {
            max_bytes: u64::MAX.into(),
        });
        let (jobs, receiver) = mpsc::channel(limits::LOG_QUEUE);
        let (ending, ended) = watch::channel(());
        let writer = Writer {
            connector: connector.clone(),
            jobs: receiver,
            counters: counters.clone(),
            size_limit: size_limit.clone(),
            connection: Some(connection),
            size: None,
            last_batch: 1,
            last_error: None,
        };
        tokio::spawn(async move {
            writer.run().await;
            drop(ending);
        });
        Ok(Self {
            epoch: identity.epoch,
            secret: identity.secret,
            counters,
            size_limit,
            readers: Pool::new(connector.clone(), limits::READ_CONNECTIONS),
            upkeep: Pool::new(connector.clone(), limits::UPKEEP_CONNECTIONS),
            connector,
            jobs,
            ended,
        })
    }

    /// Limits the size: appends return [`LogError::Full`] while the tables and their indexes exceed `max_bytes`. Space that
    /// PostgreSQL has not returned to the file system counts. Reads, snapshots, retention and redactions still work.
    #[must_use]
    pub fn with_size_limit(self, max_bytes: u64) -> Self {
        self.size_limit.max_bytes.store(max_bytes, Relaxed);
        self
    }

    /// The bus of the nodes that use this database, on two connections of its own.
    pub fn bus(&self) -> PostgresBus {
        PostgresBus::new(self.connector.clone())
    }

    async fn submit(&self, append: Append) -> Result<Seq, LogError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Append(append, reply);
        self.jobs.send(job).await.map_err(|_| LogError::from(Failure::Closed))?;
        answer
            .await
            .unwrap_or_else(|_| Err(LogError::Unavailable("the log's writer ended".to_owned())))
    }

    async fn snapshot(&self, snapshot: Snapshot) -> Result<(), Failure> {
        let stored = on!(self.upkeep, upkeep::store_snapshot, &snapshot);
        let Some(job) = stored else { return Ok(()) };
        while on!(self.upkeep, upkeep::remove_batch, &snapshot, job) {}
        Ok(())
    }
}

/// PostgreSQL's integers are signed. Stored numbers never reach `i64::MAX`; a larger bound saturates.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored number, which is never negative.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn checksum(stored: Option<i64>) -> Option<Checksum> {
    Checksum::new(u32::try_from(stored?).ok()?)
}

impl Log for PostgresLog {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<StartData, LogError>> {
        let (topic, epoch) = (topic.clone(), self.epoch);
        Box::pin(async move { Ok(on!(self.readers, reader::open, &topic, epoch, commands, since)) })
    }

    fn append(&self, topic: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        Box::pin(self.submit(Append {
            topic: topic.clone(),
            expected,
            entries,
            redaction: None,
        }))
    }

    fn redact(
        &self,
        topic: &TopicName,
        expected: LogEnd,
        entries: Vec<Entry>,
        redaction: RedactionWrite,
    ) -> BoxFuture<'_, Result<Seq, LogError>> {
        Box::pin(self.submit(Append {
            topic: topic.clone(),
            expected,
            entries,
            redaction: Some(redaction),
        }))
    }

    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        let topic = topic.clone();
        Box::pin(async move { Ok(on!(self.readers, reader::with_amendments, &topic, &events)) })
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        let topic = topic.clone();
        Box::pin(async move { Ok(on!(self.readers, reader::read, &topic, after, limit)) })
    }

    fn tail(
        &self,
        topic: &TopicName,
        start: TailStart,
        limit: usize,
    ) -> BoxFuture<'_, Result<Option<LogTail>, LogError>> {
        let (topic, epoch) = (topic.clone(), self.epoch);
        Box::pin(async move { Ok(on!(self.readers, tail::read, &topic, epoch, start, limit)) })
    }

    fn heads_since(&self, version: Option<u64>) -> BoxFuture<'_, Result<MovedHeads, LogError>> {
        Box::pin(async move { Ok(on!(self.readers, tail::heads_since, version)) })
    }

    fn checksum(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Checksum>, LogError>> {
        let (topic, epoch) = (topic.clone(), self.epoch);
        Box::pin(async move { Ok(on!(self.readers, reader::checksum_at, &topic, epoch, seq)) })
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        let (topic, epoch) = (topic.clone(), self.epoch);
        Box::pin(async move { Ok(on!(self.readers, reader::history, &topic, epoch, before, limit)) })
    }

    fn snapshot(
        &self,
        topic: &TopicName,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> BoxFuture<'_, Result<(), LogError>> {
        let snapshot = Snapshot {
            topic: topic.clone(),
            seq,
            state,
            retention,
            now,
        };
        Box::pin(async { Ok(self.snapshot(snapshot).await?) })
    }

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<PendingForward>, LogError>> {
        let from = from.cloned();
        Box::pin(async move { Ok(on!(self.readers, reader::forwards, from.as_ref())) })
    }

    fn remove_forwards(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move {
            on!(self.upkeep, upkeep::remove_forwards, &forwards);
            Ok(())
        })
    }

    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>> {
        let kind = kind.to_owned();
        Box::pin(async move { Ok(on!(self.readers, reader::topics, &kind)) })
    }

    fn lease(&self, name: &str, holder: u64, duration: Duration) -> BoxFuture<'_, Result<bool, LogError>> {
        let name = name.to_owned();
        Box::pin(async move { Ok(on!(self.upkeep, lease::lease, &name, holder, duration)) })
    }

    fn end_lease(&self, name: &str, holder: u64) -> BoxFuture<'_, Result<(), LogError>> {
        let name = name.to_owned();
        Box::pin(async move {
            on!(self.upkeep, lease::end, &name, holder);
            Ok(())
        })
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        Some(Arc::new(self.bus()))
    }

    fn secret(&self) -> &LogSecret {
        &self.secret
    }

    fn writer_stats(&self) -> WriterStats {
        WriterStats {
            commits: self.counters.commits.load(Relaxed),
            appends: self.counters.appends.load(Relaxed),
            queued: (self.jobs.max_capacity() - self.jobs.capacity()) as u64,
            latency: self.counters.latency.snapshot(),
        }
    }

    fn stats(&self) -> BoxFuture<'_, Result<LogStats, LogError>> {
        Box::pin(async {
            let max_bytes = self.size_limit.max_bytes.load(Relaxed);
            let bytes = on!(self.readers, reader::bytes);
            let kinds = on!(self.readers, reader::kinds);
            Ok(LogStats {
                bytes,
                max_bytes: Some(max_bytes).filter(|bytes| *bytes < u64::MAX),
                kinds,
            })
        })
    }

    fn backup(&self, _to: &Path) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async {
            Err(LogError::Unavailable(
                "a database is backed up with PostgreSQL's own tools, such as pg_dump --schema=duplex".to_owned(),
            ))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // Closing a closed log is not an error.
            let _ = self.jobs.send(Job::Close).await;
            tokio::join!(self.readers.close(), self.upkeep.close());
            let mut ended = self.ended.clone();
            while ended.changed().await.is_ok() {}
        })
    }
}
