//! The stored answers to commands, and the newest timestamp among the ids whose answers were removed. Runs inside the caller's
//! transaction.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction};

use super::append::NumberedRows;
use super::sql;
use crate::limits;
use crate::log::{AcceptedCommand, Entry, LogError, Millis, RejectedCommand, millis};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{CommandId, Rejection};

/// The statement that stores the answers to accepted commands, prepared once per append.
pub(super) struct AcceptedInsert<'a>(CachedStatement<'a>);

impl<'a> AcceptedInsert<'a> {
    pub(super) fn prepare(log: &'a Connection) -> Result<Self, LogError> {
        Ok(Self(log.prepare_cached(
            "INSERT INTO answers (topic, n, command, person, seq, at, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?))
    }

    /// Stores the `n`-th answer of the topic.
    pub(super) fn execute(&mut self, topic: i64, n: u64, entry: &Entry, last: Seq) -> Result<(), LogError> {
        let time = entry.command.time().map(sql);
        let (command, person, at) = (entry.command.as_str(), &entry.sender.0, sql(entry.at));
        self.0.execute((topic, sql(n), command, person, sql(last), at, time))?;
        Ok(())
    }
}

/// Stores a rejection and removes the oldest ones, because a topic that only rejects stores no snapshots, which also remove old
/// answers.
pub(super) fn insert_rejected(
    log: &Connection,
    topic: i64,
    n: u64,
    entry: &Entry,
    rejection: &Rejection,
) -> Result<(), LogError> {
    let time = entry.command.time().map(sql);
    let (command, person, at) = (entry.command.as_str(), &entry.sender.0, sql(entry.at));
    let rejection = serde_json::to_string(rejection).map_err(|error| LogError::Unavailable(error.to_string()))?;
    log.prepare_cached(
        "INSERT INTO refusals (topic, n, command, person, why, at, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((topic, sql(n), command, person, rejection, at, time))?;
    let rejections = NumberedRows {
        before_remove: |_, _, _| Ok(()),
        oldest: "SELECT n, at, time FROM refusals WHERE topic = ?1 ORDER BY n LIMIT min(?2, 2)",
        remove: "DELETE FROM refusals WHERE topic = ?1 AND n <= ?2",
    };
    let removed = rejections.remove_batch(log, topic, Millis::MAX, removable(n, entry.at))?;
    raise_forgotten(log, topic, removed.time)
}

/// Removes the next few old answers to accepted commands; `n` is the newest. Returns whether more may have to be removed.
pub(super) fn remove_old_answers(log: &Connection, topic: i64, n: u64, now: Millis) -> Result<bool, LogError> {
    let answers = NumberedRows {
        before_remove: |_, _, _| Ok(()),
        oldest: "SELECT n, at, time FROM answers WHERE topic = ?1 ORDER BY n LIMIT ?2",
        remove: "DELETE FROM answers WHERE topic = ?1 AND n <= ?2",
    };
    let removed = answers.remove_batch(log, topic, Millis::MAX, removable(n, now))?;
    raise_forgotten(log, topic, removed.time)?;
    Ok(removed.more)
}

fn removable(newest: u64, now: Millis) -> impl Fn(u64, Millis) -> bool {
    let surplus = newest.saturating_sub(limits::DEDUPE_ENTRIES as u64);
    let too_old = now.saturating_sub(millis(limits::DEDUPE_AGE));
    move |n, at| n <= surplus || at < too_old
}

/// Raises `forgotten` to the timestamp of a deleted answer's id, in the same transaction.
fn raise_forgotten(log: &Connection, topic: i64, time: Option<Millis>) -> Result<(), LogError> {
    if let Some(time) = time.map(sql) {
        log.prepare_cached("UPDATE topics SET forgotten = max(ifnull(forgotten, ?2), ?2) WHERE id = ?1")?
            .execute((topic, time))?;
    }
    Ok(())
}

pub(super) struct StoredAnswers {
    pub commands: Vec<AcceptedCommand>,
    pub rejections: Vec<RejectedCommand>,
    pub forgotten: Option<Millis>,
}

/// Reads the answers of a topic; `topic` is `None` for a topic without a row.
pub(super) fn open(
    log: &Transaction<'_>,
    topic: Option<i64>,
    limit: usize,
    since: Millis,
) -> Result<StoredAnswers, LogError> {
    let accepted = newest::<Seq>(
        log,
        "SELECT n, person, command, seq FROM answers WHERE topic = ?1 AND (at >= ?2 OR time IS NOT NULL)
         ORDER BY n DESC LIMIT ?3",
        "SELECT max(time) FROM answers WHERE topic = ?1 AND n < ?2",
        (topic, limit, since),
    )?;
    let rejected = newest::<String>(
        log,
        "SELECT n, person, command, why FROM refusals WHERE topic = ?1 AND (at >= ?2 OR time IS NOT NULL)
         ORDER BY n DESC LIMIT ?3",
        "SELECT max(time) FROM refusals WHERE topic = ?1 AND n < ?2",
        (topic, limit, since),
    )?;
    let forgotten: Option<Option<Millis>> = log
        .prepare_cached("SELECT forgotten FROM topics WHERE id = ?1")?
        .query_row([topic], |row| row.get(0))
        .optional()?;
    let accepted_command = |(sender, command, seq)| AcceptedCommand { sender, command, seq };
    let rejected_command = |(sender, command, json): (_, _, String)| {
        let rejection = serde_json::from_str(&json).map_err(|error| LogError::Unavailable(error.to_string()))?;
        Ok(RejectedCommand {
            sender,
            command,
            rejection,
        })
    };
    Ok(StoredAnswers {
        commands: accepted.rows.into_iter().map(accepted_command).collect(),
        rejections: rejected
            .rows
            .into_iter()
            .map(rejected_command)
            .collect::<Result<_, LogError>>()?,
        forgotten: forgotten.flatten().max(accepted.omitted).max(rejected.omitted),
    })
}

struct Newest<T> {
    /// Oldest first.
    rows: Vec<(PersonId, CommandId, T)>,
    /// The newest timestamp in an id of the rows before them.
    omitted: Option<Millis>,
}

fn newest<T: rusqlite::types::FromSql>(
    log: &Transaction<'_>,
    newest: &str,
    before: &str,
    (topic, limit, since): (Option<i64>, usize, Millis),
) -> Result<Newest<T>, LogError> {
    let mut select = log.prepare_cached(newest)?;
    let found = select.query_map((topic, sql(since), sql(limit as u64)), |row| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let (mut rows, mut first) = (Vec::new(), i64::MAX);
    for row in found {
        let (n, person, command, value): (i64, String, String, T) = row?;
        let command = CommandId::try_from(command).map_err(|error| LogError::Unavailable(error.to_string()))?;
        rows.push((PersonId(person), command, value));
        first = n;
    }
    rows.reverse();
    let omitted = match rows.len() < limit {
        true => None,
        false => log
            .prepare_cached(before)?
            .query_row((topic, first), |row| row.get(0))?,
    };
    Ok(Newest { rows, omitted })
}
