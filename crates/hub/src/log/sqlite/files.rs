//! File names and crash-safe file operations of a log's directory. A crash after any operation leaves either the old log or the new
//! one.
//!
//! | suffix of the log's name | content |
//! | --- | --- |
//! | `-wal`, `-shm`, `-journal` | SQLite's journals: committed transactions, or the data to roll back an interrupted one |
//! | `.lock` | locked by the process that uses the log |
//! | `.new`, `.restored` | an unfinished log, removed at the next start |
//! | `.restoring-ID` | a finished log that replaces the present one; the next start completes the replacement |
//! | `.replaced-ID` | the log that a restore replaced |
//! | `.copy-ID` | a backup that is streamed to a client, removed at the next start |
//!
//! A backup that is being written has its own name with the suffix `.duplex-partial`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;

use crate::limits;
use crate::log::private;

/// The suffixes of a log's files. The main file is last.
pub(super) const SUFFIXES: [&str; 4] = ["-shm", "-journal", "-wal", ""];

const NEW: &str = ".new";
const RESTORED: &str = ".restored";
const RESTORING: &str = ".restoring-";
const REPLACED: &str = ".replaced-";
const COPY: &str = ".copy-";
const PARTIAL: &str = ".duplex-partial";

/// The maximum number of symbolic links to a file; more are a cycle.
const MAX_LINKS: usize = 40;

/// A failpoint before each file operation. Tests abort at each one to simulate a crash.
pub(super) fn failpoint() -> io::Result<()> {
    #[cfg(test)]
    tests::failpoint()?;
    Ok(())
}

/// The path of a log without symbolic links, even if it does not exist yet: two paths of one file must share its lock and WAL.
///
/// # Errors
///
/// If the file system fails, or links form a cycle.
pub fn resolve_path(path: &Path) -> io::Result<PathBuf> {
    resolve(path, MAX_LINKS)
}

fn resolve(path: &Path, links: usize) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let path = std::path::absolute(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path);
    };
    match fs::read_link(&path) {
        Ok(_) if links == 0 => Err(io::Error::from(io::ErrorKind::NotFound)),
        Ok(target) => resolve(&parent.join(target), links - 1),
        Err(_) => Ok(resolve(parent, links)?.join(name)),
    }
}

/// The path of the log's name with a suffix.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The directory of a log.
pub fn parent_dir(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

pub(super) fn new_path(path: &Path) -> PathBuf {
    with_suffix(path, NEW)
}

pub(super) fn restored_path(path: &Path) -> PathBuf {
    with_suffix(path, RESTORED)
}

/// The path of a backup while it is written; [`rename_noreplace`] gives it its final name.
pub fn partial_path(path: &Path) -> PathBuf {
    with_suffix(path, PARTIAL)
}

/// A new path beside a log, for a backup that is streamed to a client and then removed. The next start removes a leftover.
pub fn temporary_copy_path(path: &Path) -> PathBuf {
    with_suffix(path, &format!("{COPY}{}", Uuid::now_v7().simple()))
}

/// Whether the file, its WAL or its rollback journal exists.
pub(super) fn exists(path: &Path) -> io::Result<bool> {
    for suffix in SUFFIXES {
        // A `-shm` file alone contains no data.
        if suffix != "-shm" && with_suffix(path, suffix).try_exists()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Locks the log for this process; `None` if another process has the lock. SQLite's own locks would let a second process in between
/// two commits. The lock file is never removed, because a process that removes it could remove another's lock.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = private::options();
    let file = options.create(true).truncate(false).write(true);
    lock_with_timeout(file.open(with_suffix(path, ".lock"))?)
}

/// The lock of a log that is only read. A missing lock file means that no server has ever used the log, and none is created.
pub(super) struct ReadLock(#[expect(dead_code, reason = "held, not read")] Option<File>);

/// `None` if another process has the lock.
pub(super) fn lock_to_read(path: &Path) -> io::Result<Option<ReadLock>> {
    match File::open(with_suffix(path, ".lock")) {
        Ok(file) => Ok(lock_with_timeout(file)?.map(|file| ReadLock(Some(file)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(ReadLock(None))),
        Err(error) => Err(error),
    }
}

/// Locks the file itself, which may have another name elsewhere (a hard link). SQLite's (POSIX) locks do not conflict with it
/// (`flock`).
pub(super) fn lock_file(path: &Path) -> io::Result<Option<File>> {
    lock_with_timeout(File::open(path)?)
}

fn lock_with_timeout(file: File) -> io::Result<Option<File>> {
    // An earlier owner may have forked: the child keeps its parent's lock until it calls `exec`.
    let deadline = Instant::now() + limits::sqlite::LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(limits::sqlite::LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    failpoint()?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a log's files. The main file is removed last, so that a crash leaves no orphaned WAL.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    SUFFIXES
        .iter()
        .try_for_each(|suffix| remove(&with_suffix(path, suffix)))
}

/// Creates a private file, which must not exist.
pub(super) fn create(path: &Path) -> io::Result<File> {
    failpoint()?;
    private::create_new(path)
}

/// Copies a log's files, with mode 0600.
pub(super) fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    for suffix in SUFFIXES.iter().filter(|suffix| **suffix != "-shm") {
        let mut original = match File::open(with_suffix(from, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => continue,
            opened => opened?,
        };
        let mut copy = create(&with_suffix(to, suffix))?;
        failpoint()?;
        io::copy(&mut original, &mut copy)?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    failpoint()?;
    fs::rename(from, to)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(parent_dir(path))?.sync_all()
}

/// Syncs a finished file, renames it to `path`, replacing an existing file, and syncs the directory.
pub(super) fn rename_synced(finished: &Path, path: &Path) -> io::Result<()> {
    File::open(finished)?.sync_all()?;
    rename(finished, path)?;
    sync_dir(path)
}

/// Syncs a finished file, renames it to `path`, which must not exist, and syncs the directory.
///
/// # Errors
///
/// If `path` exists, or the file system fails.
pub fn rename_noreplace(finished: &Path, path: &Path) -> io::Result<()> {
    File::open(finished)?.sync_all()?;
    failpoint()?;
    match renameat_with(CWD, finished, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        // The file system does not support this rename.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            fs::hard_link(finished, path)?;
            remove(finished)?;
        }
        done => done?,
    }
    sync_dir(path)
}

/// Replaces the log at `path` by a finished one; the old log is renamed to `.replaced-ID`. Returns the old log's new path. From the
/// first rename on, the next start completes the replacement.
pub(super) fn replace(path: &Path, finished: &Path) -> io::Result<Option<PathBuf>> {
    let id = Uuid::now_v7().simple().to_string();
    let restoring = with_suffix(path, &format!("{RESTORING}{id}"));
    rename_synced(finished, &restoring)?;
    complete_restore(path, &restoring, &id)
}

fn complete_restore(path: &Path, restoring: &Path, id: &str) -> io::Result<Option<PathBuf>> {
    let mut aside = with_suffix(path, &format!("{REPLACED}{id}"));
    if aside.try_exists()? && path.try_exists()? {
        // Another log was created here since.
        aside = with_suffix(path, &format!("{REPLACED}{}", Uuid::now_v7().simple()));
    }
    // The main file is renamed first: a WAL without its main file is not a log.
    for suffix in SUFFIXES.iter().rev() {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&aside, suffix));
        if from.try_exists()? {
            rename(&from, &to)?;
            make_private(&to)?;
        }
    }
    sync_dir(path)?;
    rename_synced(restoring, path)?;
    Ok(exists(&aside)?.then_some(aside))
}

/// The log of an interrupted restore, complete except for its name.
pub(super) fn interrupted_restore(path: &Path) -> io::Result<Option<PathBuf>> {
    let restoring = siblings(path)?.into_iter().filter_map(|(file, suffix)| {
        let id = suffix.to_str()?.strip_prefix(RESTORING)?;
        is_id(id).then_some(file)
    });
    Ok(restoring.min())
}

/// The log that an interrupted restore of an earlier release moved aside, and left no log in its place.
pub(super) fn log_moved_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    if exists(path)? || !restored_path(path).try_exists()? || interrupted_restore(path)?.is_some() {
        return Ok(None);
    }
    let asides = siblings(path)?.into_iter().filter_map(|(file, suffix)| {
        let id = suffix.to_str()?.strip_prefix(REPLACED)?;
        is_id(id).then_some(file)
    });
    Ok(asides.max())
}

/// Cleans up the directory after killed processes: completes a restore, and removes unfinished files, except `keep`. The caller must
/// hold the lock.
pub(super) fn clean_up(path: &Path, keep: Option<&Path>) -> io::Result<()> {
    while let Some(restoring) = interrupted_restore(path)? {
        let name = restoring.to_string_lossy();
        let id = name.rsplit('-').next().unwrap_or_default();
        let aside = complete_restore(path, &restoring, id)?;
        let aside = aside.as_deref().map(|aside| tracing::field::display(aside.display()));
        tracing::warn!(aside, "an interrupted restore was completed");
    }
    for (file, suffix) in siblings(path)? {
        if keep != Some(&file) && is_unfinished(&suffix) {
            remove(&file)?;
        }
    }
    remove_partials(parent_dir(path), keep)
}

/// Whether the suffix is that of an unfinished file.
fn is_unfinished(suffix: &OsStr) -> bool {
    let Some(suffix) = suffix.to_str() else { return false };
    let copy = |suffix: &str| {
        suffix
            .strip_prefix(COPY)
            .and_then(|rest| rest.get(..ID_CHARS))
            .is_some_and(is_id)
    };
    let is_file_of = |name: &str| SUFFIXES.iter().any(|part| suffix.strip_prefix(name) == Some(part));
    // An unfinished token file of an earlier release.
    let token = suffix.strip_prefix(".token-").is_some_and(is_id);
    is_file_of(NEW) || is_file_of(RESTORED) || copy(suffix) || token
}

const ID_CHARS: usize = 32;

fn is_id(text: &str) -> bool {
    text.len() == ID_CHARS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Removes the unfinished backups in a directory whose writer has exited, except `keep`.
///
/// # Errors
///
/// If the file system fails.
pub fn remove_partials(dir: &Path, keep: Option<&Path>) -> io::Result<()> {
    for (file, name) in entries(dir)? {
        let journal = name.as_bytes().strip_suffix(b"-journal").map(OsStr::from_bytes);
        let partial = journal.map_or_else(|| file.clone(), |name| dir.join(name));
        if !partial.as_os_str().as_bytes().ends_with(PARTIAL.as_bytes()) || keep == Some(&file) {
            continue;
        }
        // The writer holds a lock on it.
        let abandoned = match File::open(&partial) {
            Ok(file) => file.try_lock().is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if abandoned {
            remove(&file)?;
        }
    }
    Ok(())
}

/// The files whose names begin with the log's name, with their suffixes.
fn siblings(path: &Path) -> io::Result<Vec<(PathBuf, OsString)>> {
    let log_name = path.file_name().unwrap_or_default().as_bytes();
    let siblings = entries(parent_dir(path))?.into_iter().filter_map(|(file, name)| {
        let suffix = name.as_bytes().strip_prefix(log_name)?;
        Some((file, OsStr::from_bytes(suffix).to_owned()))
    });
    Ok(siblings.collect())
}

fn entries(dir: &Path) -> io::Result<Vec<(PathBuf, OsString)>> {
    fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| (entry.path(), entry.file_name())))
        .collect()
}

/// Removes the permissions of other users from an existing file; a missing file is not an error.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(file) if file.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(path, Permissions::from_mode(file.permissions().mode() & 0o700))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The size of the file and its WAL.
pub(super) fn size_with_wal(path: &Path) -> u64 {
    size(path) + wal_bytes(path)
}

pub(super) fn wal_bytes(path: &Path) -> u64 {
    size(&with_suffix(path, "-wal"))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Failpoints left before the simulated crash; `None` when disabled.
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub(crate) fn failpoint() -> io::Result<()> {
        match LEFT.get() {
            None => Ok(()),
            // Simulated crash.
            Some(0) => Err(io::Error::other("ended by the test")),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }

    /// Runs `work` up to the failpoint `count`. Also returns whether it completed.
    pub(crate) fn crash_after<T>(count: u32, work: impl FnOnce() -> T) -> (T, bool) {
        LEFT.set(Some(count));
        let done = work();
        let left = LEFT.replace(None);
        (done, left > Some(0))
    }

    #[test]
    fn all_names_of_a_file_resolve_to_one_path() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        fs::create_dir(at("data")).unwrap();
        std::os::unix::fs::symlink("data/log", at("link")).unwrap();
        std::os::unix::fs::symlink(at("data"), at("directory")).unwrap();
        std::os::unix::fs::symlink("link", at("again")).unwrap();
        std::os::unix::fs::symlink("circle", at("circle")).unwrap();
        for exists in [false, true] {
            for name in ["data/log", "link", "directory/log", "again", "data/../link"] {
                assert_eq!(
                    resolve_path(&at(name)).unwrap(),
                    at("data/log"),
                    "{name}, exists: {exists}"
                );
            }
            fs::write(at("data/log"), "").unwrap();
        }
        assert_eq!(resolve_path(&at("a/b/log")).unwrap(), at("a/b/log"));
        assert!(resolve_path(&at("circle")).is_err() && resolve_path(&at("data/log/in")).is_err());
    }

    #[test]
    fn only_abandoned_unfinished_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let id = "0".repeat(ID_CHARS);
        let removed = [
            "log.new",
            "log.new-journal",
            "log.restored",
            "log.restored-wal",
            "other.duplex-partial",
            "lost.duplex-partial-journal",
        ];
        let stays = [
            "log",
            "log-wal",
            "log.lock",
            "log.token",
            "log.newer",
            "log.copy-monday",
            "log.restored.db",
            "other.partial",
            "log.replaced-1",
            "other.new",
            "held.duplex-partial",
            "held.duplex-partial-journal",
            "log.new.duplex-partial",
        ];
        let copies = [COPY, COPY, COPY]
            .into_iter()
            .zip(["", ".duplex-partial", ".duplex-partial-journal"]);
        let copies: Vec<_> = copies.map(|(copy, more)| format!("log{copy}{id}{more}")).collect();
        let removed: Vec<_> = removed.iter().map(|name| (*name).to_owned()).chain(copies).collect();
        for name in removed.iter().map(String::as_str).chain(stays) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let held = File::open(dir.path().join("held.duplex-partial")).unwrap();
        held.try_lock().unwrap();
        clean_up(&path, Some(&dir.path().join("log.new.duplex-partial"))).unwrap();
        let mut left: Vec<_> = entries(dir.path()).unwrap().into_iter().map(|(_, name)| name).collect();
        let mut stays = stays.to_vec();
        left.sort();
        stays.sort_unstable();
        assert_eq!(left, stays);
    }

    #[test]
    fn make_private_removes_permissions_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "log").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        make_private(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        make_private(&dir.path().join("nothing")).unwrap();
    }
}
