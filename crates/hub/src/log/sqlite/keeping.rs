//! What the writer does inside a transaction: appends, snapshots, and what retention takes away.
//! Knows no thread and no commit.

use rusqlite::{Connection, OptionalExtension as _, ToSql, types::ToSqlOutput, types::ValueRef};

use super::{answers, sql};
use crate::{
    limits,
    log::{End, Entry, Erased, ForwardKey, LogError, Millis, Redaction, Retention, chain, going},
};
use duplex_protocol::{
    cursor::{Check, Seq},
    topic::TopicName,
};

pub(super) struct Snapshot {
    pub topic: TopicName,
    pub seq: Seq,
    pub state: Vec<u8>,
    pub retention: Retention,
    pub now: Millis,
}

/// What a snapshot lets go; the same until it is done, whatever is appended meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Trim {
    topic: i64,
    seq: Seq,
    last: Seq,
    retention: Retention,
    now: Millis,
    /// The newest answer's place.
    answers: u64,
}

struct Topic {
    id: i64,
    last: Seq,
    answers: u64,
    refusals: u64,
    /// Of the log up to `last`.
    check: Option<Check>,
}

/// JSON as text, without a look at what SQLite does not look at either.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

pub(super) fn append(log: &Connection, name: &TopicName, expected: End, entries: &[Entry]) -> Result<Seq, LogError> {
    let mut topic = look_up(log, name)?;
    if !expected.is_at(topic.last, topic.check) {
        return Err(expected.conflict(topic.last));
    }
    let mut event = log
        .prepare_cached("INSERT INTO events (topic, seq, at, amends, event, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for entry in entries {
        let (at, first) = (sql(entry.at), topic.last + 1);
        for (amends, json) in &entry.events {
            topic.last += 1;
            topic.check = chain::next(topic.check, topic.last, json);
            let check = topic.check.map(Check::get);
            event.execute((topic.id, topic.last, at, amends.map(sql), Text(json), check))?;
        }
        match &entry.refused {
            None => {
                topic.answers += 1;
                answers::accept(log, topic.id, topic.answers, entry, topic.last)?;
            }
            Some(why) => {
                topic.refusals += 1;
                answers::refuse(log, topic.id, topic.refusals, entry, why)?;
            }
        }
        keep_forwards(log, topic.id, first, entry)?;
        remove_forwards(log, entry.delivers.as_slice())?;
    }
    let check = topic.check.map(Check::get);
    log.prepare_cached("UPDATE topics SET last = ?2, answers = ?3, refusals = ?4, chain = ?5 WHERE id = ?1")?
        .execute((topic.id, topic.last, topic.answers, topic.refusals, check))?;
    Ok(topic.last)
}

fn keep_forwards(log: &Connection, topic: i64, first: Seq, entry: &Entry) -> Result<(), LogError> {
    if entry.forwards.is_empty() {
        return Ok(());
    }
    let mut keep = log.prepare_cached(
        "INSERT INTO forwards (topic, seq, n, target, command, at, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for forward in &entry.forwards {
        let seq = first.saturating_add(forward.event as Seq);
        keep.execute((
            topic,
            sql(seq),
            forward.index,
            forward.to.as_str(),
            forward.command.as_str(),
            sql(entry.at),
            Text(&forward.payload),
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

/// Inside the transaction of the append that it belongs to, and after it: `last` is the newest event.
pub(super) fn redact(log: &Connection, name: &TopicName, last: Seq, redaction: &Redaction) -> Result<(), LogError> {
    let Topic { id, .. } = look_up(log, name)?;
    match &redaction.erased {
        Erased::Before(seq) => {
            note_gone(log, id, seq.saturating_sub(1))?;
            log.prepare_cached("DELETE FROM events WHERE topic = ?1 AND seq < ?2")?
                .execute((id, sql(*seq)))?;
            log.prepare_cached("DELETE FROM forwards WHERE topic = ?1 AND seq < ?2")?
                .execute((id, sql(*seq)))?;
        }
        Erased::Payloads(payloads) => {
            let mut overwrite = log.prepare_cached("UPDATE events SET event = ?3 WHERE topic = ?1 AND seq = ?2")?;
            let mut withdraw = log.prepare_cached("DELETE FROM forwards WHERE topic = ?1 AND seq = ?2")?;
            for (seq, payload) in payloads {
                overwrite.execute((id, sql(*seq), Text(payload)))?;
                withdraw.execute((id, sql(*seq)))?;
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

/// Before the events up to `newest` go: who has seen them, and no more, can still be told from who saw others.
fn note_gone(log: &Connection, topic: i64, newest: Seq) -> Result<(), LogError> {
    log.prepare_cached(
        "UPDATE topics SET gone = e.chain
         FROM (SELECT chain FROM events WHERE topic = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1) AS e WHERE id = ?1",
    )?
    .execute((topic, sql(newest)))?;
    Ok(())
}

/// Makes the topic if it is not there; a transaction that fails unmakes it.
fn look_up(log: &Connection, name: &TopicName) -> Result<Topic, LogError> {
    let known = log
        .prepare_cached("SELECT id, last, answers, refusals, chain FROM topics WHERE name = ?1")?
        .query_row([name.as_str()], |row| {
            Ok(Topic {
                id: row.get(0)?,
                last: row.get(1)?,
                answers: row.get(2)?,
                refusals: row.get(3)?,
                check: row.get::<_, Option<u32>>(4)?.and_then(Check::new),
            })
        })
        .optional()?;
    if let Some(topic) = known {
        return Ok(topic);
    }
    log.prepare_cached("INSERT INTO topics (name, last, answers) VALUES (?1, 0, 0)")?
        .execute([name.as_str()])?;
    Ok(Topic {
        id: log.last_insert_rowid(),
        last: 0,
        answers: 0,
        refusals: 0,
        check: None,
    })
}

/// Returns what is to be let go.
pub(super) fn snapshot(log: &Connection, asked: &Snapshot) -> Result<Option<Trim>, LogError> {
    let topic = look_up(log, &asked.topic)?;
    if asked.seq > topic.last {
        let (expected, last) = (asked.seq, topic.last);
        return Err(LogError::Conflict { expected, last });
    }
    let kept = log
        .prepare_cached(
            "INSERT INTO snapshots (topic, seq, state) VALUES (?1, ?2, ?3)
             ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq, state = excluded.state WHERE seq <= excluded.seq",
        )?
        .execute((topic.id, asked.seq, &asked.state))?;
    Ok((kept > 0).then_some(Trim {
        topic: topic.id,
        seq: asked.seq,
        last: topic.last,
        retention: asked.retention,
        now: asked.now,
        answers: topic.answers,
    }))
}

/// Lets go the next few rows, and returns what is left to do.
pub(super) fn bite(log: &Connection, trim: Trim) -> Result<Option<Trim>, LogError> {
    let event_goes = trim.retention.reaches(trim.seq, trim.last, trim.now);
    let events = Rows {
        before: note_gone,
        oldest: "SELECT seq, at, NULL FROM events WHERE topic = ?1 ORDER BY seq LIMIT ?2",
        remove: "DELETE FROM events WHERE topic = ?1 AND seq <= ?2",
    };
    let more_events = events.bite(log, trim.topic, trim.now, event_goes)?.more;
    let more_answers = answers::trim(log, trim.topic, trim.answers, trim.now)?;
    Ok((more_events || more_answers).then_some(trim))
}

/// Rows of a topic that are numbered in the order they came, and go in that order.
pub(super) struct Rows {
    /// Number, when it was kept, and the time that its id carries.
    pub oldest: &'static str,
    /// Called with the topic and the newest of those that go.
    pub before: fn(&Connection, i64, u64) -> Result<(), LogError>,
    pub remove: &'static str,
}

pub(super) struct Bite {
    /// More may have to go.
    pub more: bool,
    /// The newest time in an id of what went.
    pub time: Option<Millis>,
}

impl Rows {
    pub(super) fn bite(
        &self,
        log: &Connection,
        topic: i64,
        now: Millis,
        goes: impl Fn(u64, Millis) -> bool,
    ) -> Result<Bite, LogError> {
        let bite = limits::LOG_BITE;
        let mut oldest = log.prepare_cached(self.oldest)?;
        let rows = oldest.query_map((topic, sql(bite as u64)), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        let rows: Vec<(u64, Millis, Option<Millis>)> = rows.collect::<Result<_, _>>()?;
        let gone = going(rows.iter().map(|(number, at, _)| (*number, *at)), now, goes);
        if let Some((newest, ..)) = rows[..gone].last() {
            (self.before)(log, topic, *newest)?;
            log.prepare_cached(self.remove)?.execute((topic, sql(*newest)))?;
        }
        Ok(Bite {
            more: gone == bite,
            time: rows[..gone].iter().filter_map(|(.., time)| *time).max(),
        })
    }
}
