//! Appends, redactions, snapshots and retention. Runs inside the caller's write transaction.
//!
//! A conflict is detected before the first write: a job that returns [`LogError::Conflict`] has changed nothing.

use rusqlite::{Connection, OptionalExtension as _, ToSql, types::ToSqlOutput, types::ValueRef};

use super::{answers, sql};
use crate::{
    limits,
    log::{
        AnswerCounts, Entry, ForwardKey, LogEnd, LogError, Millis, RedactedEvents, RedactionWrite, Retention, chain,
        count_removable, snapshot::Snapshot,
    },
};
use duplex_protocol::{
    cursor::{Checksum, Seq},
    topic::TopicName,
};

/// Pending retention work of a snapshot. Its bounds are fixed when the snapshot is stored.
#[derive(Clone, Copy)]
pub(super) struct RetentionJob {
    topic: i64,
    seq: Seq,
    last: Seq,
    retention: Retention,
    now: Millis,
    /// The number of the newest answer.
    last_answer: u64,
}

struct Topic {
    id: i64,
    last: Seq,
    answers: AnswerCounts,
    /// The checksum of the log up to `last`.
    checksum: Option<Checksum>,
}

/// JSON bytes bound as SQLite `TEXT` without UTF-8 validation; SQLite does not validate either.
struct JsonText<'a>(&'a [u8]);

impl ToSql for JsonText<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

pub(super) fn append(log: &Connection, name: &TopicName, expected: LogEnd, entries: &[Entry]) -> Result<Seq, LogError> {
    let known = find(log, name)?;
    let (last, checksum, answers) = known
        .as_ref()
        .map_or_else(Default::default, |topic| (topic.last, topic.checksum, topic.answers));
    if !expected.is_at(last, checksum, answers) {
        return Err(expected.conflict(last));
    }
    let mut topic = known.map_or_else(|| create(log, name), Ok)?;
    let mut event = log
        .prepare_cached("INSERT INTO events (topic, seq, at, amends, event, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut accepted = answers::AcceptedInsert::prepare(log)?;
    for entry in entries {
        let (at, first) = (sql(entry.at), topic.last + 1);
        for (amends, json) in &entry.events {
            topic.last += 1;
            topic.checksum = chain::next_checksum(topic.checksum, topic.last, json);
            let checksum = topic.checksum.map(Checksum::get);
            event.execute((topic.id, topic.last, at, amends.map(sql), JsonText(json), checksum))?;
        }
        match &entry.rejection {
            None => {
                topic.answers.accepted += 1;
                accepted.execute(topic.id, topic.answers.accepted, entry, topic.last)?;
            }
            Some(rejection) => {
                topic.answers.rejected += 1;
                answers::insert_rejected(log, topic.id, topic.answers.rejected, entry, rejection)?;
            }
        }
        insert_forwards(log, topic.id, first, entry)?;
        remove_forwards(log, entry.delivers.as_slice())?;
    }
    let checksum = topic.checksum.map(Checksum::get);
    log.prepare_cached("UPDATE topics SET last = ?2, answers = ?3, refusals = ?4, chain = ?5 WHERE id = ?1")?
        .execute((
            topic.id,
            topic.last,
            topic.answers.accepted,
            topic.answers.rejected,
            checksum,
        ))?;
    Ok(topic.last)
}

fn insert_forwards(log: &Connection, topic: i64, first: Seq, entry: &Entry) -> Result<(), LogError> {
    if entry.forwards.is_empty() {
        return Ok(());
    }
    let mut insert = log.prepare_cached(
        "INSERT INTO forwards (topic, seq, n, target, command, at, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for forward in &entry.forwards {
        let seq = first.saturating_add(forward.event as Seq);
        insert.execute((
            topic,
            sql(seq),
            forward.index,
            forward.to.as_str(),
            forward.command.as_str(),
            sql(entry.at),
            JsonText(&forward.payload),
        ))?;
    }
    Ok(())
}

pub(super) fn remove_forwards(log: &Connection, forwards: &[ForwardKey]) -> Result<(), LogError> {
    if forwards.is_empty() {
        return Ok(());
    }
    let mut remove = log.prepare_cached(
        "DELETE FROM forwards WHERE topic = (SELECT id FROM topics WHERE name = ?1) AND seq = ?2 AND n = ?3",
    )?;
    for ForwardKey { from, seq, index } in forwards {
        remove.execute((from.as_str(), sql(*seq), index))?;
    }
    Ok(())
}

/// Executes a redaction, inside the transaction of its append and after it: `last` is the newest event.
pub(super) fn redact(
    log: &Connection,
    name: &TopicName,
    last: Seq,
    redaction: &RedactionWrite,
) -> Result<(), LogError> {
    let Topic { id, .. } = find(log, name)?.map_or_else(|| create(log, name), Ok)?;
    match &redaction.redacted {
        RedactedEvents::Before(seq) => {
            store_removed_checksum(log, id, seq.saturating_sub(1))?;
            log.prepare_cached("DELETE FROM events WHERE topic = ?1 AND seq < ?2")?
                .execute((id, sql(*seq)))?;
            log.prepare_cached("DELETE FROM forwards WHERE topic = ?1 AND seq < ?2")?
                .execute((id, sql(*seq)))?;
        }
        RedactedEvents::Payloads(payloads) => {
            let mut overwrite = log.prepare_cached("UPDATE events SET event = ?3 WHERE topic = ?1 AND seq = ?2")?;
            let mut delete_forwards = log.prepare_cached("DELETE FROM forwards WHERE topic = ?1 AND seq = ?2")?;
            for (seq, payload) in payloads {
                overwrite.execute((id, sql(*seq), JsonText(payload)))?;
                delete_forwards.execute((id, sql(*seq)))?;
            }
        }
    }
    log.prepare_cached(
        "INSERT INTO snapshots (topic, seq, state) VALUES (?1, ?2, ?3)
         ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq, state = excluded.state",
    )?
    .execute((id, sql(last), &redaction.state))?;
    Ok(())
}

/// Stores the checksum of the event `newest` before the events up to it are removed, so that a cursor at that event can still be
/// verified.
fn store_removed_checksum(log: &Connection, topic: i64, newest: Seq) -> Result<(), LogError> {
    log.prepare_cached(
        "UPDATE topics SET gone = e.chain
         FROM (SELECT chain FROM events WHERE topic = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1) AS e WHERE id = ?1",
    )?
    .execute((topic, sql(newest)))?;
    Ok(())
}

fn find(log: &Connection, name: &TopicName) -> Result<Option<Topic>, LogError> {
    let found = log
        .prepare_cached("SELECT id, last, answers, refusals, chain FROM topics WHERE name = ?1")?
        .query_row([name.as_str()], |row| {
            Ok(Topic {
                id: row.get(0)?,
                last: row.get(1)?,
                answers: AnswerCounts {
                    accepted: row.get(2)?,
                    rejected: row.get(3)?,
                },
                checksum: row.get::<_, Option<u32>>(4)?.and_then(Checksum::new),
            })
        })
        .optional()?;
    Ok(found)
}

/// Creates a topic without events; a transaction that fails removes it again.
fn create(log: &Connection, name: &TopicName) -> Result<Topic, LogError> {
    log.prepare_cached("INSERT INTO topics (name, last, answers) VALUES (?1, 0, 0)")?
        .execute([name.as_str()])?;
    Ok(Topic {
        id: log.last_insert_rowid(),
        last: 0,
        answers: AnswerCounts::default(),
        checksum: None,
    })
}

/// Stores a snapshot. Returns its retention work.
pub(super) fn snapshot(log: &Connection, request: &Snapshot) -> Result<Option<RetentionJob>, LogError> {
    let known = find(log, &request.topic)?;
    let last = known.as_ref().map_or(0, |topic| topic.last);
    if request.seq > last {
        let expected = request.seq;
        return Err(LogError::Conflict { expected, last });
    }
    let topic = known.map_or_else(|| create(log, &request.topic), Ok)?;
    let stored = log
        .prepare_cached(
            "INSERT INTO snapshots (topic, seq, state) VALUES (?1, ?2, ?3)
             ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq, state = excluded.state WHERE seq <= excluded.seq",
        )?
        .execute((topic.id, request.seq, &request.state))?;
    Ok((stored > 0).then_some(RetentionJob {
        topic: topic.id,
        seq: request.seq,
        last: topic.last,
        retention: request.retention,
        now: request.now,
        last_answer: topic.answers.accepted,
    }))
}

/// Removes the next few rows. Returns the remaining work.
pub(super) fn remove_batch(log: &Connection, job: RetentionJob) -> Result<Option<RetentionJob>, LogError> {
    let is_removable = job.retention.removable(job.seq, job.last, job.now);
    let events = NumberedRows {
        before_remove: store_removed_checksum,
        oldest: "SELECT seq, at, NULL FROM events WHERE topic = ?1 ORDER BY seq LIMIT ?2",
        remove: "DELETE FROM events WHERE topic = ?1 AND seq <= ?2",
    };
    let more_events = events.remove_batch(log, job.topic, job.now, is_removable)?.more;
    let more_answers = answers::remove_old_answers(log, job.topic, job.last_answer, job.now)?;
    Ok((more_events || more_answers).then_some(job))
}

/// A table whose rows are numbered by insertion, for each topic, and removed oldest first.
pub(super) struct NumberedRows {
    /// Selects the number, the time of insertion, and the time in the id.
    pub oldest: &'static str,
    /// Called with the topic and the newest of the removed rows.
    pub before_remove: fn(&Connection, i64, u64) -> Result<(), LogError>,
    pub remove: &'static str,
}

pub(super) struct Removed {
    /// Whether more rows may have to be removed.
    pub more: bool,
    /// The newest timestamp in an id of the removed rows.
    pub time: Option<Millis>,
}

impl NumberedRows {
    pub(super) fn remove_batch(
        &self,
        log: &Connection,
        topic: i64,
        now: Millis,
        is_removable: impl Fn(u64, Millis) -> bool,
    ) -> Result<Removed, LogError> {
        let batch = limits::RETENTION_BATCH;
        let mut oldest = log.prepare_cached(self.oldest)?;
        let rows = oldest.query_map((topic, sql(batch as u64)), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        let rows: Vec<(u64, Millis, Option<Millis>)> = rows.collect::<Result<_, _>>()?;
        let removable = count_removable(rows.iter().map(|(number, at, _)| (*number, *at)), now, is_removable);
        if let Some((newest, ..)) = rows[..removable].last() {
            (self.before_remove)(log, topic, *newest)?;
            log.prepare_cached(self.remove)?.execute((topic, sql(*newest)))?;
        }
        Ok(Removed {
            more: removable == batch,
            time: rows[..removable].iter().filter_map(|(.., time)| *time).max(),
        })
    }
}
