//! Snapshots with their retention, and the removal of delivered forwards.
//!
//! Each is a transaction of its own that does not wait for the disk: a server that crashes right afterwards may lose it, and the
//! topic then starts from the previous snapshot. Nothing depends on its durability.

use futures_util::try_join;
use tokio_postgres::types::ToSql;

use super::append::{INSERT_TOPICS, REMOVE_EVENTS, REMOVE_FORWARDS, STORE_REMOVED_CHECKSUM, forward_keys};
use super::connect::Connection;
use super::error::Failure;
use super::plan::ForwardKeys;
use super::{sql, unsigned};
use crate::limits;
use crate::log::snapshot::Snapshot;
use crate::log::{ForwardKey, LogError, Millis, count_removable, millis};
use duplex_protocol::cursor::Seq;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = off";

/// The bounds of the retention work of a snapshot, fixed when the snapshot is stored.
#[derive(Clone, Copy)]
pub(super) struct RetentionJob {
    topic: i64,
    last: Seq,
    last_answer: u64,
}

/// The row is locked: an append and a snapshot both update it.
const LOCK_TOPIC: &str = "SELECT id, last, answers FROM duplex.topics WHERE name = $1 FOR NO KEY UPDATE";

const STORE_SNAPSHOT: &str = "
    INSERT INTO duplex.snapshots AS s (topic, seq, state) VALUES ($1, $2, $3)
    ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq, state = excluded.state WHERE s.seq <= excluded.seq";

/// Stores a snapshot. Returns its retention work, unless a newer snapshot is stored.
pub(super) async fn store_snapshot(
    connection: &mut Connection,
    snapshot: &Snapshot,
) -> Result<Option<RetentionJob>, Failure> {
    let select = connection.prepare(LOCK_TOPIC).await?;
    let store = connection.prepare(STORE_SNAPSHOT).await?;
    let insert = connection.prepare(INSERT_TOPICS).await?;
    let client = &connection.client;
    let name = snapshot.topic.as_str();
    let parameters: [&(dyn ToSql + Sync); 1] = [&name];
    // Only the state before the first event can belong to a topic without a row.
    let create = async {
        match snapshot.seq {
            0 => client.execute(&insert, &[&[name].as_slice()]).await,
            _ => Ok(0),
        }
    };
    let row = client.query_opt(&select, &parameters);
    let (_, _, row) = try_join!(client.batch_execute(BEGIN), create, row)?;
    let expected = snapshot.seq;
    let conflict = |last| LogError::Conflict { expected, last };
    let row = row.ok_or_else(|| conflict(0))?;
    let (topic, last, last_answer) = (row.try_get(0)?, unsigned(row.try_get(1)?), unsigned(row.try_get(2)?));
    if expected > last {
        return Err(conflict(last).into());
    }
    let stored = client
        .execute(&store, &[&topic, &sql(snapshot.seq), &snapshot.state])
        .await?;
    client.batch_execute("COMMIT").await?;
    Ok((stored > 0).then_some(RetentionJob {
        topic,
        last,
        last_answer,
    }))
}

const OLDEST_EVENTS: &str = "SELECT seq, at, NULL::bigint FROM duplex.events WHERE topic = $1 ORDER BY seq LIMIT $2";
const OLDEST_ANSWERS: &str = "SELECT n, at, time FROM duplex.answers WHERE topic = $1 ORDER BY n LIMIT $2";
const REMOVE_ANSWERS: &str = "DELETE FROM duplex.answers WHERE topic = $1 AND n <= $2";
const RAISE_FORGOTTEN: &str = "UPDATE duplex.topics SET forgotten = greatest(forgotten, $2) WHERE id = $1";
const LOCK_TOPIC_BY_ID: &str = "SELECT FROM duplex.topics WHERE id = $1 FOR NO KEY UPDATE";

/// Removes the next few rows that the retention does not cover, in one transaction. Returns whether more may have to be removed.
pub(super) async fn remove_batch(
    connection: &mut Connection,
    snapshot: &Snapshot,
    job: RetentionJob,
) -> Result<bool, Failure> {
    let lock = connection.prepare(LOCK_TOPIC_BY_ID).await?;
    let events = connection.prepare(OLDEST_EVENTS).await?;
    let answers = connection.prepare(OLDEST_ANSWERS).await?;
    let limit = sql(limits::RETENTION_BATCH as u64);
    let lock_parameters: [&(dyn ToSql + Sync); 1] = [&job.topic];
    let parameters: [&(dyn ToSql + Sync); 2] = [&job.topic, &limit];
    let client = &connection.client;
    let (_, _, events, answers) = try_join!(
        client.batch_execute(BEGIN),
        client.query(&lock, &lock_parameters),
        client.query(&events, &parameters),
        client.query(&answers, &parameters)
    )?;
    let events = Removable::new(
        &events,
        snapshot.now,
        snapshot.retention.removable(snapshot.seq, job.last, snapshot.now),
    )?;
    let surplus = job.last_answer.saturating_sub(limits::DEDUPE_ENTRIES as u64);
    let too_old = snapshot.now.saturating_sub(millis(limits::DEDUPE_AGE));
    let answers = Removable::new(&answers, Millis::MAX, move |n, at| n <= surplus || at < too_old)?;
    if let Some(newest) = events.newest {
        for statement in [STORE_REMOVED_CHECKSUM, REMOVE_EVENTS] {
            let statement = connection.prepare(statement).await?;
            connection.client.execute(&statement, &[&job.topic, &newest]).await?;
        }
    }
    if let Some(newest) = answers.newest {
        let statement = connection.prepare(REMOVE_ANSWERS).await?;
        connection.client.execute(&statement, &[&job.topic, &newest]).await?;
    }
    if let Some(time) = answers.time {
        let statement = connection.prepare(RAISE_FORGOTTEN).await?;
        connection.client.execute(&statement, &[&job.topic, &time]).await?;
    }
    connection.client.batch_execute("COMMIT").await?;
    Ok(events.more || answers.more)
}

/// The removable ones of a table's oldest rows: number, time of insertion, and time in the id.
struct Removable {
    /// The number of the newest removable row.
    newest: Option<i64>,
    /// The newest time in an id of the removable rows.
    time: Option<i64>,
    /// Whether all of a full batch are removable.
    more: bool,
}

impl Removable {
    fn new(
        rows: &[tokio_postgres::Row],
        now: Millis,
        is_removable: impl Fn(u64, Millis) -> bool,
    ) -> Result<Self, Failure> {
        let mut parsed: Vec<(i64, i64, Option<i64>)> = Vec::with_capacity(rows.len());
        for row in rows {
            parsed.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        }
        let numbered = parsed.iter().map(|(n, at, _)| (unsigned(*n), unsigned(*at)));
        let removable = count_removable(numbered, now, is_removable);
        parsed.truncate(removable);
        Ok(Self {
            newest: parsed.last().map(|(n, ..)| *n),
            time: parsed.iter().filter_map(|(.., time)| *time).max(),
            more: removable == limits::RETENTION_BATCH,
        })
    }
}

/// Removes delivered forwards. One that a crash brings back is delivered again, which its target recognizes by the command's id.
pub(super) async fn remove_forwards(connection: &mut Connection, forwards: &[ForwardKey]) -> Result<(), Failure> {
    let remove = connection.prepare(REMOVE_FORWARDS).await?;
    let client = &connection.client;
    let keys = ForwardKeys::new(forwards);
    let parameters = forward_keys(&keys);
    try_join!(client.batch_execute(BEGIN), client.execute(&remove, &parameters))?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}
