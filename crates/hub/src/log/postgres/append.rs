//! Executes an append transaction: locks the topics, plans, and writes.

use futures_util::future::{BoxFuture, try_join_all};
use futures_util::try_join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::connect::Connection;
use super::error::Failure;
use super::plan::{Append, ForwardKeys, TopicRow, TopicState, Topics, Writes, plan, text};
use super::{checksum, sql, unsigned};
use crate::log::{AnswerCounts, LogError, RedactedEvents, RedactionWrite};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// What an append transaction does when another one has locked a topic's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locking {
    /// Waits for the lock, up to the session's `lock_timeout`.
    Wait,
    /// Appends to the other topics only.
    Skip,
}

/// Appends the batch in one transaction. The result of each append is valid, and its events are durable, if this succeeds.
///
/// The rows of all topics are locked in the order of their names, so that transactions of other nodes wait instead of deadlocking.
/// An append whose `expected` end is not that of the locked row is a conflict.
pub(super) async fn append(
    connection: &mut Connection,
    batch: &[Append],
    locking: Locking,
) -> Result<Vec<Result<Seq, LogError>>, Failure> {
    let mut topics = lock(connection, batch, locking).await?;
    let (decided, writes) = plan(batch, &mut topics);
    if decided.iter().any(Result::is_ok) {
        write(connection, &writes).await?;
        for (topic, last, redaction) in &writes.redactions {
            redact(connection, *topic, *last, redaction).await?;
        }
    }
    connection.client.batch_execute("COMMIT").await?;
    Ok(decided)
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// A new topic's row, which other transactions do not see before the commit.
pub(super) const INSERT_TOPICS: &str = "
    INSERT INTO duplex.topics (name) SELECT name FROM unnest($1::text[]) AS new (name)
    WHERE NOT EXISTS (SELECT FROM duplex.topics AS known WHERE known.name = new.name) ORDER BY name ON CONFLICT DO NOTHING";

const LOCK_TOPICS: &str = "
    SELECT name, id, last, answers, refusals, chain FROM duplex.topics WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE";

const LOCK_FREE_TOPICS: &str = "
    SELECT name, id, last, answers, refusals, chain FROM duplex.topics WHERE name = ANY($1) ORDER BY name
    FOR NO KEY UPDATE SKIP LOCKED";

const EXISTING_TOPICS: &str = "SELECT name FROM duplex.topics WHERE name = ANY($1)";

/// Begins the transaction, creates the rows of new topics and locks those of all topics, in one round trip.
async fn lock(connection: &mut Connection, batch: &[Append], locking: Locking) -> Result<Topics, Failure> {
    let mut names: Vec<&str> = batch.iter().map(|append| append.topic.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let appends_to_new = batch.iter().filter(|append| append.expected.seq == 0);
    let mut new: Vec<&str> = appends_to_new.map(|append| append.topic.as_str()).collect();
    new.sort_unstable();
    new.dedup();
    let insert = connection.prepare(INSERT_TOPICS).await?;
    let select = connection
        .prepare(match locking {
            Locking::Wait => LOCK_TOPICS,
            Locking::Skip => LOCK_FREE_TOPICS,
        })
        .await?;
    let existing = connection.prepare(EXISTING_TOPICS).await?;
    let client = &connection.client;
    let insert = async {
        match new.is_empty() {
            true => Ok(0),
            false => client.execute(&insert, &[&new]).await,
        }
    };
    let locked: [&(dyn ToSql + Sync); 1] = [&names];
    let rows = client.query(&select, &locked);
    let (_, _, rows) = try_join!(client.batch_execute(BEGIN), insert, rows)?;
    let mut topics = Topics::new();
    if locking == Locking::Skip {
        for row in client.query(&existing, &[&names]).await? {
            topics.insert(parse(row.try_get(0)?)?, TopicState::Busy);
        }
    }
    for row in rows {
        let locked = TopicRow {
            id: row.try_get(1)?,
            last: unsigned(row.try_get(2)?),
            answers: AnswerCounts {
                accepted: unsigned(row.try_get(3)?),
                rejected: unsigned(row.try_get(4)?),
            },
            checksum: checksum(row.try_get(5)?),
        };
        topics.insert(parse(row.try_get(0)?)?, TopicState::Locked(locked));
    }
    Ok(topics)
}

fn parse(name: &str) -> Result<TopicName, Failure> {
    name.parse().map_err(Failure::unreadable)
}

const UPDATE_TOPICS: &str = "
    UPDATE duplex.topics AS t SET last = n.last, answers = n.answers, refusals = n.refusals, chain = n.chain,
        moved = pg_current_xact_id()
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS n (id, last, answers, refusals, chain)
    WHERE t.id = n.id";

const INSERT_EVENTS: &str = "
    INSERT INTO duplex.events (topic, seq, at, amends, event, chain)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])";

const INSERT_ANSWERS: &str = "
    INSERT INTO duplex.answers (topic, n, command, person, seq, at, time)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])";

const INSERT_REFUSALS: &str = "
    INSERT INTO duplex.refusals (topic, n, command, person, why, at, time)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])";

/// Removes the oldest rejections of each topic, up to the first that is neither surplus nor too old, because a topic that only
/// rejects stores no snapshots, which also remove old answers.
const REMOVE_REFUSALS: &str = "
    WITH bounds AS (
        SELECT b.topic, (
            SELECT r.n FROM duplex.refusals AS r WHERE r.topic = b.topic AND r.n > b.surplus AND r.at >= b.too_old
            ORDER BY r.n LIMIT 1
        ) AS kept
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS b (topic, surplus, too_old)
    ), removed AS (
        DELETE FROM duplex.refusals AS r USING bounds AS b WHERE r.topic = b.topic AND r.n < b.kept RETURNING r.topic, r.time
    ), newest AS (SELECT topic, max(time) AS time FROM removed GROUP BY topic)
    UPDATE duplex.topics AS t SET forgotten = greatest(t.forgotten, n.time) FROM newest AS n WHERE t.id = n.topic";

const INSERT_FORWARDS: &str = "
    INSERT INTO duplex.forwards (topic, seq, n, target, command, at, payload)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[])";

pub(super) const REMOVE_FORWARDS: &str = "
    DELETE FROM duplex.forwards AS f USING unnest($1::text[], $2::bigint[], $3::bigint[]) AS d (name, seq, n), duplex.topics AS t
    WHERE t.name = d.name AND f.topic = t.id AND f.seq = d.seq AND f.n = d.n";

/// A statement and its parameters.
type Call<'a> = (Statement, Vec<&'a (dyn ToSql + Sync)>);

/// Writes the rows, in one round trip.
async fn write(connection: &mut Connection, writes: &Writes<'_>) -> Result<(), Failure> {
    let mut bounds = (Vec::new(), Vec::new(), Vec::new());
    for (topic, (surplus, too_old)) in &writes.refusals.bounds {
        bounds.0.push(*topic);
        bounds.1.push(*surplus);
        bounds.2.push(*too_old);
    }
    let Writes {
        topics: t,
        events: e,
        answers: a,
        refusals: r,
        forwards: f,
        delivered: d,
        redactions: _,
    } = writes;
    let mut calls: Vec<Call<'_>> = Vec::new();
    let prepared = connection.prepare(UPDATE_TOPICS).await?;
    calls.push((prepared, vec![&t.id, &t.last, &t.answers, &t.refusals, &t.chain]));
    if !e.seq.is_empty() {
        let prepared = connection.prepare(INSERT_EVENTS).await?;
        calls.push((prepared, vec![&e.topic, &e.seq, &e.at, &e.amends, &e.event, &e.chain]));
    }
    if !a.n.is_empty() {
        let prepared = connection.prepare(INSERT_ANSWERS).await?;
        calls.push((
            prepared,
            vec![&a.topic, &a.n, &a.command, &a.person, &a.seq, &a.at, &a.time],
        ));
    }
    if !r.n.is_empty() {
        let prepared = connection.prepare(INSERT_REFUSALS).await?;
        calls.push((
            prepared,
            vec![&r.topic, &r.n, &r.command, &r.person, &r.why, &r.at, &r.time],
        ));
        let prepared = connection.prepare(REMOVE_REFUSALS).await?;
        calls.push((prepared, vec![&bounds.0, &bounds.1, &bounds.2]));
    }
    if !f.n.is_empty() {
        let prepared = connection.prepare(INSERT_FORWARDS).await?;
        calls.push((
            prepared,
            vec![&f.topic, &f.seq, &f.n, &f.target, &f.command, &f.at, &f.payload],
        ));
    }
    if !d.n.is_empty() {
        let prepared = connection.prepare(REMOVE_FORWARDS).await?;
        calls.push((prepared, forward_keys(d)));
    }
    execute(&connection.client, &calls).await
}

/// The parameters of [`REMOVE_FORWARDS`].
pub(super) fn forward_keys<'a>(keys: &'a ForwardKeys<'_>) -> Vec<&'a (dyn ToSql + Sync)> {
    vec![&keys.from, &keys.seq, &keys.n]
}

/// Sends all calls, in this order, before it waits for their answers.
async fn execute(client: &Client, calls: &[Call<'_>]) -> Result<(), Failure> {
    let calls = calls.iter().map(|(statement, parameters)| {
        let call: BoxFuture<'_, _> = Box::pin(client.execute(statement, parameters));
        call
    });
    try_join_all(calls).await?;
    Ok(())
}

/// Stores the checksum of the newest event before a seq, before the events up to it are removed, so that a cursor at that event can
/// still be verified.
pub(super) const STORE_REMOVED_CHECKSUM: &str = "
    UPDATE duplex.topics AS t SET gone = e.chain
    FROM (SELECT chain FROM duplex.events WHERE topic = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1) AS e WHERE t.id = $1";

pub(super) const REMOVE_EVENTS: &str = "DELETE FROM duplex.events WHERE topic = $1 AND seq <= $2";

const REMOVE_FORWARDS_UP_TO: &str = "DELETE FROM duplex.forwards WHERE topic = $1 AND seq <= $2";

const OVERWRITE_EVENTS: &str = "
    UPDATE duplex.events AS e SET event = n.event FROM unnest($2::bigint[], $3::text[]) AS n (seq, event)
    WHERE e.topic = $1 AND e.seq = n.seq";

const REMOVE_FORWARDS_OF: &str = "DELETE FROM duplex.forwards WHERE topic = $1 AND seq = ANY($2)";

const REPLACE_SNAPSHOT: &str = "
    INSERT INTO duplex.snapshots (topic, seq, state) VALUES ($1, $2, $3)
    ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq, state = excluded.state";

/// Executes a redaction, after its append: `last` is the newest event.
async fn redact(connection: &mut Connection, topic: i64, last: i64, redaction: &RedactionWrite) -> Result<(), Failure> {
    let snapshot = connection.prepare(REPLACE_SNAPSHOT).await?;
    match &redaction.redacted {
        RedactedEvents::Before(seq) => {
            let newest = sql(seq.saturating_sub(1));
            let parameters: Vec<&(dyn ToSql + Sync)> = vec![&topic, &newest];
            let mut calls: Vec<Call<'_>> = Vec::new();
            for statement in [STORE_REMOVED_CHECKSUM, REMOVE_EVENTS, REMOVE_FORWARDS_UP_TO] {
                calls.push((connection.prepare(statement).await?, parameters.clone()));
            }
            calls.push((snapshot, vec![&topic, &last, &redaction.state]));
            execute(&connection.client, &calls).await
        }
        RedactedEvents::Payloads(payloads) => {
            let seqs: Vec<i64> = payloads.iter().map(|(seq, _)| sql(*seq)).collect();
            let texts: Vec<&str> = payloads
                .iter()
                .map(|(_, payload)| text(payload))
                .collect::<Result<_, _>>()?;
            let overwrite = connection.prepare(OVERWRITE_EVENTS).await?;
            let forwards = connection.prepare(REMOVE_FORWARDS_OF).await?;
            let calls: [Call<'_>; 3] = [
                (overwrite, vec![&topic, &seqs, &texts]),
                (forwards, vec![&topic, &seqs]),
                (snapshot, vec![&topic, &last, &redaction.state]),
            ];
            execute(&connection.client, &calls).await
        }
    }
}
