//! What a node reads to follow the appends of other nodes.

use futures_util::try_join;
use tokio_postgres::types::ToSql;

use super::connect::Connection;
use super::error::Failure;
use super::head::{HEAD, TopicHead};
use super::reader::{BEGIN, CHECKSUM, Newest, READ, accepted, parse_topic, record, rejected};
use super::{sql, unsigned};
use crate::log::{LogTail, MovedHeads, TailStart};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::topic::TopicName;

const LATER_ANSWERS: &str = "
    SELECT n, person, command, seq FROM duplex.answers
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND n > $2 ORDER BY n DESC LIMIT $3";

const LATER_REFUSALS: &str = "
    SELECT n, person, command, why FROM duplex.refusals
    WHERE topic = (SELECT id FROM duplex.topics WHERE name = $1) AND n > $2 ORDER BY n DESC LIMIT $3";

/// See [`Log::tail`](crate::log::Log::tail).
pub(super) async fn read(
    connection: &mut Connection,
    topic: &TopicName,
    epoch: Epoch,
    start: TailStart,
    limit: usize,
) -> Result<Option<LogTail>, Failure> {
    let select = connection.prepare(HEAD).await?;
    let event = connection.prepare(CHECKSUM).await?;
    let events = connection.prepare(READ).await?;
    let answers = connection.prepare(LATER_ANSWERS).await?;
    let refusals = connection.prepare(LATER_REFUSALS).await?;
    let (name, seq, limit_sql) = (topic.as_str(), sql(start.seq), sql(limit as u64));
    let (known_answers, known_refusals) = (sql(start.answers.accepted), sql(start.answers.rejected));
    let by_name: [&(dyn ToSql + Sync); 1] = [&name];
    let by_seq: [&(dyn ToSql + Sync); 2] = [&name, &seq];
    let later: [&(dyn ToSql + Sync); 3] = [&name, &seq, &limit_sql];
    let later_answers: [&(dyn ToSql + Sync); 3] = [&name, &known_answers, &limit_sql];
    let later_refusals: [&(dyn ToSql + Sync); 3] = [&name, &known_refusals, &limit_sql];
    let client = &connection.client;
    let (_, row, event, events, answers, refusals) = try_join!(
        client.batch_execute(BEGIN),
        client.query_opt(&select, &by_name),
        client.query_opt(&event, &by_seq),
        client.query(&events, &later),
        client.query(&answers, &later_answers),
        client.query(&refusals, &later_refusals)
    )?;
    client.batch_execute("COMMIT").await?;
    let topic = TopicHead::new(row.as_ref(), epoch)?;
    let fits = topic
        .head
        .last
        .checked_sub(start.seq)
        .is_some_and(|count| count <= limit as u64);
    if !fits || !start.answers.is_within(topic.head.answers, limit) {
        return Ok(None);
    }
    let tail = LogTail {
        head: topic.head,
        checksum: topic.checksum_at(start.seq, event.as_ref())?,
        snapshot: topic.snapshot.unwrap_or(0),
        records: events.iter().map(record).collect::<Result<_, _>>()?,
        commands: Newest::new(&answers)?.rows.into_iter().map(accepted).collect(),
        rejections: Newest::new(&refusals)?
            .rows
            .into_iter()
            .map(rejected)
            .collect::<Result<_, _>>()?,
    };
    Ok(Some(tail).filter(|tail| tail.is_complete(start)))
}

/// Transactions before the oldest running one have ended, so the next call needs none of them. Transactions that did not begin yet
/// are of another server, from which the database was restored.
const MOVED: &str = "
    SELECT name, last FROM duplex.topics WHERE moved >= $1::text::xid8 AND moved < pg_snapshot_xmax(pg_current_snapshot())";

const VERSION: &str = "
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

/// See [`Log::heads_since`](crate::log::Log::heads_since). The version is a transaction id.
pub(super) async fn heads_since(connection: &mut Connection, version: Option<u64>) -> Result<MovedHeads, Failure> {
    let select = connection.prepare(VERSION).await?;
    let moved = connection.prepare(MOVED).await?;
    let client = &connection.client;
    let Some(since) = version else {
        let row = client.query_one(&select, &[]).await?;
        let version = unsigned(row.try_get(0)?);
        return Ok(MovedHeads {
            version,
            heads: Vec::new(),
        });
    };
    let text = since.to_string();
    let parameters: [&(dyn ToSql + Sync); 1] = [&text];
    let (_, row, mut rows) = try_join!(
        client.batch_execute(BEGIN),
        client.query_one(&select, &[]),
        client.query(&moved, &parameters)
    )?;
    let (version, end) = (unsigned(row.try_get(0)?), unsigned(row.try_get(1)?));
    if since > end {
        // The server lost transactions: every topic may have changed.
        rows = client.query(&moved, &[&"0"]).await?;
    }
    client.batch_execute("COMMIT").await?;
    let heads = rows
        .iter()
        .map(|row| Ok((parse_topic(row.try_get(0)?)?, unsigned(row.try_get(1)?))))
        .collect::<Result<_, Failure>>()?;
    Ok(MovedHeads { version, heads })
}
