//! Verification of a log's file without changing it, even while a server uses it.

use std::io;
use std::path::{Path, PathBuf};

use super::database::{self, OpenError};
use super::files;
use crate::log::Millis;

/// The result of a successful verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Whether a process has it open.
    pub in_use: bool,
    /// The size of the file and its WAL.
    pub bytes: u64,
    /// Topics with events.
    pub topics: u64,
    /// The time of the newest event; `None` without an event.
    pub newest: Option<Millis>,
}

/// Verifies that a file is a valid log of a known version. Blocks: reads the whole file
/// ([`quick_check`](https://www.sqlite.org/pragma.html#pragma_quick_check)).
///
/// # Errors
///
/// See [`OpenError`].
pub fn verify(path: &Path) -> Result<VerifyReport, OpenError> {
    let path = &files::resolve_path(path).map_err(OpenError::io(path))?;
    let in_use = files::lock_to_read(path).map_err(OpenError::io(path))?.is_none();
    database::inspect(path, path)?;
    let (topics, newest) = count_topics(path).map_err(OpenError::sqlite(path))?;
    Ok(VerifyReport {
        in_use,
        bytes: files::size_with_wal(path),
        topics,
        newest,
    })
}

/// The work that a killed process left unfinished, if any; [`verify`] fails until the next start completes it. Blocks.
///
/// # Errors
///
/// If the directory cannot be read.
pub fn unfinished(path: &Path) -> io::Result<Option<Unfinished>> {
    let path = &files::resolve_path(path)?;
    if !files::parent_dir(path).try_exists()? {
        return Ok(None);
    }
    if files::interrupted_restore(path)?.is_some() {
        return Ok(Some(Unfinished::Restore));
    }
    if let Some(aside) = files::log_moved_aside(path)? {
        return Ok(Some(Unfinished::Replaced(aside)));
    }
    if !path.try_exists()? && files::exists(path)? {
        return Ok(Some(Unfinished::Journal));
    }
    let has_hot_journal = database::has_rollback_journal(path)? && files::lock_to_read(path)?.is_some();
    Ok(has_hot_journal.then_some(Unfinished::Change))
}

/// The work that a killed process left unfinished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfinished {
    /// A restore, which the next start completes.
    #[error("a restore was interrupted; the next start completes it")]
    Restore,
    /// A restore of an earlier release: the path of the log that was moved aside.
    #[error("a restore was interrupted and the log was moved to {}; rename it back, or restore again", .0.display())]
    Replaced(PathBuf),
    /// The file is missing and its journal exists.
    #[error("the journal exists but the file is missing")]
    Journal,
    /// A change of the file, which the next start rolls back.
    #[error("a process was killed while it changed the file; the next start rolls the change back")]
    Change,
}

fn count_topics(path: &Path) -> rusqlite::Result<(u64, Option<Millis>)> {
    database::connect_reader(path)?.query_row(
        "SELECT count(*), max((SELECT at FROM events WHERE topic = id AND seq = last)) FROM topics WHERE last > 0",
        (),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
