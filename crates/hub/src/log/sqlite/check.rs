//! A look at a log's file from outside, also while a server uses it. Changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use super::files;
use super::schema::{self, OpenError};
use crate::log::Millis;

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
    let path = &files::real(path).map_err(OpenError::io(path))?;
    let in_use = files::lock_to_read(path).map_err(OpenError::io(path))?.is_none();
    schema::inspect(path, path)?;
    let (topics, newest) = figures(path).map_err(OpenError::sqlite(path))?;
    Ok(Checked {
        in_use,
        bytes: files::bytes(path),
        topics,
        newest,
    })
}

/// What a killed process left undone, if the next start completes it; until then the file is not to be judged.
pub fn unfinished(path: &Path) -> io::Result<Option<Unfinished>> {
    let path = &files::real(path)?;
    if !files::folder(path).try_exists()? {
        return Ok(None);
    }
    if files::interrupted(path)?.is_some() {
        return Ok(Some(Unfinished::Restore));
    }
    if let Some(aside) = files::unreplaced(path)? {
        return Ok(Some(Unfinished::Aside(aside)));
    }
    if !path.try_exists()? && files::is_there(path)? {
        return Ok(Some(Unfinished::Journal));
    }
    let broken = schema::has_rollback_journal(path)? && files::lock_to_read(path)?.is_some();
    Ok(broken.then_some(Unfinished::Change))
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    #[error("a restore was interrupted; the next start completes it")]
    Restore,
    #[error("a restore was interrupted: the log that was there is {} now; rename it back, or restore again", .0.display())]
    Aside(PathBuf),
    #[error("its journal is there and the file is not")]
    Journal,
    #[error("a process was killed while it changed the file; the next start rolls the change back")]
    Change,
}

fn figures(path: &Path) -> rusqlite::Result<(u64, Option<Millis>)> {
    schema::connect_reader(path)?.query_row(
        "SELECT count(*), max((SELECT at FROM events WHERE topic = id AND seq = last)) FROM topics WHERE last > 0",
        (),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
