//! A look at a log's file from outside, also while a server uses it. Changes nothing.

use std::path::Path;

use super::schema::{self, OpenError};
use crate::server::log::Millis;

/// What a look at a sound file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Some process has it open.
    pub in_use: bool,
    pub bytes: u64,
    pub topics: u64,
    /// When the newest event was kept, by the clock of then; none without an event.
    pub newest: Option<Millis>,
}

/// Reads the whole file to see that it is sound, of this program, and of a version that it knows.
pub fn check(path: &Path) -> Result<Checked, OpenError> {
    let in_use = schema::beside(path, ".lock").exists() && is_locked(path)?;
    schema::inspect(path)?;
    let (topics, newest) = figures(path).map_err(OpenError::sqlite(path))?;
    Ok(Checked {
        in_use,
        bytes: schema::bytes(path),
        topics,
        newest,
    })
}

/// Taken for a moment, if nobody has it.
fn is_locked(path: &Path) -> Result<bool, OpenError> {
    match schema::lock(path) {
        Ok(_free) => Ok(false),
        Err(OpenError::Locked(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

fn figures(path: &Path) -> rusqlite::Result<(u64, Option<Millis>)> {
    schema::connect_reader(path)?.query_row(
        "SELECT count(*), max((SELECT at FROM events WHERE topic = id AND seq = last)) FROM topics WHERE last > 0",
        (),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
