//! The writer: a task that commits all queued appends together and answers them after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::append::{Locking, append};
use super::connect::{Connection, Connector};
use super::error::Failure;
use super::plan::Append;
use super::reader;
use crate::limits::{EVENT_OVERHEAD, postgres as limits};
use crate::log::{LatencyHistogram, LogError};
use duplex_protocol::cursor::Seq;

pub(super) type Reply = oneshot::Sender<Result<Seq, LogError>>;

pub(super) enum Job {
    Append(Append, Reply),
    /// Closes the queue after this job.
    Close,
}

#[derive(Default)]
pub(super) struct Counters {
    pub commits: AtomicU64,
    pub appends: AtomicU64,
    pub latency: LatencyHistogram,
}

/// The size limit of the tables. The size is read now and then, and estimated in between.
pub(super) struct SizeLimit {
    pub max_bytes: AtomicU64,
}

pub(super) struct Writer {
    pub connector: Arc<Connector>,
    pub jobs: mpsc::Receiver<Job>,
    pub counters: Arc<Counters>,
    pub size_limit: Arc<SizeLimit>,
    /// `None` until the first batch and after a failure.
    pub connection: Option<Connection>,
    /// The size of the tables when it was last read, and what was appended since.
    pub size: Option<(Instant, u64)>,
    /// The number of appends of the last batch.
    pub last_batch: usize,
    /// The last reported failure.
    pub last_error: Option<LogError>,
}

impl Writer {
    /// Runs until the log is closed or dropped and no append is left.
    pub(super) async fn run(mut self) {
        while let Some((batch, replies)) = self.next_batch().await {
            if batch.is_empty() {
                continue;
            }
            let results = self.process(&batch).await;
            for (reply, result) in replies.into_iter().zip(results) {
                self.counters.appends.fetch_add(u64::from(result.is_ok()), Relaxed);
                // A caller that was dropped gets no answer.
                let _ = reply.send(result);
            }
        }
    }

    /// The queued appends; `None` when the queue is closed and empty.
    async fn next_batch(&mut self) -> Option<(Vec<Append>, Vec<Reply>)> {
        let (mut batch, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(self.jobs.recv().await?);
        // A task that waits for this thread may have more appends: it runs first, until none are added. A lone caller does not wait.
        loop {
            let before = batch.len();
            while let Some(job) = next.take().or_else(|| self.jobs.try_recv().ok()) {
                match job {
                    Job::Close => self.jobs.close(),
                    Job::Append(append, reply) => {
                        bytes += growth(&append);
                        batch.push(append);
                        replies.push(reply);
                    }
                }
                if batch.len() >= limits::LOG_BATCH || bytes >= limits::LOG_BATCH_BYTES {
                    break;
                }
            }
            let is_full = batch.len() >= limits::LOG_BATCH || bytes >= limits::LOG_BATCH_BYTES;
            if is_full || self.last_batch <= 1 || batch.len() == before {
                break;
            }
            yield_now().await;
        }
        self.last_batch = batch.len();
        Some((batch, replies))
    }

    async fn process(&mut self, batch: &[Append]) -> Vec<Result<Seq, LogError>> {
        let began = Instant::now();
        let committed = match self.is_full(batch).await {
            Ok(true) => Err(LogError::Full),
            Ok(false) => self.commit(batch).await.map_err(LogError::from),
            Err(failure) => Err(failure.into()),
        };
        match committed {
            Ok(results) => {
                if results.iter().any(Result::is_ok) {
                    self.counters.commits.fetch_add(1, Relaxed);
                    self.counters.latency.record(began.elapsed());
                }
                self.report(results.iter().find_map(|result| match result {
                    Err(LogError::Conflict { .. }) | Ok(_) => None,
                    Err(error) => Some(error.clone()),
                }));
                results
            }
            Err(error) => {
                self.report(Some(error.clone()));
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Commits the batch: an error means that the whole batch failed, or that it is unknown whether it did. Repeats a transaction
    /// that the server aborted because of another one, and one that waited too long for a lock without the locked topics. If the
    /// server rejects a value, each append gets a transaction of its own.
    async fn commit(&mut self, batch: &[Append]) -> Result<Vec<Result<Seq, LogError>>, Failure> {
        let mut locking = Locking::Wait;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.transaction(batch, locking).await {
                Err(failure) if failure.is_transient() && attempts < limits::COMMIT_ATTEMPTS => {}
                Err(failure) if failure.is(&SqlState::LOCK_NOT_AVAILABLE) && locking == Locking::Wait => {
                    locking = Locking::Skip;
                }
                Err(failure) if failure.is_data_error() && batch.len() > 1 => break,
                done => return done,
            }
        }
        let mut results = Vec::with_capacity(batch.len());
        for append in batch {
            let result = self.transaction(std::slice::from_ref(append), locking).await;
            results.push(match result {
                Ok(mut result) => result
                    .pop()
                    .unwrap_or_else(|| Err(LogError::Unavailable("the append has no result".to_owned()))),
                Err(failure) => Err(failure.into()),
            });
        }
        Ok(results)
    }

    async fn transaction(&mut self, batch: &[Append], locking: Locking) -> Result<Vec<Result<Seq, LogError>>, Failure> {
        let mut connection = self.connection().await?;
        let appended = timeout(limits::ANSWER_TIMEOUT, append(&mut connection, batch, locking)).await;
        let results = appended.unwrap_or(Err(Failure::NoAnswer))?;
        self.connection = Some(connection);
        Ok(results)
    }

    /// The open connection, or a new one.
    async fn connection(&mut self) -> Result<Connection, Failure> {
        match self.connection.take().filter(|open| !open.client.is_closed()) {
            Some(connection) => Ok(connection),
            None => self.connector.connect().await,
        }
    }

    /// Whether the tables have reached the size limit, if there is one. Redactions are always accepted.
    async fn is_full(&mut self, batch: &[Append]) -> Result<bool, Failure> {
        let max_bytes = self.size_limit.max_bytes.load(Relaxed);
        if max_bytes == u64::MAX || batch.iter().any(|append| append.redaction.is_some()) {
            return Ok(false);
        }
        let grown: usize = batch.iter().map(growth).sum();
        let is_recent = |at: &Instant| at.elapsed() < limits::SIZE_INTERVAL;
        let size = match &self.size {
            Some((at, bytes)) if is_recent(at) => *bytes,
            _ => {
                let mut connection = self.connection().await?;
                let bytes = timeout(limits::ANSWER_TIMEOUT, reader::bytes(&mut connection)).await;
                let bytes = bytes.unwrap_or(Err(Failure::NoAnswer))?;
                self.connection = Some(connection);
                self.size = Some((Instant::now(), bytes));
                bytes
            }
        };
        let after = size.saturating_add(grown as u64);
        if after > max_bytes {
            return Ok(true);
        }
        self.size = self.size.map(|(at, _)| (at, after));
        Ok(false)
    }

    /// Logs a failure when it starts and when it ends, because it may last for thousands of batches.
    fn report(&mut self, failure: Option<LogError>) {
        let kind = |error: &Option<LogError>| error.as_ref().map(std::mem::discriminant);
        if kind(&self.last_error) != kind(&failure) {
            match &failure {
                Some(error) => tracing::error!("the log cannot store appends: {error}"),
                None => tracing::info!("the log accepts appends again"),
            }
            self.last_error = failure;
        }
    }
}

/// The approximate number of bytes that an append adds to the tables.
fn growth(append: &Append) -> usize {
    let entry = |entry: &crate::log::Entry| {
        let events: usize = entry.events.iter().map(|(_, event)| event.len() + EVENT_OVERHEAD).sum();
        let forwards = entry
            .forwards
            .iter()
            .map(|forward| forward.payload.len() + EVENT_OVERHEAD);
        events + forwards.sum::<usize>() + EVENT_OVERHEAD
    };
    append.entries.iter().map(entry).sum()
}
