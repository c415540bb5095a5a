//! Read queries of the log, and the pool of read-only connections. They see committed data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{answers, database, sql};
use crate::limits;
use crate::lock;
use crate::log::{
    AnswerCounts, ForwardKey, Head, History, KindStats, LogError, Millis, PendingForward, Record, StartData,
};
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

/// A pool of read-only connections, opened on demand.
pub(super) struct ReadPool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl ReadPool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(limits::sqlite::LOG_READERS)),
        }
    }

    /// Runs `read` in one transaction, so that all of its queries see the same data.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let permit = self
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| super::closed())?;
        let readers = self.clone();
        let reading = spawn_blocking(move || {
            let _permit = permit;
            let mut connection = readers.acquire()?;
            let result = read(&connection.transaction()?);
            readers.idle().push(connection);
            result
        });
        reading
            .await
            .unwrap_or_else(|failed| Err(LogError::Unavailable(failed.to_string())))
    }

    /// Completes when the last read has ended.
    pub(super) async fn close(&self) {
        let all = u32::try_from(limits::sqlite::LOG_READERS).unwrap_or(u32::MAX);
        let permits = self.permits.acquire_many(all).await;
        self.permits.close();
        self.idle().clear();
        drop(permits);
    }

    fn acquire(&self) -> rusqlite::Result<Connection> {
        let idle = self.idle().pop();
        idle.map_or_else(|| database::connect_reader(&self.path), Ok)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        lock::lock(&self.idle)
    }
}

/// The id and the head of a topic. A topic without events has no id.
fn look_up(log: &Transaction<'_>, topic: &TopicName, epoch: Epoch) -> Result<(Option<i64>, Head), LogError> {
    let row = log
        .prepare_cached("SELECT id, last, chain, answers, refusals FROM topics WHERE name = ?1")?
        .query_row([topic.as_str()], |row| {
            let answers = AnswerCounts {
                accepted: row.get(3)?,
                rejected: row.get(4)?,
            };
            Ok((Some(row.get(0)?), row.get(1)?, checksum_of(row, 2)?, answers))
        })
        .optional()?;
    let (id, last, checksum, answers): (Option<i64>, Seq, _, _) = row.unwrap_or_default();
    let first = log
        .prepare_cached("SELECT seq FROM events WHERE topic = ?1 ORDER BY seq LIMIT 1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let first = first.unwrap_or(last + 1);
    let head = Head {
        epoch,
        first,
        last,
        checksum,
        answers,
    };
    Ok((id, head))
}

fn checksum_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Checksum>> {
    Ok(row.get::<_, Option<u32>>(column)?.and_then(Checksum::new))
}

/// The checksum of a stored event, or of the newest removed one.
pub(super) fn checksum(
    log: &Transaction<'_>,
    topic: &TopicName,
    epoch: Epoch,
    seq: Seq,
) -> Result<Option<Checksum>, LogError> {
    let (id, head) = look_up(log, topic, epoch)?;
    if seq == head.last {
        return Ok(head.checksum);
    }
    let found = if seq.saturating_add(1) == head.first {
        log.prepare_cached("SELECT gone FROM topics WHERE id = ?1")?
            .query_row([id], |row| checksum_of(row, 0))
            .optional()?
    } else {
        log.prepare_cached("SELECT chain FROM events WHERE topic = ?1 AND seq = ?2")?
            .query_row((id, sql(seq)), |row| checksum_of(row, 0))
            .optional()?
    };
    Ok(found.flatten())
}

pub(super) fn open(
    log: &Transaction<'_>,
    topic: &TopicName,
    epoch: Epoch,
    commands: usize,
    since: Millis,
) -> Result<StartData, LogError> {
    let (id, head) = look_up(log, topic, epoch)?;
    let snapshot = log
        .prepare_cached("SELECT seq, state FROM snapshots WHERE topic = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let known = answers::open(log, id, commands, since)?;
    Ok(StartData {
        head,
        snapshot,
        commands: known.commands,
        rejections: known.rejections,
        forgotten: known.forgotten,
    })
}

pub(super) fn with_amendments(
    log: &Transaction<'_>,
    topic: &TopicName,
    events: &[Seq],
) -> Result<Vec<Record>, LogError> {
    let mut event = log.prepare_cached(
        "SELECT seq, at, amends, chain, event FROM events
         WHERE topic = (SELECT id FROM topics WHERE name = ?1) AND seq = ?2",
    )?;
    let mut amendments = log.prepare_cached(
        "SELECT seq, at, amends, chain, event FROM events
         WHERE topic = (SELECT id FROM topics WHERE name = ?1) AND amends IS NOT NULL AND amends = ?2",
    )?;
    let mut records = BTreeMap::new();
    for seq in events {
        for statement in [&mut event, &mut amendments] {
            for row in statement.query_map((topic.as_str(), sql(*seq)), record)? {
                let record = row?;
                records.insert(record.seq, record);
            }
        }
    }
    Ok(records.into_values().collect())
}

pub(super) fn read(
    log: &Transaction<'_>,
    topic: &TopicName,
    after: Seq,
    limit: usize,
) -> Result<Vec<Record>, LogError> {
    let records = log
        .prepare_cached(
            "SELECT seq, at, amends, chain, event FROM events
             WHERE topic = (SELECT id FROM topics WHERE name = ?1) AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?
        .query_map((topic.as_str(), sql(after), sql(limit as u64)), record)?
        .collect::<Result<_, _>>()?;
    Ok(records)
}

pub(super) fn history(
    log: &Transaction<'_>,
    topic: &TopicName,
    epoch: Epoch,
    before: Seq,
    limit: usize,
) -> Result<History, LogError> {
    let (id, head) = look_up(log, topic, epoch)?;
    // One more row than requested shows whether there is an earlier one.
    let mut records: Vec<Record> = log
        .prepare_cached(
            "SELECT seq, at, amends, chain, event FROM events
             WHERE topic = ?1 AND seq < ?2 AND amends IS NULL ORDER BY seq DESC LIMIT ?3",
        )?
        .query_map((id, sql(before), sql(limit as u64).saturating_add(1)), record)?
        .collect::<Result<_, _>>()?;
    let reaches_start = records.len() <= limit;
    records.truncate(limit);
    let page: BTreeSet<Seq> = records.iter().map(|record| record.seq).collect();
    if let (Some(oldest), Some(newest)) = (page.first(), page.last()) {
        let mut amendments = log.prepare_cached(
            "SELECT seq, at, amends, chain, event FROM events
             WHERE topic = ?1 AND amends IS NOT NULL AND amends BETWEEN ?2 AND ?3",
        )?;
        for amendment in amendments.query_map((id, sql(*oldest), sql(*newest)), record)? {
            let amendment = amendment?;
            if amendment.amends.is_some_and(|amended| page.contains(&amended)) {
                records.push(amendment);
            }
        }
    }
    records.sort_unstable_by_key(|record| record.seq);
    Ok(History {
        records,
        reaches_start,
        head,
    })
}

/// Reads the whole outbox at once: the hub bounds its size.
pub(super) fn forwards(log: &Transaction<'_>, from: Option<&TopicName>) -> Result<Vec<PendingForward>, LogError> {
    let from = from.map(TopicName::as_str);
    let mut statement = log.prepare_cached(
        "SELECT name, seq, n, target, command, at, payload FROM forwards JOIN topics ON topics.id = forwards.topic
         WHERE ?1 IS NULL OR forwards.topic = (SELECT id FROM topics WHERE name = ?1) ORDER BY name, seq, n",
    )?;
    let rows = statement.query_map([from], |row| {
        let texts: [String; 3] = [row.get(0)?, row.get(3)?, row.get(4)?];
        let payload = row.get_ref(6)?.as_bytes()?.to_vec();
        Ok((texts, row.get(1)?, row.get(2)?, row.get(5)?, payload))
    })?;
    rows.map(|row| {
        let ([from, to, command], seq, index, at, payload) = row?;
        let unreadable = |error: &dyn std::fmt::Display| LogError::Unavailable(error.to_string());
        let key = ForwardKey {
            from: from.parse().map_err(|error| unreadable(&error))?,
            seq,
            index,
        };
        Ok(PendingForward {
            key,
            to: to.parse().map_err(|error| unreadable(&error))?,
            command: CommandId::try_from(command).map_err(|error| unreadable(&error))?,
            at,
            payload,
        })
    })
    .collect()
}

pub(super) fn topics(log: &Transaction<'_>, kind: &str) -> Result<Vec<TopicName>, LogError> {
    // '0' is the character after '/'.
    log.prepare_cached(
        "SELECT name FROM topics WHERE name >= ?1 || '/' AND name < ?1 || '0' AND last > 0 ORDER BY name",
    )?
    .query_map([kind], |row| row.get::<_, String>(0))?
    .map(|name| name?.parse().map_err(|error| LogError::Unavailable(format!("{error}"))))
    .collect()
}

/// The size of each kind. Seqs have no gaps and the oldest events are removed first, so a topic's first and last event determine
/// their count.
pub(super) fn kinds(log: &Transaction<'_>) -> Result<BTreeMap<String, KindStats>, LogError> {
    let mut topics = log.prepare_cached(
        "SELECT name, last, (SELECT seq FROM events WHERE topic = id ORDER BY seq LIMIT 1) FROM topics WHERE last > 0",
    )?;
    let rows = topics.query_map((), |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, Seq>(1)?,
            row.get::<_, Option<Seq>>(2)?,
        ))
    })?;
    let mut kinds: BTreeMap<String, KindStats> = BTreeMap::new();
    for row in rows {
        let (name, last, first) = row?;
        let kind = name.split_once('/').map_or(&*name, |(kind, _)| kind);
        let stats = kinds.entry(kind.to_owned()).or_default();
        stats.topics += 1;
        stats.events += first.map_or(0, |first| (last + 1).saturating_sub(first));
    }
    Ok(kinds)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        seq: row.get(0)?,
        at: row.get(1)?,
        amends: row.get(2)?,
        checksum: checksum_of(row, 3)?,
        event: row.get_ref(4)?.as_bytes()?.to_vec(),
    })
}
