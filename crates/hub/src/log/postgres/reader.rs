//! Read queries of the log. They see committed data; those of several statements see one state of the database.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, ToSql};

use super::connect::Connection;
use super::error::Failure;
use super::head::{HEAD, TOPIC, TopicHead};
use super::{checksum, sql, unsigned};
use crate::log::{
    AcceptedCommand, ForwardKey, History, KindStats, Millis, PendingForward, Record, RejectedCommand, StartData,
};
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const NEWEST_ANSWERS: &str = "
    SELECT n, person, command, seq FROM duplex.answers
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND (at >= $2 OR time IS NOT NULL) ORDER BY n DESC LIMIT $3";

const NEWEST_REFUSALS: &str = "
    SELECT n, person, command, why FROM duplex.refusals
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND (at >= $2 OR time IS NOT NULL) ORDER BY n DESC LIMIT $3";

const OMITTED_ANSWERS: &str =
    "SELECT max(time) FROM duplex.answers WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND n < $2";

const OMITTED_REFUSALS: &str =
    "SELECT max(time) FROM duplex.refusals WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND n < $2";

pub(super) async fn open(
    connection: &mut Connection,
    topic: &TopicName,
    epoch: Epoch,
    commands: usize,
    since: Millis,
) -> Result<StartData, Failure> {
    let select = connection.prepare(TOPIC).await?;
    let answers = connection.prepare(NEWEST_ANSWERS).await?;
    let refusals = connection.prepare(NEWEST_REFUSALS).await?;
    let (name, since, limit) = (topic.as_str(), sql(since), sql(commands as u64));
    let by_name: [&(dyn ToSql + Sync); 1] = [&name];
    let newest: [&(dyn ToSql + Sync); 3] = [&name, &since, &limit];
    let client = &connection.client;
    let (_, row, answers, refusals) = try_join!(
        client.batch_execute(BEGIN),
        client.query_opt(&select, &by_name),
        client.query(&answers, &newest),
        client.query(&refusals, &newest)
    )?;
    let row = row.as_ref();
    let TopicHead {
        head,
        forgotten,
        snapshot,
        ..
    } = TopicHead::new(row, epoch)?;
    let (answers, refusals) = (Newest::<i64>::new(&answers)?, Newest::<String>::new(&refusals)?);
    let mut omitted = None;
    for (length, first, statement) in [
        (answers.rows.len(), answers.first, OMITTED_ANSWERS),
        (refusals.rows.len(), refusals.first, OMITTED_REFUSALS),
    ] {
        if length >= commands {
            let statement = connection.prepare(statement).await?;
            let row = connection.client.query_one(&statement, &[&name, &first]).await?;
            let time: Option<i64> = row.try_get(0)?;
            omitted = omitted.max(time.map(unsigned));
        }
    }
    connection.client.batch_execute("COMMIT").await?;
    let state = |seq| {
        Ok::<_, Failure>(Some((
            seq,
            row.map(|row| row.try_get(8)).transpose()?.unwrap_or_default(),
        )))
    };
    Ok(StartData {
        head,
        snapshot: snapshot.map_or(Ok(None), state)?,
        commands: answers.rows.into_iter().map(accepted).collect(),
        rejections: refusals.rows.into_iter().map(rejected).collect::<Result<_, _>>()?,
        forgotten: forgotten.max(omitted),
    })
}

pub(super) fn accepted((sender, command, seq): (PersonId, CommandId, i64)) -> AcceptedCommand {
    AcceptedCommand {
        sender,
        command,
        seq: unsigned(seq),
    }
}

pub(super) fn rejected((sender, command, json): (PersonId, CommandId, String)) -> Result<RejectedCommand, Failure> {
    let rejection = serde_json::from_str(&json).map_err(Failure::unreadable)?;
    Ok(RejectedCommand {
        sender,
        command,
        rejection,
    })
}

/// The newest answers of one kind, oldest first.
pub(super) struct Newest<T> {
    pub rows: Vec<(PersonId, CommandId, T)>,
    /// The number of the first of them.
    first: i64,
}

impl<T: FromSqlOwned> Newest<T> {
    pub(super) fn new(found: &[Row]) -> Result<Self, Failure> {
        let (mut rows, mut first) = (Vec::with_capacity(found.len()), i64::MAX);
        for row in found.iter().rev() {
            let command: String = row.try_get(2)?;
            let command = CommandId::try_from(command).map_err(Failure::unreadable)?;
            rows.push((PersonId(row.try_get(1)?), command, row.try_get(3)?));
        }
        if let Some(oldest) = found.last() {
            first = oldest.try_get(0)?;
        }
        Ok(Self { rows, first })
    }
}

pub(super) const CHECKSUM: &str =
    "SELECT chain FROM duplex.events WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND seq = $2";

/// The checksum of a stored event, or of the newest removed one.
pub(super) async fn checksum_at(
    connection: &mut Connection,
    topic: &TopicName,
    epoch: Epoch,
    seq: Seq,
) -> Result<Option<Checksum>, Failure> {
    let select = connection.prepare(HEAD).await?;
    let event = connection.prepare(CHECKSUM).await?;
    let (name, at) = (topic.as_str(), sql(seq));
    let by_name: [&(dyn ToSql + Sync); 1] = [&name];
    let by_seq: [&(dyn ToSql + Sync); 2] = [&name, &at];
    let client = &connection.client;
    let (_, row, event) = try_join!(
        client.batch_execute(BEGIN),
        client.query_opt(&select, &by_name),
        client.query_opt(&event, &by_seq)
    )?;
    client.batch_execute("COMMIT").await?;
    TopicHead::new(row.as_ref(), epoch)?.checksum_at(seq, event.as_ref())
}

const WITH_AMENDMENTS: &str = "
    SELECT seq, at, amends, chain, event FROM duplex.events
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND seq = ANY($2)
    UNION
    SELECT seq, at, amends, chain, event FROM duplex.events
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND amends IS NOT NULL AND amends = ANY($2)
    ORDER BY seq";

pub(super) async fn with_amendments(
    connection: &mut Connection,
    topic: &TopicName,
    events: &[Seq],
) -> Result<Vec<Record>, Failure> {
    let select = connection.prepare(WITH_AMENDMENTS).await?;
    let events: Vec<i64> = events.iter().copied().map(sql).collect();
    let rows = connection.client.query(&select, &[&topic.as_str(), &events]).await?;
    rows.iter().map(record).collect()
}

pub(super) const READ: &str = "
    SELECT seq, at, amends, chain, event FROM duplex.events
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND seq > $2 ORDER BY seq LIMIT $3";

pub(super) async fn read(
    connection: &mut Connection,
    topic: &TopicName,
    after: Seq,
    limit: usize,
) -> Result<Vec<Record>, Failure> {
    let select = connection.prepare(READ).await?;
    let rows = connection
        .client
        .query(&select, &[&topic.as_str(), &sql(after), &sql(limit as u64)])
        .await?;
    rows.iter().map(record).collect()
}

const PAGE: &str = "
    SELECT seq, at, amends, chain, event FROM duplex.events
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND seq < $2 AND amends IS NULL ORDER BY seq DESC LIMIT $3";

const AMENDMENTS: &str = "
    SELECT seq, at, amends, chain, event FROM duplex.events
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND amends IS NOT NULL AND amends BETWEEN $2 AND $3";

pub(super) async fn history(
    connection: &mut Connection,
    topic: &TopicName,
    epoch: Epoch,
    before: Seq,
    limit: usize,
) -> Result<History, Failure> {
    let select = connection.prepare(HEAD).await?;
    let page = connection.prepare(PAGE).await?;
    let amendments = connection.prepare(AMENDMENTS).await?;
    let (name, before) = (topic.as_str(), sql(before));
    // One more row than requested shows whether there is an earlier one.
    let one_more = sql(limit as u64).saturating_add(1);
    let by_name: [&(dyn ToSql + Sync); 1] = [&name];
    let by_seq: [&(dyn ToSql + Sync); 3] = [&name, &before, &one_more];
    let client = &connection.client;
    let (_, row, rows) = try_join!(
        client.batch_execute(BEGIN),
        client.query_opt(&select, &by_name),
        client.query(&page, &by_seq)
    )?;
    let TopicHead { head, .. } = TopicHead::new(row.as_ref(), epoch)?;
    let mut records: Vec<Record> = rows.iter().map(record).collect::<Result<_, _>>()?;
    let reaches_start = records.len() <= limit;
    records.truncate(limit);
    let page: BTreeSet<Seq> = records.iter().map(|record| record.seq).collect();
    if let (Some(oldest), Some(newest)) = (page.first(), page.last()) {
        let found = client
            .query(&amendments, &[&name, &sql(*oldest), &sql(*newest)])
            .await?;
        for row in &found {
            let amendment = record(row)?;
            if amendment.amends.is_some_and(|amended| page.contains(&amended)) {
                records.push(amendment);
            }
        }
    }
    client.batch_execute("COMMIT").await?;
    records.sort_unstable_by_key(|record| record.seq);
    Ok(History {
        records,
        reaches_start,
        head,
    })
}

const FORWARDS: &str = "
    SELECT t.name, f.seq, f.n, f.target, f.command, f.at, f.payload
    FROM duplex.forwards AS f JOIN duplex.topics AS t ON t.id = f.topic
    WHERE $1::text IS NULL OR t.name = $1 ORDER BY t.name, f.seq, f.n";

/// Reads the whole outbox at once: the hub bounds its size.
pub(super) async fn forwards(
    connection: &mut Connection,
    from: Option<&TopicName>,
) -> Result<Vec<PendingForward>, Failure> {
    let select = connection.prepare(FORWARDS).await?;
    let rows = connection
        .client
        .query(&select, &[&from.map(TopicName::as_str)])
        .await?;
    let forward = |row: &Row| {
        let key = ForwardKey {
            from: parse_topic(row.try_get(0)?)?,
            seq: unsigned(row.try_get(1)?),
            index: u32::try_from(row.try_get::<_, i64>(2)?).map_err(Failure::unreadable)?,
        };
        let (command, payload): (String, &str) = (row.try_get(4)?, row.try_get(6)?);
        Ok(PendingForward {
            key,
            to: parse_topic(row.try_get(3)?)?,
            command: CommandId::try_from(command).map_err(Failure::unreadable)?,
            at: unsigned(row.try_get(5)?),
            payload: payload.as_bytes().to_vec(),
        })
    };
    rows.iter().map(forward).collect()
}

pub(super) fn parse_topic(name: &str) -> Result<TopicName, Failure> {
    name.parse().map_err(Failure::unreadable)
}

/// '0' is the character after '/'.
const TOPICS: &str =
    "SELECT name FROM duplex.topics WHERE name >= $1 || '/' AND name < $1 || '0' AND last > 0 ORDER BY name";

pub(super) async fn topics(connection: &mut Connection, kind: &str) -> Result<Vec<TopicName>, Failure> {
    let select = connection.prepare(TOPICS).await?;
    let rows = connection.client.query(&select, &[&kind]).await?;
    rows.iter().map(|row| parse_topic(row.try_get(0)?)).collect()
}

/// Seqs have no gaps and the oldest events are removed first, so a topic's first and last event determine their count.
const KINDS: &str = "
    SELECT split_part(name, '/', 1) AS kind, count(*), sum(last + 1 - coalesce(
        (SELECT seq FROM duplex.events AS e WHERE e.topic = t.id ORDER BY seq LIMIT 1), last + 1))::bigint
    FROM duplex.topics AS t WHERE last > 0 GROUP BY kind";

pub(super) async fn kinds(connection: &mut Connection) -> Result<BTreeMap<String, KindStats>, Failure> {
    let select = connection.prepare(KINDS).await?;
    let rows = connection.client.query(&select, &[]).await?;
    let kind = |row: &Row| {
        let stats = KindStats {
            topics: unsigned(row.try_get(1)?),
            events: unsigned(row.try_get(2)?),
        };
        Ok((row.try_get(0)?, stats))
    };
    rows.iter().map(kind).collect()
}

/// The files of the tables with their indexes, including free space within them.
const SIZE: &str = "
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('duplex') AND c.relkind = 'r'";

pub(super) async fn bytes(connection: &mut Connection) -> Result<u64, Failure> {
    let select = connection.prepare(SIZE).await?;
    let row = connection.client.query_one(&select, &[]).await?;
    Ok(unsigned(row.try_get(0)?))
}

pub(super) fn record(row: &Row) -> Result<Record, Failure> {
    let amends: Option<i64> = row.try_get(2)?;
    let event: &str = row.try_get(4)?;
    Ok(Record {
        seq: unsigned(row.try_get(0)?),
        at: unsigned(row.try_get(1)?),
        amends: amends.map(unsigned),
        checksum: checksum(row.try_get(3)?),
        event: event.as_bytes().to_vec(),
    })
}
