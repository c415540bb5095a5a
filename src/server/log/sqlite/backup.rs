//! A copy of the log while it runs. Knows nothing of the writer: it reads what is committed, as any reader does.

use std::fs::File;
use std::io;
use std::path::Path;

use super::schema;
use crate::server::log::LogError;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the file exists already")]
    Exists,
    #[error("the copy cannot be written: {0}")]
    Io(#[from] io::Error),
    #[error("the log cannot be copied: {0}")]
    Log(#[from] LogError),
}

/// Copies the log at `from` as it is now. `to` is there, whole, when this returns, or not at all.
pub fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    // Takes the name at once, so that nobody's file is written over.
    File::create_new(to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists,
        _ => BackupError::Io(error),
    })?;
    let partial = schema::beside(to, ".partial");
    let copied = write(from, &partial).and_then(|()| Ok(schema::put_in_place(&partial, to)?));
    if copied.is_err() {
        schema::remove(&partial)?;
        schema::remove(to)?;
    }
    copied
}

fn write(from: &Path, partial: &Path) -> Result<(), BackupError> {
    schema::remove(partial)?;
    let name = partial
        .to_str()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let log = schema::connect_reader(from).map_err(LogError::from)?;
    log.execute("VACUUM INTO ?1", [name]).map_err(LogError::from)?;
    schema::renew_epoch(partial).map_err(LogError::from)?;
    Ok(())
}
