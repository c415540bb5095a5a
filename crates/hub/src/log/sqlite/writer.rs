//! The one writer: a thread that takes everything that waits, commits it at once and only then answers.
//! Knows nothing of the readers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::keeping::{self, Snapshot, Trim};
use super::room::Room;
use super::schema::Locks;
use super::{Counts, schema};
use crate::{
    limits,
    log::{End, Entry, ForwardKey, LogError, Redaction},
};
use duplex_protocol::{cursor::Seq, topic::TopicName};

pub(super) type Done<T> = oneshot::Sender<Result<T, LogError>>;

pub(super) enum Job {
    Append {
        topic: TopicName,
        expected: End,
        entries: Vec<Entry>,
        redaction: Option<Redaction>,
        done: Done<Seq>,
    },
    Snapshot {
        snapshot: Snapshot,
        done: Done<()>,
    },
    /// Forwards that are to be removed.
    Delivered {
        forwards: Vec<ForwardKey>,
        done: Done<()>,
    },
    /// What is left of a snapshot's work: the writer's own job, one bite a commit.
    Trim {
        trim: Trim,
        done: Done<()>,
    },
    /// The journal could not be emptied of what was overwritten, because somebody read: once more.
    Scrub,
    /// How many pages the file may have.
    Allow {
        pages: u32,
        done: Done<()>,
    },
    /// No job is taken after it.
    Close,
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => {
                let events = entries.iter().flat_map(|entry| &entry.events);
                let forwards = entries.iter().flat_map(|entry| &entry.forwards);
                let events: usize = events.map(|(_, event)| event.len()).sum();
                events + forwards.map(|forward| forward.payload.len()).sum::<usize>()
            }
            Self::Snapshot { snapshot, .. } => snapshot.state.len(),
            Self::Delivered { .. } | Self::Trim { .. } | Self::Scrub | Self::Allow { .. } | Self::Close => 0,
        }
    }

    const fn redacts(&self) -> bool {
        matches!(self, Self::Append { redaction: Some(_), .. } | Self::Scrub)
    }

    /// What the file grows by, about; none if it is to be done though the file is as large as it may be.
    fn growth(&self) -> Option<u64> {
        match self {
            Self::Append {
                entries,
                redaction: None,
                ..
            } => {
                let rows = |entry: &Entry| 1 + entry.events.len() + entry.forwards.len();
                let rows: usize = entries.iter().map(rows).sum();
                Some((self.bytes() + rows * limits::EVENT_OVERHEAD) as u64)
            }
            _ => None,
        }
    }
}

/// What a job came to, if its commit goes through.
#[derive(Default)]
struct Did {
    seq: Seq,
    left: Option<Trim>,
}

pub(super) struct Writer {
    pub connection: Connection,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) trims: VecDeque<Job>,
    pub counts: Arc<Counts>,
    pub room: Arc<Room>,
    /// For what it has to do later.
    pub again: mpsc::WeakSender<Job>,
    /// Why the last batch, or a job of it, failed.
    pub trouble: Option<LogError>,
    /// Released when the connection is closed.
    pub locks: Locks,
    /// Dropped last: then the log is closed.
    pub ended: watch::Sender<()>,
}

impl Writer {
    /// Until the log is closed or dropped, and nothing is left to do.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.gather() {
            let turn = AssertUnwindSafe(|| self.turn(batch));
            if catch_unwind(turn).is_err() {
                // The transaction was rolled back, and who waited for it finds that the answer will not come.
                tracing::error!("the log's writer failed at a batch and goes on with the next");
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!("the log's file was not closed well: {error}");
        }
        drop(self.locks);
        drop(self.ended);
    }

    /// Everything that waits; none when nothing will come any more.
    fn gather(&mut self) -> Option<Vec<Job>> {
        let first = match self.trims.pop_front() {
            Some(trim) => trim,
            None => self.jobs.blocking_recv()?,
        };
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < limits::sqlite::LOG_BATCH
            && bytes < limits::sqlite::LOG_BATCH_BYTES
            && let Ok(job) = self.jobs.try_recv()
        {
            bytes += job.bytes();
            batch.push(job);
        }
        Some(batch)
    }

    fn turn(&mut self, batch: Vec<Job>) {
        let (batch, refused) = self.admit(batch);
        if !refused.is_empty() {
            self.note(Some(LogError::Full));
        }
        let any_refused = !refused.is_empty();
        for job in refused {
            self.answer(job, Err(LogError::Full));
        }
        if batch.is_empty() {
            return;
        }
        match self.commit(&batch) {
            Ok(results) => {
                if batch
                    .iter()
                    .zip(&results)
                    .any(|(job, result)| job.redacts() && result.is_ok())
                {
                    self.scrub();
                }
                let trouble = any_refused.then_some(LogError::Full);
                self.note(trouble.or_else(|| {
                    results.iter().find_map(|result| match result {
                        Err(LogError::Conflict { .. }) | Ok(_) => None,
                        Err(error) => Some(error.clone()),
                    })
                }));
                for (job, result) in batch.into_iter().zip(results) {
                    self.answer(job, result);
                }
            }
            Err(error) => {
                self.note(Some(error.clone()));
                for job in batch {
                    self.answer(job, Err(error.clone()));
                }
            }
        }
    }

    /// Which of them there is room for. What makes room, or takes none, is always done.
    fn admit(&self, batch: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
        let needed = batch.iter().filter_map(Job::growth).sum();
        if needed == 0 {
            return (batch, Vec::new());
        }
        let mut free = self.room.free(&self.connection, needed);
        batch.into_iter().partition(|job| match job.growth() {
            None => true,
            Some(bytes) => match free.checked_sub(bytes) {
                Some(left) => {
                    free = left;
                    true
                }
                None => false,
            },
        })
    }

    /// So that the bytes that were overwritten are nowhere any more. Readers keep it waiting for a moment only; while one reads
    /// for long, as a backup does, it is tried again.
    fn scrub(&self) {
        match schema::empty_journal(&self.connection) {
            Ok(true) => {}
            Ok(false) => self.scrub_later(),
            Err(error) => tracing::warn!("the journal keeps what was overwritten until the log is closed: {error}"),
        }
    }

    fn scrub_later(&self) {
        let again = self.again.clone();
        let thread = thread::Builder::new().name("log-scrub".to_owned());
        let started = thread.spawn(move || {
            thread::sleep(limits::sqlite::LOG_SCRUB_PAUSE);
            // A log that was closed meanwhile has no journal.
            let _ = again.upgrade().map(|jobs| jobs.blocking_send(Job::Scrub));
        });
        if let Err(error) = started {
            tracing::warn!("the journal keeps what was overwritten for a while: {error}");
        }
    }

    /// Says it once when trouble comes, and when it is over: it may last for thousands of batches.
    fn note(&mut self, trouble: Option<LogError>) {
        if self.trouble != trouble {
            match &trouble {
                Some(error) => tracing::error!("the log does not keep what it is given: {error}"),
                None => tracing::info!("the log keeps what it is given again"),
            }
            self.trouble = trouble;
        }
    }

    /// All that succeeded is on the disk, or the whole batch failed.
    fn commit(&mut self, batch: &[Job]) -> Result<Vec<Result<Did, LogError>>, LogError> {
        let began = Instant::now();
        let mut transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(batch.len());
        for job in batch {
            let result = attempt(&mut transaction, job);
            if let Err(error) = &result
                && transaction.is_autocommit()
            {
                // SQLite has rolled back more than this job.
                return Err(error.clone());
            }
            results.push(result);
        }
        transaction.commit()?;
        if results.iter().any(Result::is_ok) {
            self.counts.commits.fetch_add(1, Relaxed);
            self.counts.latency.note(began.elapsed());
        }
        Ok(results)
    }

    /// Who no longer waits is not told.
    fn answer(&mut self, job: Job, result: Result<Did, LogError>) {
        match job {
            Job::Append { done, .. } => {
                self.counts.appends.fetch_add(u64::from(result.is_ok()), Relaxed);
                let _ = done.send(result.map(|did| did.seq));
            }
            Job::Snapshot { done, .. } | Job::Trim { done, .. } => match result {
                Ok(Did { left: Some(trim), .. }) => self.trims.push_back(Job::Trim { trim, done }),
                _ => drop(done.send(result.map(|_| ()))),
            },
            Job::Delivered { done, .. } | Job::Allow { done, .. } => drop(done.send(result.map(|_| ()))),
            Job::Scrub => {}
            Job::Close => self.jobs.close(),
        }
    }
}

/// A job that fails leaves nothing, and takes nothing of the others.
fn attempt(transaction: &mut Transaction<'_>, job: &Job) -> Result<Did, LogError> {
    let log = transaction.savepoint()?;
    let mut did = Did::default();
    match job {
        Job::Append {
            topic,
            expected,
            entries,
            redaction,
            ..
        } => {
            did.seq = keeping::append(&log, topic, *expected, entries)?;
            if let Some(redaction) = redaction {
                keeping::redact(&log, topic, did.seq, redaction)?;
            }
        }
        Job::Snapshot { snapshot, .. } => did.left = keeping::snapshot(&log, snapshot)?,
        Job::Delivered { forwards, .. } => keeping::remove_forwards(&log, forwards)?,
        Job::Trim { trim, .. } => did.left = keeping::bite(&log, *trim)?,
        Job::Allow { pages, .. } => log.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?,
        Job::Scrub | Job::Close => {}
    }
    log.commit()?;
    Ok(did)
}
