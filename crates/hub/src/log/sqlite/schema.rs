//! Creation, identification and opening of a log's file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::Uuid;

use super::files::{self, beside};
use super::tables::{self, OLDEST, TABLES, VERSION};
use crate::limits;
use crate::log::key::{KEY_BYTES, Key};
use crate::log::private;
use duplex_protocol::cursor::Epoch;

/// "Dplx": by this number SQLite's own tools, and we, tell that a file is ours.
pub(super) const APPLICATION: u32 = 0x4470_6c78;

/// A log cannot be opened. The file is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process uses it.
    #[error("the log {0} is in use by another process")]
    Locked(PathBuf),
    /// The file is not a log.
    #[error("{0} is not a log of this program")]
    Foreign(PathBuf),
    /// The file is a log and damaged.
    #[error("the log {path} is damaged: {how}")]
    Damaged {
        /// The log.
        path: PathBuf,
        /// What SQLite found.
        how: String,
    },
    /// The log was written by a newer release.
    #[error("the log {path} is of version {found}, of a newer release: this one knows versions up to {VERSION}")]
    Newer {
        /// The log.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A restore of an earlier release moved the log away and did not finish.
    #[error("there is no log at {path}, but one that a restore put aside, {aside}; rename it back, or restore again")]
    Replaced {
        /// The log.
        path: PathBuf,
        /// The log that was moved away.
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
                let how = source.to_string();
                Self::Damaged { path, how }
            }
            _ => Self::Sqlite { path, source },
        }
    }

    pub(super) fn damaged(path: &Path, how: impl Into<String>) -> Self {
        let (path, how) = (path.to_owned(), how.into());
        Self::Damaged { path, how }
    }
}

/// A file that is ours and sound, and ours alone as long as the locks live.
pub(super) struct Store {
    pub path: PathBuf,
    pub locks: Locks,
    pub epoch: Epoch,
    pub key: Key,
    /// For the one writer.
    pub connection: Connection,
}

/// Of a log's name and of its file.
pub(super) struct Locks(#[expect(dead_code, reason = "held, not read")] [File; 2]);

/// Makes the file, and the folder it is in, if there is none. A file of an older version becomes one of this version.
pub(super) fn open(path: &Path) -> Result<Store, OpenError> {
    let path = &files::real(path).map_err(OpenError::io(path))?;
    private::create_folder(files::folder(path)).map_err(OpenError::io(path))?;
    let lock = lock(path)?;
    tidy(path)?;
    if !path.try_exists().map_err(OpenError::io(path))? {
        create(path)?;
    }
    let locks = Locks([lock, held(path, files::lock_file(path))?]);
    roll_back(path, path)?;
    let Inspected { epoch, version } = inspect(path, path)?;
    for part in ["", "-wal", "-shm", ".lock"] {
        files::tighten(&beside(path, part)).map_err(OpenError::io(path))?;
    }
    let failed = || OpenError::sqlite(path);
    let mut connection = connect_writer(path).map_err(failed())?;
    if version != VERSION {
        tables::upgrade(&mut connection, version).map_err(failed())?;
    }
    let key = connection.query_row("SELECT key FROM meta", [], |row| row.get::<_, [u8; KEY_BYTES]>(0));
    Ok(Store {
        path: path.to_owned(),
        locks,
        epoch,
        key: Key::new(key.map_err(failed())?),
        connection,
    })
}

/// Ours alone, as long as the file lives.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    held(path, files::lock(path))
}

pub(super) fn held<T>(path: &Path, lock: io::Result<Option<T>>) -> Result<T, OpenError> {
    lock.map_err(OpenError::io(path))?
        .ok_or_else(|| OpenError::Locked(path.to_owned()))
}

/// For whoever holds the lock, and opens the log that is there.
pub(super) fn tidy(path: &Path) -> Result<(), OpenError> {
    let tidied = files::unreplaced(path).and_then(|aside| match aside {
        None => files::tidy(path, None).map(|()| None),
        aside => Ok(aside),
    });
    match tidied.map_err(OpenError::io(path))? {
        None => Ok(()),
        Some(aside) => {
            let path = path.to_owned();
            Err(OpenError::Replaced { path, aside })
        }
    }
}

/// Made under another name, so that a file of the log's name is whole, whenever the power goes.
fn create(path: &Path) -> Result<(), OpenError> {
    if files::is_there(path).map_err(OpenError::io(path))? {
        return Err(OpenError::damaged(path, "its journal is there and the file is not"));
    }
    let fresh = files::fresh(path);
    files::create(&fresh).map_err(OpenError::io(path))?;
    lay_out(&fresh).map_err(OpenError::sqlite(path))?;
    finish(&fresh, path)?;
    files::put_in_place(&fresh, path).map_err(OpenError::io(path))
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

/// Leaves a file that nobody uses yet with everything in it and no journal beside it, and of the journal mode that a server
/// uses: what is in its place already is never switched. `name`: what an error calls it.
pub(super) fn finish(file: &Path, name: &Path) -> Result<(), OpenError> {
    files::step().map_err(OpenError::io(name))?;
    let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(OpenError::sqlite(name))?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(OpenError::sqlite(name))?;
    connection
        .close()
        .map_err(|(_, error)| OpenError::sqlite(name)(error))?;
    for part in ["-wal", "-journal"] {
        if beside(file, part).try_exists().map_err(OpenError::io(name))? {
            return Err(OpenError::damaged(name, "its journal cannot be brought into the file"));
        }
    }
    Ok(())
}

/// A copy goes its own way from here on: a reader who knows the original must not take the copy's seqs for its own.
pub(super) fn renew_epoch(path: &Path) -> rusqlite::Result<()> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("UPDATE meta SET epoch = ?1", [new_epoch().get()])?;
    Ok(())
}

fn new_epoch() -> Epoch {
    // The low bits of a version 7 are random.
    Epoch::new(Uuid::now_v7().as_u64_pair().1)
}

/// A process that ended while SQLite changed a file in place left what the change must be rolled back with, which only a
/// writer may do. Of a file that is not ours nothing is changed. `name`: what an error calls it.
pub(super) fn roll_back(path: &Path, name: &Path) -> Result<(), OpenError> {
    if !has_rollback_journal(path).map_err(OpenError::io(name))? {
        return Ok(());
    }
    if application(path).map_err(OpenError::io(name))? != Some(APPLICATION) {
        return Err(OpenError::Foreign(name.to_owned()));
    }
    files::step().map_err(OpenError::io(name))?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(OpenError::sqlite(name))?;
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))
        .map_err(OpenError::sqlite(name))
}

pub(super) fn has_rollback_journal(path: &Path) -> io::Result<bool> {
    beside(path, "-journal").try_exists()
}

/// What a file says it is of, in its own bytes: a journal changes nothing of that. None of a file without a header.
pub(super) fn application(path: &Path) -> io::Result<Option<u32>> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const PLACE: usize = 68;
    let mut header = Vec::new();
    File::open(path)?.take(100).read_to_end(&mut header)?;
    let number = header.get(PLACE..PLACE + 4).and_then(|number| number.try_into().ok());
    Ok(number.filter(|_| header.starts_with(MAGIC)).map(u32::from_be_bytes))
}

pub(super) struct Inspected {
    pub epoch: Epoch,
    version: u32,
}

/// Looks without changing anything. `name`: what an error calls the file.
pub(super) fn inspect(path: &Path, name: &Path) -> Result<Inspected, OpenError> {
    let failed = || OpenError::sqlite(name);
    let connection = connect_reader(path).map_err(failed())?;
    // Both have a sign in SQLite.
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("application_id").map_err(failed())? != i64::from(APPLICATION) {
        return Err(OpenError::Foreign(name.to_owned()));
    }
    let found = number("user_version").map_err(failed())?;
    let version = match u32::try_from(found) {
        Ok(version @ OLDEST..=VERSION) => version,
        Ok(found) if found > VERSION => {
            let path = name.to_owned();
            return Err(OpenError::Newer { path, found });
        }
        _ => {
            return Err(OpenError::damaged(
                name,
                format!("it is of version {found}, which never was"),
            ));
        }
    };
    let check = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    match check.map_err(failed())? {
        fine if fine == "ok" => {}
        how => return Err(OpenError::damaged(name, how.replace('\n', " "))),
    }
    let epoch = connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0));
    Ok(Inspected {
        epoch: Epoch::new(epoch.map_err(failed())?),
        version,
    })
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(limits::sqlite::LOG_PATIENCE)?;
    Ok(connection)
}

pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // Each commit is on the disk before it is answered, not only before the next checkpoint.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", limits::sqlite::LOG_JOURNAL)?;
    // What is deleted or overwritten is zeros in the file, not bytes that wait to be used again.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // A process that was killed may have left what it overwrote in the journal.
    empty_journal(&connection)?;
    Ok(connection)
}

/// Brings everything of the journal into the file and leaves the journal without a byte. Says whether it could: a reader that
/// began before, and reads on, keeps it from that.
pub(super) fn empty_journal(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(limits::sqlite::LOG_SCRUB_PATIENCE)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, bool>(0));
    connection.busy_timeout(limits::sqlite::LOG_PATIENCE)?;
    Ok(!busy?)
}
