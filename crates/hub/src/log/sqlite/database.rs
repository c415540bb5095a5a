//! Creation, identification, locking and opening of a log's database file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::Uuid;

use super::files::{self, with_suffix};
use super::schema::{self, OLDEST, TABLES, VERSION};
use crate::limits;
use crate::log::key::{KEY_BYTES, LogSecret};
use crate::log::private;
use duplex_protocol::cursor::Epoch;

/// "Dplx": the application id by which SQLite's tools and this program identify the file.
pub(super) const APPLICATION: u32 = 0x4470_6c78;

/// Error of opening a log. The file is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process uses it.
    #[error("the log {0} is in use by another process")]
    Locked(PathBuf),
    /// The file is not a log.
    #[error("{0} is not a log of this program")]
    Foreign(PathBuf),
    /// The file is a log, but damaged.
    #[error("the log {path} is damaged: {detail}")]
    Damaged {
        /// The log.
        path: PathBuf,
        /// SQLite's message.
        detail: String,
    },
    /// The log was written by a newer release.
    #[error("the log {path} has version {version} of a newer release; this one supports versions up to {VERSION}")]
    Newer {
        /// The log.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A restore of an earlier release moved the log aside and did not finish.
    #[error("there is no log at {path}: a restore moved it to {aside}; rename it back, or restore again")]
    Replaced {
        /// The log.
        path: PathBuf,
        /// The log that was moved aside.
        aside: PathBuf,
    },
    /// The file system failed.
    #[error("the log {path} cannot be opened: {source}")]
    Io {
        /// The log.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("the log {path} cannot be opened: {source}")]
    Sqlite {
        /// The log.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }

    pub(super) fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        |source| match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign(path),
            Some(ErrorCode::DatabaseCorrupt) => {
                let detail = source.to_string();
                Self::Damaged { path, detail }
            }
            _ => Self::Sqlite { path, source },
        }
    }

    pub(super) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        let (path, detail) = (path.to_owned(), detail.into());
        Self::Damaged { path, detail }
    }
}

/// A verified file of this program, exclusively locked while `locks` is held.
pub(super) struct Store {
    pub path: PathBuf,
    pub locks: Locks,
    pub epoch: Epoch,
    pub secret: LogSecret,
    /// The writer's connection.
    pub connection: Connection,
}

/// The lock of the `.lock` file and the lock of the file itself.
pub(super) struct Locks(#[expect(dead_code, reason = "held, not read")] [File; 2]);

/// Opens the file. Creates it and its directory if they do not exist, and upgrades a file of an older version.
pub(super) fn open(path: &Path) -> Result<Store, OpenError> {
    let path = &files::resolve_path(path).map_err(OpenError::io(path))?;
    private::create_dir(files::parent_dir(path)).map_err(OpenError::io(path))?;
    let lock = lock(path)?;
    clean_up(path)?;
    if !path.try_exists().map_err(OpenError::io(path))? {
        create(path)?;
    }
    let locks = Locks([lock, require_lock(path, files::lock_file(path))?]);
    roll_back(path, path)?;
    let FileInfo { epoch, version } = inspect(path, path)?;
    for suffix in ["", "-wal", "-shm", ".lock"] {
        files::make_private(&with_suffix(path, suffix)).map_err(OpenError::io(path))?;
    }
    let failed = || OpenError::sqlite(path);
    let mut connection = connect_writer(path).map_err(failed())?;
    if version != VERSION {
        schema::upgrade(&mut connection, version).map_err(failed())?;
    }
    let secret = connection.query_row("SELECT key FROM meta", [], |row| row.get::<_, [u8; KEY_BYTES]>(0));
    Ok(Store {
        path: path.to_owned(),
        locks,
        epoch,
        secret: LogSecret::new(secret.map_err(failed())?),
        connection,
    })
}

/// Locks the log's name while the returned file lives.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    require_lock(path, files::lock(path))
}

pub(super) fn require_lock<T>(path: &Path, lock: io::Result<Option<T>>) -> Result<T, OpenError> {
    lock.map_err(OpenError::io(path))?
        .ok_or_else(|| OpenError::Locked(path.to_owned()))
}

/// Cleans up the directory, before the existing log is opened. The caller must hold the lock.
pub(super) fn clean_up(path: &Path) -> Result<(), OpenError> {
    let cleaned = files::log_moved_aside(path).and_then(|aside| match aside {
        None => files::clean_up(path, None).map(|()| None),
        aside => Ok(aside),
    });
    match cleaned.map_err(OpenError::io(path))? {
        None => Ok(()),
        Some(aside) => {
            let path = path.to_owned();
            Err(OpenError::Replaced { path, aside })
        }
    }
}

/// Creates the file under another name, so that the log's path never holds an incomplete file, even after power loss.
fn create(path: &Path) -> Result<(), OpenError> {
    if files::exists(path).map_err(OpenError::io(path))? {
        return Err(OpenError::damaged(path, "the journal exists but the file is missing"));
    }
    let fresh = files::new_path(path);
    files::create(&fresh).map_err(OpenError::io(path))?;
    create_tables(&fresh).map_err(OpenError::sqlite(path))?;
    finalize_file(&fresh, path)?;
    files::rename_synced(&fresh, path).map_err(OpenError::io(path))
}

fn create_tables(path: &Path) -> rusqlite::Result<()> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute_batch(TABLES)?;
    let secret = LogSecret::random();
    transaction.execute(
        "INSERT INTO meta (epoch, key) VALUES (?1, ?2)",
        (new_epoch().get(), secret.bytes()),
    )?;
    transaction.commit()
}

/// Switches a new file to WAL mode and closes it, so that it is complete without a journal; the mode of a file in use never
/// changes. `name` is the file's name in errors.
pub(super) fn finalize_file(file: &Path, name: &Path) -> Result<(), OpenError> {
    files::failpoint().map_err(OpenError::io(name))?;
    let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(OpenError::sqlite(name))?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(OpenError::sqlite(name))?;
    connection
        .close()
        .map_err(|(_, error)| OpenError::sqlite(name)(error))?;
    for suffix in ["-wal", "-journal"] {
        if with_suffix(file, suffix).try_exists().map_err(OpenError::io(name))? {
            return Err(OpenError::damaged(name, "its journal cannot be merged into the file"));
        }
    }
    Ok(())
}

/// Gives a copy a new epoch: a cursor of the original must not be valid in the copy.
pub(super) fn renew_epoch(path: &Path) -> rusqlite::Result<()> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("UPDATE meta SET epoch = ?1", [new_epoch().get()])?;
    Ok(())
}

fn new_epoch() -> Epoch {
    // The low bits of a version 7 UUID are random.
    Epoch::new(Uuid::now_v7().as_u64_pair().1)
}

/// Rolls back a hot journal, which requires a writable connection. A foreign file is not changed. `name` is the file's name in
/// errors.
pub(super) fn roll_back(path: &Path, name: &Path) -> Result<(), OpenError> {
    if !has_rollback_journal(path).map_err(OpenError::io(name))? {
        return Ok(());
    }
    if application(path).map_err(OpenError::io(name))? != Some(APPLICATION) {
        return Err(OpenError::Foreign(name.to_owned()));
    }
    files::failpoint().map_err(OpenError::io(name))?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(OpenError::sqlite(name))?;
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))
        .map_err(OpenError::sqlite(name))
}

pub(super) fn has_rollback_journal(path: &Path) -> io::Result<bool> {
    with_suffix(path, "-journal").try_exists()
}

/// Reads the application id from the file header, which is never in a journal. `None` for a file without a header.
pub(super) fn application(path: &Path) -> io::Result<Option<u32>> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const OFFSET: usize = 68;
    let mut header = Vec::new();
    File::open(path)?.take(100).read_to_end(&mut header)?;
    let number = header.get(OFFSET..OFFSET + 4).and_then(|number| number.try_into().ok());
    Ok(number.filter(|_| header.starts_with(MAGIC)).map(u32::from_be_bytes))
}

pub(super) struct FileInfo {
    pub epoch: Epoch,
    version: u32,
}

/// Verifies the file without changing it. `name` is the file's name in errors.
pub(super) fn inspect(path: &Path, name: &Path) -> Result<FileInfo, OpenError> {
    let failed = || OpenError::sqlite(name);
    let connection = connect_reader(path).map_err(failed())?;
    // Both pragmas are signed in SQLite.
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("application_id").map_err(failed())? != i64::from(APPLICATION) {
        return Err(OpenError::Foreign(name.to_owned()));
    }
    let found = number("user_version").map_err(failed())?;
    let version = match u32::try_from(found) {
        Ok(version @ OLDEST..=VERSION) => version,
        Ok(version) if version > VERSION => {
            let path = name.to_owned();
            return Err(OpenError::Newer { path, version });
        }
        _ => {
            return Err(OpenError::damaged(
                name,
                format!("it has version {found}, which does not exist"),
            ));
        }
    };
    let check = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    match check.map_err(failed())? {
        ok if ok == "ok" => {}
        detail => return Err(OpenError::damaged(name, detail.replace('\n', " "))),
    }
    let epoch = connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0));
    Ok(FileInfo {
        epoch: Epoch::new(epoch.map_err(failed())?),
        version,
    })
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(limits::sqlite::BUSY_TIMEOUT)?;
    Ok(connection)
}

pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // Sync every commit, not only at checkpoints.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", limits::sqlite::WAL_SIZE_LIMIT)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", limits::sqlite::CHECKPOINT_PAGES, |_| Ok(()))?;
    // In KiB if negative.
    connection.pragma_update(None, "cache_size", -limits::sqlite::WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(limits::sqlite::STATEMENTS);
    // Zero deleted and overwritten data instead of leaving it in free pages.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // A killed process may have left redacted data in the WAL.
    truncate_wal(&connection)?;
    Ok(connection)
}

/// Checkpoints the WAL and truncates it to zero bytes. Returns whether it succeeded: an older read that is still running blocks it.
pub(super) fn truncate_wal(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(limits::sqlite::SCRUB_TIMEOUT)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, bool>(0));
    connection.busy_timeout(limits::sqlite::BUSY_TIMEOUT)?;
    Ok(!busy?)
}
