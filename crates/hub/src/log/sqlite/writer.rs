//! The writer: a thread that commits all queued jobs together and answers them after the commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::append::{self, RetentionJob};
use super::database::Locks;
use super::size_limit::SizeLimit;
use super::{LogCounters, database};
use crate::{
    limits,
    log::{Entry, ForwardKey, LogEnd, LogError, RedactionWrite, snapshot::Snapshot},
};
use duplex_protocol::{cursor::Seq, topic::TopicName};

pub(super) type Reply<T> = oneshot::Sender<Result<T, LogError>>;

pub(super) enum Job {
    Append {
        topic: TopicName,
        expected: LogEnd,
        entries: Vec<Entry>,
        redaction: Option<RedactionWrite>,
        reply: Reply<Seq>,
    },
    Snapshot {
        snapshot: Snapshot,
        reply: Reply<()>,
    },
    /// Removes delivered forwards.
    RemoveForwards {
        forwards: Vec<ForwardKey>,
        reply: Reply<()>,
    },
    /// The remaining retention work of a snapshot; queued by the writer itself, one batch per commit.
    Retention {
        job: RetentionJob,
        reply: Reply<()>,
    },
    /// Retries to truncate the WAL, which a reader blocked.
    Scrub,
    /// Sets the maximum number of pages of the file.
    SetMaxPages {
        pages: u32,
        reply: Reply<()>,
    },
    /// Closes the queue after this job.
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
            Self::RemoveForwards { .. }
            | Self::Retention { .. }
            | Self::Scrub
            | Self::SetMaxPages { .. }
            | Self::Close => 0,
        }
    }

    const fn needs_scrub(&self) -> bool {
        matches!(self, Self::Append { redaction: Some(_), .. } | Self::Scrub)
    }

    /// The approximate growth of the file; `None` for a job that must run even when the file is at its limit.
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

/// The result of a job, if its commit succeeds.
#[derive(Default)]
struct JobResult {
    seq: Seq,
    remaining: Option<RetentionJob>,
}

type JobOutcome = Result<JobResult, LogError>;

pub(super) struct Writer {
    pub connection: Connection,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) retention_jobs: VecDeque<Job>,
    /// The number of jobs of the last batch.
    pub last_batch: usize,
    pub counters: Arc<LogCounters>,
    pub size_limit: Arc<SizeLimit>,
    /// For jobs that the writer queues for itself.
    pub self_sender: mpsc::WeakSender<Job>,
    /// The last reported failure.
    pub last_error: Option<LogError>,
    /// Released when the connection is closed.
    pub locks: Locks,
    /// Dropped last: the log is closed then.
    pub ended: watch::Sender<()>,
}

impl Writer {
    /// Runs until the log is closed or dropped and no job is left.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            let process = AssertUnwindSafe(|| self.process(batch));
            if catch_unwind(process).is_err() {
                // The transaction was rolled back, and the callers get an error because their senders were dropped.
                tracing::error!("the log writer panicked in a batch and continues with the next");
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!("the log file was not closed cleanly: {error}");
        }
        drop(self.locks);
        drop(self.ended);
    }

    /// The queued jobs; `None` when the queue is closed and empty.
    fn next_batch(&mut self) -> Option<Vec<Job>> {
        let first = match self.retention_jobs.pop_front() {
            Some(job) => job,
            None => self.jobs.blocking_recv()?,
        };
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        self.take_queued(&mut batch, &mut bytes);
        // A thread that waits for this core may have more jobs: it runs first, until none are added. A lone caller does not wait.
        while self.last_batch > 1 {
            let jobs = batch.len();
            thread::yield_now();
            self.take_queued(&mut batch, &mut bytes);
            if batch.len() == jobs {
                break;
            }
        }
        self.last_batch = batch.len();
        Some(batch)
    }

    fn take_queued(&mut self, batch: &mut Vec<Job>, bytes: &mut usize) {
        while batch.len() < limits::sqlite::LOG_BATCH
            && *bytes < limits::sqlite::LOG_BATCH_BYTES
            && let Ok(job) = self.jobs.try_recv()
        {
            *bytes += job.bytes();
            batch.push(job);
        }
    }

    fn process(&mut self, batch: Vec<Job>) {
        let (batch, rejected) = self.split_by_space(batch);
        if !rejected.is_empty() {
            self.report(Some(LogError::Full));
        }
        let any_rejected = !rejected.is_empty();
        for job in rejected {
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
                    .any(|(job, result)| job.needs_scrub() && result.is_ok())
                {
                    self.scrub();
                }
                let failure = any_rejected.then_some(LogError::Full);
                self.report(failure.or_else(|| {
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
                self.report(Some(error.clone()));
                for job in batch {
                    self.answer(job, Err(error.clone()));
                }
            }
        }
    }

    /// Splits the jobs into those that fit into the free space and those that do not. Jobs that free space, or need none, are
    /// always accepted.
    fn split_by_space(&self, batch: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
        let needed = batch.iter().filter_map(Job::growth).sum();
        if needed == 0 {
            return (batch, Vec::new());
        }
        let mut free = self.size_limit.available(&self.connection, needed);
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

    /// Truncates the WAL, which still contains redacted data. Readers block this briefly; it is retried while a long read such as a
    /// backup is running.
    fn scrub(&self) {
        match database::truncate_wal(&self.connection) {
            Ok(true) => {}
            Ok(false) => self.scrub_later(),
            Err(error) => tracing::warn!("redacted data stays in the WAL until the log is closed: {error}"),
        }
    }

    fn scrub_later(&self) {
        let self_sender = self.self_sender.clone();
        let thread = thread::Builder::new().name("log-scrub".to_owned());
        let started = thread.spawn(move || {
            thread::sleep(limits::sqlite::SCRUB_PAUSE);
            // A log that was closed meanwhile has no WAL.
            if let Some(jobs) = self_sender.upgrade() {
                let _ = jobs.blocking_send(Job::Scrub);
            }
        });
        if let Err(error) = started {
            tracing::warn!("redacted data stays in the WAL until the next checkpoint: {error}");
        }
    }

    /// Logs a failure when it starts and when it ends, because it may last for thousands of batches.
    fn report(&mut self, failure: Option<LogError>) {
        if self.last_error != failure {
            match &failure {
                Some(error) => tracing::error!("the log cannot store appends: {error}"),
                None => tracing::info!("the log accepts appends again"),
            }
            self.last_error = failure;
        }
    }

    /// Commits the batch. All successful jobs are then on the disk; an error means that the whole batch failed.
    fn commit(&mut self, batch: &[Job]) -> Result<Vec<JobOutcome>, LogError> {
        let began = Instant::now();
        let results = match self.commit_together(batch)? {
            Some(results) => results,
            None => self.commit_in_savepoints(batch)?,
        };
        if results.iter().any(Result::is_ok) {
            self.counters.commits.fetch_add(1, Relaxed);
            self.counters.latency.record(began.elapsed());
        }
        Ok(results)
    }

    fn begin(&mut self) -> Result<Transaction<'_>, LogError> {
        Ok(self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// Commits the batch without savepoints, which copy each page that a job changes. A conflict changes nothing and fails its job
    /// alone; `None` after any other failure, which rolls back the batch.
    fn commit_together(&mut self, batch: &[Job]) -> Result<Option<Vec<JobOutcome>>, LogError> {
        let transaction = self.begin()?;
        let mut results = Vec::with_capacity(batch.len());
        for job in batch {
            match run(&transaction, job) {
                Err(error) if !matches!(error, LogError::Conflict { .. }) => return Ok(None),
                result => results.push(result),
            }
        }
        transaction.commit()?;
        Ok(Some(results))
    }

    /// Commits the batch with a savepoint for each job: a job that fails leaves no change and does not affect the others.
    fn commit_in_savepoints(&mut self, batch: &[Job]) -> Result<Vec<JobOutcome>, LogError> {
        let mut transaction = self.begin()?;
        let mut results = Vec::with_capacity(batch.len());
        for job in batch {
            let result = run_in_savepoint(&mut transaction, job);
            if let Err(error) = &result
                && transaction.is_autocommit()
            {
                // SQLite rolled back the whole transaction.
                return Err(error.clone());
            }
            results.push(result);
        }
        transaction.commit()?;
        Ok(results)
    }

    /// Answers a job. A caller that was dropped gets no answer.
    fn answer(&mut self, job: Job, result: JobOutcome) {
        match job {
            Job::Append { reply, .. } => {
                self.counters.appends.fetch_add(u64::from(result.is_ok()), Relaxed);
                let _ = reply.send(result.map(|result| result.seq));
            }
            Job::Snapshot { reply, .. } | Job::Retention { reply, .. } => match result {
                Ok(JobResult {
                    remaining: Some(job), ..
                }) => self.retention_jobs.push_back(Job::Retention { job, reply }),
                _ => drop(reply.send(result.map(|_| ()))),
            },
            Job::RemoveForwards { reply, .. } | Job::SetMaxPages { reply, .. } => drop(reply.send(result.map(|_| ()))),
            Job::Scrub => {}
            Job::Close => self.jobs.close(),
        }
    }
}

fn run_in_savepoint(transaction: &mut Transaction<'_>, job: &Job) -> JobOutcome {
    let savepoint = transaction.savepoint()?;
    let result = run(&savepoint, job)?;
    savepoint.commit()?;
    Ok(result)
}

fn run(log: &Connection, job: &Job) -> JobOutcome {
    let mut result = JobResult::default();
    match job {
        Job::Append {
            topic,
            expected,
            entries,
            redaction,
            ..
        } => {
            result.seq = append::append(log, topic, *expected, entries)?;
            if let Some(redaction) = redaction {
                append::redact(log, topic, result.seq, redaction)?;
            }
        }
        Job::Snapshot { snapshot, .. } => {
            if let Some(job) = append::snapshot(log, snapshot)? {
                result.remaining = append::remove_batch(log, job)?;
            }
        }
        Job::RemoveForwards { forwards, .. } => append::remove_forwards(log, forwards)?,
        Job::Retention { job, .. } => result.remaining = append::remove_batch(log, *job)?,
        Job::SetMaxPages { pages, .. } => log.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?,
        Job::Scrub | Job::Close => {}
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};

    use super::*;
    use duplex_protocol::person::PersonId;
    use duplex_protocol::session::CommandId;

    fn writer() -> (TempDir, Writer, mpsc::Sender<Job>) {
        let dir = tempdir().unwrap();
        let store = database::open(&dir.path().join("log")).unwrap();
        let (sender, jobs) = mpsc::channel(1);
        let writer = Writer {
            connection: store.connection,
            jobs,
            retention_jobs: VecDeque::new(),
            last_batch: 1,
            counters: Arc::default(),
            size_limit: Arc::new(SizeLimit::new(store.path)),
            self_sender: sender.downgrade(),
            last_error: None,
            locks: store.locks,
            ended: watch::channel(()).0,
        };
        (dir, writer, sender)
    }

    fn append(topic: &str, expected: Seq) -> Job {
        let entry = Entry {
            command: CommandId::from_bits(1),
            sender: PersonId("0a".to_owned()),
            at: 0,
            events: vec![(None, b"{}".to_vec()); 2],
            rejection: None,
            forwards: Vec::new(),
            delivers: None,
        };
        Job::Append {
            topic: topic.parse().unwrap(),
            expected: expected.into(),
            entries: vec![entry],
            redaction: None,
            reply: oneshot::channel().0,
        }
    }

    #[test]
    fn a_failed_job_leaves_no_change_and_does_not_affect_the_others() {
        let (_dir, mut writer, _sender) = writer();
        // The second event of this topic cannot be inserted.
        let broken = "INSERT INTO topics (id, name, last, answers) VALUES (7, 'chat/broken', 0, 0);
                      INSERT INTO events (topic, seq, at, event) VALUES (7, 2, 0, '{}');";
        writer.connection.execute_batch(broken).unwrap();
        let rows = |writer: &Writer| {
            let count =
                "SELECT (SELECT count(*) FROM topics), (SELECT count(*) FROM events), (SELECT count(*) FROM answers)";
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            writer.connection.query_row(count, (), row).unwrap()
        };
        let results = writer
            .commit(&[append("chat/a", 0), append("chat/conflict", 5)])
            .unwrap();
        assert!(matches!(
            &*results,
            [Ok(JobResult { seq: 2, .. }), Err(LogError::Conflict { .. })]
        ));
        assert_eq!(rows(&writer), (2, 3, 1));
        let batch = [
            append("chat/a", 2),
            append("chat/broken", 0),
            append("chat/conflict", 5),
            append("chat/b", 0),
        ];
        let results = writer.commit(&batch).unwrap();
        assert!(matches!(
            &*results,
            [
                Ok(JobResult { seq: 4, .. }),
                Err(LogError::Unavailable(_)),
                Err(LogError::Conflict { .. }),
                Ok(JobResult { seq: 2, .. })
            ]
        ));
        assert_eq!(rows(&writer), (3, 7, 3));
    }
}
