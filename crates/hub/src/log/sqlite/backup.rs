//! Backups of a log, online and offline. A backup contains the committed data.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::database::{self, OpenError};
use super::files;
use crate::log::LogError;

/// Error of a backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The destination already exists.
    #[error("the file already exists")]
    Exists,
    /// No log exists at this path.
    #[error("there is no log at {}", .0.display())]
    NoLog(PathBuf),
    /// The backup cannot be written.
    #[error("the backup cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The log cannot be read.
    #[error("the log cannot be backed up: {0}")]
    Log(#[from] LogError),
    /// The file is in use, damaged or not a log.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Backs up a log that no process has open, including its WAL. Keeps the file's schema version. Blocks.
///
/// # Errors
///
/// See [`BackupError`].
pub fn backup_offline(from: &Path, to: &Path) -> Result<(), BackupError> {
    let from = files::resolve_path(from)?;
    let missing = || BackupError::NoLog(from.clone());
    if !files::parent_dir(&from).try_exists()? {
        return Err(missing());
    }
    let _lock = database::lock(&from)?;
    database::clean_up(&from)?;
    if !from.try_exists()? {
        return Err(missing());
    }
    let _file_lock = database::require_lock(&from, files::lock_file(&from))?;
    database::roll_back(&from, &from)?;
    database::inspect(&from, &from)?;
    write_backup(&from, to)
}

/// Backs up the committed data of the log at `from`. When this returns, `to` is complete or does not exist.
pub(super) fn write_backup(from: &Path, to: &Path) -> Result<(), BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists);
    }
    files::remove_partials(files::parent_dir(to), None)?;
    let partial = files::partial_path(to);
    let copied = write(from, &partial).and_then(|_file| Ok(files::rename_noreplace(&partial, to)?));
    if copied.is_err() {
        files::remove_all(&partial)?;
    }
    copied.map_err(|error| match error {
        BackupError::Io(taken) if taken.kind() == io::ErrorKind::AlreadyExists => BackupError::Exists,
        error => error,
    })
}

/// Writes a partial backup and keeps it locked, so that no other process removes it as a leftover.
fn write(from: &Path, partial: &Path) -> Result<File, BackupError> {
    // SQLite writes into an empty file, and keeps its mode.
    let file = files::create(partial)?;
    file.lock()?;
    let name = partial
        .to_str()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let log = database::connect_reader(from).map_err(LogError::from)?;
    files::failpoint()?;
    log.execute("VACUUM INTO ?1", [name]).map_err(LogError::from)?;
    files::failpoint()?;
    database::renew_epoch(partial).map_err(LogError::from)?;
    Ok(file)
}
