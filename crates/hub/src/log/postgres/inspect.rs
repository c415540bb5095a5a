//! Inspects a database and its server for an operator. Read-only.

use std::time::{Duration, Instant};

use super::config::PostgresConfig;
use super::connect::Connector;
use super::error::OpenError;
use super::{reader, schema, unsigned};
use crate::clock;
use crate::log::Millis;

/// The result of [`inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The server's version, such as `15.4`.
    pub server: String,
    /// Whether commits reach the disk before they are acknowledged.
    pub fsync: bool,
    /// Whether a page that was torn by a power loss can be recovered.
    pub full_page_writes: bool,
    /// The server's `synchronous_commit`. The log raises `off` to `on` in its sessions.
    pub synchronous_commit: String,
    /// The connections that the server allows to all programs.
    pub max_connections: u32,
    /// The shortest of a few round trips.
    pub round_trip: Duration,
    /// By how much the server's clock is ahead of this machine's, in milliseconds.
    pub clock_ahead: i64,
    /// Whether the role may create the schema. Needed only before the first start.
    pub may_create: bool,
    /// The log; `None` before the first start.
    pub log: Option<LogInspection>,
}

/// The log in an inspected database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogInspection {
    /// The size of the tables and their indexes.
    pub bytes: u64,
    /// Topics with events.
    pub topics: u64,
    /// The time of the newest event; `None` without an event.
    pub newest: Option<Millis>,
}

const SERVER: &str = "
    SELECT current_setting('server_version'), current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
        (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'), current_setting('max_connections')::bigint,
        has_database_privilege(current_database(), 'CREATE')
        OR coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'duplex'), false)";

const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

const TOPICS: &str = "
    SELECT count(*), max((SELECT at FROM duplex.events AS e WHERE e.topic = t.id AND e.seq = t.last))
    FROM duplex.topics AS t WHERE last > 0";

/// The number of measured round trips.
const ROUND_TRIPS: u32 = 5;

/// Inspects the server and the log.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn inspect(config: PostgresConfig) -> Result<Inspection, OpenError> {
    let mut connection = Connector::new(config)?.connect().await?;
    schema::check_server(&connection.client).await?;
    let clock = connection.prepare(CLOCK).await?;
    let (mut round_trip, mut clock_ahead) = (Duration::MAX, 0);
    for _ in 0..ROUND_TRIPS {
        let (began, before) = (Instant::now(), clock::now());
        let row = connection.client.query_one(&clock, &[]).await?;
        let (elapsed, server): (_, i64) = (began.elapsed(), row.try_get(0)?);
        if elapsed < round_trip {
            let half = i64::try_from(elapsed.as_millis() / 2).unwrap_or(0);
            (round_trip, clock_ahead) = (elapsed, server - before.cast_signed() - half);
        }
    }
    let row = connection.client.query_one(SERVER, &[]).await?;
    let log = match schema::identity(&connection.client).await? {
        None => None,
        Some((version, _)) if version > schema::VERSION => return Err(OpenError::Newer { version }),
        Some(_) => {
            let topics = connection.client.query_one(TOPICS, &[]).await?;
            let newest: Option<i64> = topics.try_get(1)?;
            Some(LogInspection {
                bytes: reader::bytes(&mut connection).await?,
                topics: unsigned(topics.try_get(0)?),
                newest: newest.map(unsigned),
            })
        }
    };
    Ok(Inspection {
        server: row.try_get(0)?,
        fsync: row.try_get(1)?,
        full_page_writes: row.try_get(2)?,
        synchronous_commit: row.try_get(3)?,
        max_connections: u32::try_from(row.try_get::<_, i64>(4)?).unwrap_or(u32::MAX),
        round_trip,
        clock_ahead,
        may_create: row.try_get(5)?,
        log,
    })
}
