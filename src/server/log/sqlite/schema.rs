//! How a log's file is made, told from others and opened. Knows no topic.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::Uuid;

use super::tables::{self, OLDEST, TABLES, VERSION};
use crate::server::limits;
use crate::server::log::key::{KEY_BYTES, Key};
use crate::server::log::private;
use crate::wire::cursor::Epoch;

/// "Dplx": by this number SQLite's own tools, and we, tell that a file is ours.
const APPLICATION: u32 = 0x4470_6c78;

/// Why a log cannot be opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the log {0} is in use by another process")]
    Locked(PathBuf),
    #[error("{0} is not a log of this program")]
    Foreign(PathBuf),
    #[error("the log {path} is damaged: {how}")]
    Damaged { path: PathBuf, how: String },
    #[error("the log {path} is of version {found}, and this program knows versions up to {VERSION}")]
    Newer { path: PathBuf, found: u32 },
    #[error("the log {path} cannot be opened: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the log {path} cannot be opened: {source}")]
    Sqlite { path: PathBuf, source: rusqlite::Error },
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
                let how = source.to_string();
                Self::Damaged { path, how }
            }
            _ => Self::Sqlite { path, source },
        }
    }

    fn damaged(path: &Path, how: impl Into<String>) -> Self {
        let (path, how) = (path.to_owned(), how.into());
        Self::Damaged { path, how }
    }
}

/// A file that is ours and sound, and ours alone as long as `lock` lives.
pub struct Store {
    pub path: PathBuf,
    pub lock: File,
    pub epoch: Epoch,
    pub key: Key,
    /// For the one writer.
    pub connection: Connection,
}

/// Makes the file, and the folder it is in, if there is none. A file of an older version becomes one of this version.
pub fn open(path: &Path) -> Result<Store, OpenError> {
    if let Some(folder) = folder(path) {
        private::create_folder(folder).map_err(OpenError::io(path))?;
    }
    let lock = lock(path)?;
    if !path.try_exists().map_err(OpenError::io(path))? {
        create(path)?;
    }
    let Inspected { epoch, version } = inspect(path)?;
    for part in ["", "-wal", "-shm", ".lock"] {
        private::tighten(&beside(path, part)).map_err(OpenError::io(path))?;
    }
    let failed = || OpenError::sqlite(path);
    let mut connection = connect_writer(path).map_err(failed())?;
    if version != VERSION {
        tables::upgrade(&mut connection, version).map_err(failed())?;
    }
    let key = connection.query_row("SELECT key FROM meta", [], |row| row.get::<_, [u8; KEY_BYTES]>(0));
    Ok(Store {
        path: path.to_owned(),
        lock,
        epoch,
        key: Key::new(key.map_err(failed())?),
        connection,
    })
}

/// Another file beside the log's.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub fn folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// SQLite's own locks would let a second process in between two commits. The lock's file stays when the lock goes: who took
/// it away could take it from somebody.
pub fn lock(path: &Path) -> Result<File, OpenError> {
    let file = private::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(beside(path, ".lock"))
        .map_err(OpenError::io(path))?;
    // Whoever had it before may have forked: until the child runs its own program, it holds what its parent held.
    let patience = Instant::now() + limits::LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < patience => thread::sleep(limits::LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(OpenError::io(path)(error)),
        }
    }
}

/// Made under another name, so that a file of the log's name is whole, whenever the power goes.
fn create(path: &Path) -> Result<(), OpenError> {
    if beside(path, "-wal").exists() {
        return Err(OpenError::damaged(path, "its journal is there and the file is not"));
    }
    let fresh = beside(path, ".new");
    remove(&fresh).map_err(OpenError::io(path))?;
    remove(&beside(&fresh, "-journal")).map_err(OpenError::io(path))?;
    private::create_new(&fresh).map_err(OpenError::io(path))?;
    lay_out(&fresh).map_err(OpenError::sqlite(path))?;
    put_in_place(&fresh, path).map_err(OpenError::io(path))
}

pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn lay_out(path: &Path) -> rusqlite::Result<()> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let made = connection.transaction()?;
    made.pragma_update(None, "application_id", APPLICATION)?;
    made.pragma_update(None, "user_version", VERSION)?;
    made.execute_batch(TABLES)?;
    let key = Key::random();
    made.execute(
        "INSERT INTO meta (epoch, key) VALUES (?1, ?2)",
        (new_epoch().get(), key.bytes()),
    )?;
    made.commit()
}

/// A copy goes its own way from here on: a reader who knows the original must not take the copy's seqs for its own.
pub fn renew_epoch(path: &Path) -> rusqlite::Result<()> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("UPDATE meta SET epoch = ?1", [new_epoch().get()])?;
    Ok(())
}

fn new_epoch() -> Epoch {
    // The low bits of a version 7 are random.
    Epoch::new(Uuid::now_v7().as_u64_pair().1)
}

/// Gives a finished file its name, and sees to it that the disk knows.
pub fn put_in_place(fresh: &Path, path: &Path) -> io::Result<()> {
    File::open(fresh)?.sync_all()?;
    fs::rename(fresh, path)?;
    match folder(path) {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

pub struct Inspected {
    pub epoch: Epoch,
    version: u32,
}

/// Looks without changing anything.
pub fn inspect(path: &Path) -> Result<Inspected, OpenError> {
    let failed = || OpenError::sqlite(path);
    let connection = connect_reader(path).map_err(failed())?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
    if number("application_id").map_err(failed())? != APPLICATION {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let version = number("user_version").map_err(failed())?;
    match version {
        OLDEST..=VERSION => {}
        0 => return Err(OpenError::damaged(path, "it has no version")),
        found => {
            let path = path.to_owned();
            return Err(OpenError::Newer { path, found });
        }
    }
    let check = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    match check.map_err(failed())? {
        fine if fine == "ok" => {}
        how => return Err(OpenError::damaged(path, how.replace('\n', " "))),
    }
    let epoch = connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0));
    Ok(Inspected {
        epoch: Epoch::new(epoch.map_err(failed())?),
        version,
    })
}

/// Of the file and its journal.
pub fn bytes(path: &Path) -> u64 {
    size(path) + journal_bytes(path)
}

pub fn journal_bytes(path: &Path) -> u64 {
    size(&beside(path, "-wal"))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(limits::LOG_PATIENCE)?;
    Ok(connection)
}

pub fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // Each commit is on the disk before it is answered, not only before the next checkpoint.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", limits::LOG_JOURNAL)?;
    // What is deleted or overwritten is zeros in the file, not bytes that wait to be used again.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // A process that was killed may have left what it overwrote in the journal.
    empty_journal(&connection)?;
    Ok(connection)
}

/// Brings everything of the journal into the file and leaves the journal without a byte. Says whether it could: a reader that
/// began before, and reads on, keeps it from that.
pub fn empty_journal(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(limits::LOG_SCRUB_PATIENCE)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, bool>(0));
    connection.busy_timeout(limits::LOG_PATIENCE)?;
    Ok(!busy?)
}
