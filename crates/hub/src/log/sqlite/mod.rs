//! The log in a SQLite file: one writer thread that commits in groups, and readers that never wait for it.
//!
//! The file is in [WAL mode] with `synchronous = FULL`: a completed append survives `kill -9` and power loss if the disk honors
//! `fsync`. [`SqliteLog::open`] and the functions here block; the log's methods do not.
//!
//! [WAL mode]: https://www.sqlite.org/wal.html

mod answers;
mod append;
mod backup;
mod database;
mod files;
mod reader;
mod restore;
mod schema;
mod size_limit;
#[cfg(test)]
mod tests;
#[cfg(feature = "postgres")]
pub(crate) mod transfer;
mod verify;
mod writable;
mod writer;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use futures_util::future::BoxFuture;
use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

pub use self::backup::{BackupError, backup_offline};
pub use self::database::OpenError;
pub use self::files::{parent_dir, partial_path, remove_partials, rename_noreplace, resolve_path, temporary_copy_path};
pub use self::restore::{RestoreError, restore};
pub use self::verify::{Unfinished, VerifyReport, unfinished, verify};
pub use self::writable::{NotWritable, check_writable};

use self::reader::ReadPool;
use self::size_limit::SizeLimit;
use self::writer::{Job, Reply, Writer};
use super::snapshot::Snapshot;
use super::{
    Entry, ForwardKey, History, LatencyHistogram, Log, LogEnd, LogError, LogSecret, LogStats, Millis, PendingForward,
    Record, RedactionWrite, Retention, StartData, WriterStats,
};
use crate::limits;
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::topic::TopicName;

/// A log in a SQLite file.
pub struct SqliteLog {
    path: PathBuf,
    epoch: Epoch,
    secret: LogSecret,
    counters: Arc<LogCounters>,
    size_limit: Arc<SizeLimit>,
    readers: Arc<ReadPool>,
    jobs: mpsc::Sender<Job>,
    /// Closed when the writer has ended; carries no value.
    ended: watch::Receiver<()>,
    /// Declared after `jobs`, because the writer ends when the channel is closed.
    _writer: JoinOnDrop,
}

#[derive(Default)]
struct LogCounters {
    commits: AtomicU64,
    appends: AtomicU64,
    latency: LatencyHistogram,
}

/// Joins the writer's thread, so that the file can be opened again once the log was dropped.
struct JoinOnDrop(Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(Err(_)) = self.0.take().map(JoinHandle::join) {
            tracing::error!("the log's writer panicked");
        }
    }
}

impl SqliteLog {
    /// Opens the log at `path`, or creates it and its directory. Blocks: reads the whole file to verify it, and upgrades a file of
    /// an earlier version. Starts the writer's thread.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; the file is then unchanged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let store = database::open(path)?;
        let counters = Arc::new(LogCounters::default());
        let size_limit = Arc::new(SizeLimit::new(store.path.clone()));
        let (jobs, receiver) = mpsc::channel(limits::sqlite::LOG_QUEUE);
        let (ending, ended) = watch::channel(());
        let writer = Writer {
            connection: store.connection,
            jobs: receiver,
            retention_jobs: VecDeque::new(),
            last_batch: 1,
            counters: counters.clone(),
            size_limit: size_limit.clone(),
            self_sender: jobs.downgrade(),
            last_error: None,
            locks: store.locks,
            ended: ending,
        };
        let thread = thread::Builder::new().name("log".to_owned());
        let thread = thread.spawn(|| writer.run()).map_err(OpenError::io(path))?;
        Ok(Self {
            readers: Arc::new(ReadPool::new(store.path.clone())),
            path: store.path,
            epoch: store.epoch,
            secret: store.secret,
            counters,
            size_limit,
            jobs,
            ended,
            _writer: JoinOnDrop(Some(thread)),
        })
    }

    /// Limits the size: appends return [`LogError::Full`] while the file and its WAL exceed `max_bytes`, or the disk has fewer than
    /// `reserve` bytes left. Reads, snapshots, retention and redactions still work.
    #[must_use]
    pub fn with_size_limit(self, max_bytes: u64, reserve: u64) -> Self {
        self.size_limit.set(max_bytes, reserve);
        self
    }

    /// Limits the file to this number of pages of 4 KiB until it is closed, never to fewer than it has
    /// ([`max_page_count`](https://www.sqlite.org/pragma.html#pragma_max_page_count)). Appends that need more return
    /// [`LogError::Full`].
    ///
    /// # Errors
    ///
    /// [`LogError::Unavailable`] if the log is closed.
    pub async fn set_max_pages(&self, pages: u32) -> Result<(), LogError> {
        self.submit(|reply| Job::SetMaxPages { pages, reply }).await
    }

    /// Backs up the committed data to a new file ([`VACUUM INTO`](https://www.sqlite.org/lang_vacuum.html#vacuuminto)), which is a
    /// log with a new epoch.
    ///
    /// # Errors
    ///
    /// [`BackupError::Exists`] if a file exists at `to`; others if the log is closed or the backup cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), BackupError> {
        if self.jobs.is_closed() {
            return Err(closed().into());
        }
        let (from, to) = (self.path.clone(), to.to_owned());
        let backup = spawn_blocking(move || backup::write_backup(&from, &to));
        backup
            .await
            .unwrap_or_else(|failed| Err(LogError::Unavailable(failed.to_string()).into()))
    }

    async fn submit<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| closed())?;
        answer
            .await
            .unwrap_or_else(|_| Err(LogError::Unavailable("the log's writer panicked".to_owned())))
    }
}

fn closed() -> LogError {
    LogError::Unavailable("the log is closed".to_owned())
}

/// SQLite's integers are signed. Stored numbers never reach `i64::MAX`; a larger bound saturates.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        // There is no space for the `-shm` file.
        const IOERR_SHMSIZE: i32 = 10 | 19 << 8;
        // A failed write, such as one that would exceed the file size limit of the process.
        const IOERR_WRITE: i32 = 10 | 3 << 8;
        let full = match error.sqlite_error() {
            Some(cause) if cause.extended_code == IOERR_WRITE => size_limit::rlimit_fsize().is_some(),
            Some(cause) => cause.code == ErrorCode::DiskFull || cause.extended_code == IOERR_SHMSIZE,
            None => false,
        };
        if full {
            Self::Full
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}

impl Log for SqliteLog {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<StartData, LogError>> {
        let (topic, epoch) = (topic.clone(), self.epoch);
        Box::pin(
            self.readers
                .run(move |log| reader::open(log, &topic, epoch, commands, since)),
        )
    }

    fn append(&self, topic: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        let topic = topic.clone();
        Box::pin(self.submit(move |reply| Job::Append {
            topic,
            expected,
            entries,
            redaction: None,
            reply,
        }))
    }

    fn redact(
        &self,
        topic: &TopicName,
        expected: LogEnd,
        entries: Vec<Entry>,
        redaction: RedactionWrite,
    ) -> BoxFuture<'_, Result<Seq, LogError>> {
        let topic = topic.clone();
        Box::pin(self.submit(move |reply| Job::Append {
            topic,
            expected,
            entries,
            redaction: Some(redaction),
            reply,
        }))
    }

    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        let topic = topic.clone();
        Box::pin(
            self.readers
                .run(move |log| reader::with_amendments(log, &topic, &events)),
        )
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        let topic = topic.clone();
        Box::pin(self.readers.run(move |log| reader::read(log, &topic, after, limit)))
    }

    fn checksum(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Checksum>, LogError>> {
        let (topic, epoch) = (topic.clone(), self.epoch);
        Box::pin(self.readers.run(move |log| reader::checksum(log, &topic, epoch, seq)))
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        let (topic, epoch) = (topic.clone(), self.epoch);
        Box::pin(
            self.readers
                .run(move |log| reader::history(log, &topic, epoch, before, limit)),
        )
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
        Box::pin(self.submit(move |reply| Job::Snapshot { snapshot, reply }))
    }

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<PendingForward>, LogError>> {
        let from = from.cloned();
        Box::pin(self.readers.run(move |log| reader::forwards(log, from.as_ref())))
    }

    fn remove_forwards(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(self.submit(move |reply| Job::RemoveForwards { forwards, reply }))
    }

    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>> {
        let kind = kind.to_owned();
        Box::pin(self.readers.run(move |log| reader::topics(log, &kind)))
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
        let (path, size_limit) = (self.path.clone(), self.size_limit.clone());
        Box::pin(self.readers.run(move |log| {
            Ok(LogStats {
                bytes: files::size_with_wal(&path),
                max_bytes: Some(size_limit.max_bytes()).filter(|bytes| *bytes < u64::MAX),
                kinds: reader::kinds(log)?,
            })
        }))
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    fn backup(&self, to: &Path) -> BoxFuture<'_, Result<(), LogError>> {
        let to = to.to_owned();
        Box::pin(async move {
            self.backup(&to).await.map_err(|error| match error {
                BackupError::Log(error) => error,
                other => LogError::Unavailable(other.to_string()),
            })
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // Closing a closed log is not an error.
            let _ = self.jobs.send(Job::Close).await;
            self.readers.close().await;
            let mut ended = self.ended.clone();
            while ended.changed().await.is_ok() {}
        })
    }
}
