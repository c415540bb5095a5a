//! Restores a log from a backup, offline.

use std::io;
use std::path::{Path, PathBuf};

use super::database::{self, OpenError};
use super::files;
use crate::log::private;

/// Error of [`restore`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A log exists at this path, and `force` is not set.
    #[error("a log exists at {}; --force moves it aside first", .0.display())]
    Exists(PathBuf),
    /// The backup, or the log that it replaces, is in use, damaged or not a log.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The file system failed; nothing was replaced.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The backup is copied but a rename failed; the next start or restore completes it.
    #[error("the log {} is not replaced yet: {source}; the next start or restore completes it", path.display())]
    Unfinished {
        /// The log that is being replaced.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    |source| RestoreError::Io { path, source }
}

/// Replaces the log at `to` by a copy of the log at `from`, including its WAL; neither may be in use. Nothing is overwritten:
/// returns the path to which the earlier log was moved, if there was one. The restored log has a new epoch, so a reader with a
/// cursor beyond its end is reset. Blocks.
///
/// # Errors
///
/// [`RestoreError::Exists`] if a log exists at `to` and `force` is not set; for others see [`RestoreError`].
pub fn restore(from: &Path, to: &Path, force: bool) -> Result<Option<PathBuf>, RestoreError> {
    let from = &files::resolve_path(from).map_err(failed(from))?;
    let to = &files::resolve_path(to).map_err(failed(to))?;
    let dir = files::parent_dir(to);
    private::create_dir(dir).map_err(failed(dir))?;
    let _lock = database::lock(to)?;
    files::clean_up(to, Some(from)).map_err(failed(dir))?;
    let exists = files::exists(to).map_err(failed(to))?;
    if exists && !force {
        return Err(RestoreError::Exists(to.clone()));
    }
    let _file = match to.exists() {
        true => Some(database::require_lock(to, files::lock_file(to))?),
        false => None,
    };
    let restored = files::restored_path(to);
    if let Err(error) = prepare(from, to, &restored) {
        files::remove_all(&restored).map_err(failed(&restored))?;
        return Err(error);
    }
    files::replace(to, &restored).map_err(|source| RestoreError::Unfinished {
        path: to.clone(),
        source,
    })
}

/// Writes a complete copy of `from` to `restored`, without a journal.
fn prepare(from: &Path, to: &Path, restored: &Path) -> Result<(), RestoreError> {
    if database::application(from).map_err(OpenError::io(from))? != Some(database::APPLICATION) {
        return Err(OpenError::Foreign(from.to_owned()).into());
    }
    // A running server would write to the files while they are copied.
    let _source = match from == to {
        true => None,
        false => Some(database::require_lock(from, files::lock_to_read(from))?),
    };
    files::copy_all(from, restored).map_err(failed(restored))?;
    database::roll_back(restored, from)?;
    database::inspect(restored, from)?;
    files::failpoint().map_err(failed(restored))?;
    database::renew_epoch(restored).map_err(OpenError::sqlite(from))?;
    Ok(database::finalize_file(restored, from)?)
}
