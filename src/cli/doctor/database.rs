//! The checks of a PostgreSQL database.

use std::time::Duration;

use duplex::server::size::Size;
use duplex_hub::log::postgres::{ConfigError, Inspection, NODE_CONNECTIONS, OpenError, PostgresConfig, inspect};
use duplex_hub::now;

use super::{Fail, MAX_CLOCK_SKEW, MIN_CLOCK, Outcome, Pass, Warn};

/// A round trip above which the check warns: a commit takes three of them.
const SLOW_ROUND_TRIP: Duration = Duration::from_millis(5);

/// Tolerated difference between the clocks of this machine and of the database's server, in milliseconds.
const MAX_DIFFERENCE: u64 = 2_000;

/// The checks and their outcomes.
pub(super) fn checks(database: Result<PostgresConfig, ConfigError>, limit: Size) -> Vec<(&'static str, Outcome)> {
    let inspected = database.map_err(OpenError::from).and_then(|config| {
        let name = config.to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| OpenError::Database(error.to_string()))?;
        Ok((name, runtime.block_on(inspect(config))?))
    });
    match inspected {
        Err(error) => vec![("database", Fail(error.to_string()))],
        Ok((name, found)) => vec![
            ("database", log(&name, &found, limit)),
            ("durability", durability(&found)),
            ("connections", connections(&found)),
            ("latency", latency(&found)),
            ("clock", clock(&found)),
        ],
    }
}

fn log(name: &str, found: &Inspection, limit: Size) -> Outcome {
    let server = &found.server;
    match &found.log {
        None if found.may_create => Pass(format!(
            "{name}, PostgreSQL {server}: the tables are created at the first start"
        )),
        None => Fail(format!(
            "{name}: the role may not create the schema duplex; run CREATE SCHEMA duplex AUTHORIZATION of its name"
        )),
        Some(log) => {
            let (bytes, topics) = (log.bytes, log.topics);
            let text = format!("{name}, PostgreSQL {server}: {bytes} bytes of at most {limit}, {topics} topics");
            if bytes >= limit.0 { Warn(text) } else { Pass(text) }
        }
    }
}

/// Settings that lose acknowledged commands, and what each would cost.
fn durability(found: &Inspection) -> Outcome {
    let mut losses = Vec::new();
    if !found.fsync {
        losses.push("fsync is off: a power loss may destroy the whole database");
    }
    if !found.full_page_writes {
        losses.push("full_page_writes is off: a power loss may leave torn pages, which cannot be repaired");
    }
    if !losses.is_empty() {
        return Fail(losses.join("; "));
    }
    match &*found.synchronous_commit {
        "off" => Warn(
            "synchronous_commit is off, by which a crash loses the last commits; this program sets it to on in its sessions"
                .to_owned(),
        ),
        "local" => Warn(
            "synchronous_commit is local: a fail-over to a synchronous replica may lose the last commits".to_owned(),
        ),
        other => Pass(format!("fsync and full_page_writes are on, synchronous_commit is {other}")),
    }
}

fn connections(found: &Inspection) -> Outcome {
    let most = found.max_connections;
    let text = format!("max_connections is {most}, and a node has up to {NODE_CONNECTIONS}");
    let is_few = usize::try_from(most).is_ok_and(|most| most < 2 * NODE_CONNECTIONS);
    if is_few { Warn(text) } else { Pass(text) }
}

fn latency(found: &Inspection) -> Outcome {
    let text = format!(
        "{} us for a round trip; a commit takes three",
        found.round_trip.as_micros()
    );
    if found.round_trip > SLOW_ROUND_TRIP {
        Warn(text)
    } else {
        Pass(text)
    }
}

/// Compares this machine's clock with the server's, and with the newest event.
fn clock(found: &Inspection) -> Outcome {
    let (now, difference) = (now() / 1000, found.clock_ahead);
    let newest = found
        .log
        .as_ref()
        .and_then(|log| log.newest)
        .map_or(0, |millis| millis / 1000);
    if now < MIN_CLOCK {
        return Fail(format!("not set: {now} s since 1970"));
    }
    if newest > now + MAX_CLOCK_SKEW {
        return Warn(format!("{} s behind the newest event", newest - now));
    }
    let text = format!("the database's clock is {difference} ms ahead of this machine's");
    if difference.unsigned_abs() > MAX_DIFFERENCE {
        Warn(text)
    } else {
        Pass(text)
    }
}
