//! A copy of the log while it runs, and the way back from one while it does not. Knows nothing of the writer: a copy is of what
//! is committed, as any reader sees it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::schema::{self, OpenError};
use crate::server::log::{LogError, private};

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
    private::create_new(to).map_err(|error| match error.kind() {
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
    // SQLite writes into an empty file, and leaves its mode as it is.
    private::create_new(partial)?;
    let name = partial
        .to_str()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let log = schema::connect_reader(from).map_err(LogError::from)?;
    log.execute("VACUUM INTO ?1", [name]).map_err(LogError::from)?;
    schema::renew_epoch(partial).map_err(LogError::from)?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("there is a log at {} already; with --force it is put aside first", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Puts a copy of the backup at `from` in the place of the log at `to`, which nobody may be using. Returns where the log went
/// that was there, if there was one: nothing is written over. What is restored is of another epoch than any log before, so
/// that a reader who saw more than it holds is told.
pub fn restore(from: &Path, to: &Path, force: bool) -> Result<Option<PathBuf>, RestoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Io { path, source }
    };
    schema::inspect(from)?;
    if let Some(folder) = schema::folder(to) {
        private::create_folder(folder).map_err(failed(folder))?;
    }
    let _lock = schema::lock(to)?;
    let there = to.exists() || schema::beside(to, "-wal").exists();
    if there && !force {
        return Err(RestoreError::Exists(to.to_owned()));
    }
    let fresh = schema::beside(to, ".restored");
    schema::remove(&fresh).map_err(failed(&fresh))?;
    copy_bytes(from, &fresh).map_err(failed(&fresh))?;
    schema::renew_epoch(&fresh).map_err(OpenError::sqlite(&fresh))?;
    let aside = if there {
        Some(put_aside(to).map_err(failed(to))?)
    } else {
        None
    };
    schema::put_in_place(&fresh, to).map_err(failed(to))?;
    Ok(aside)
}

/// The copy has not the mode of the original, but that of a log.
fn copy_bytes(from: &Path, to: &Path) -> io::Result<()> {
    let mut original = fs::File::open(from)?;
    io::copy(&mut original, &mut private::create_new(to)?)?;
    Ok(())
}

/// The file and its journal, which belong together.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = schema::beside(path, &format!(".replaced-{}", uuid::Uuid::now_v7().simple()));
    for part in ["", "-wal", "-shm"] {
        match fs::rename(schema::beside(path, part), schema::beside(&aside, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => private::tighten(&schema::beside(&aside, part))?,
        }
    }
    Ok(aside)
}
