//! The files of a log's folder, and the few operations that change it. Each leaves a folder that the next start understands:
//! it finds the old log or the new one. Knows no SQL.
//!
//! | name, behind the log's | what it is |
//! | --- | --- |
//! | `-wal`, `-shm`, `-journal` | SQLite's journals: committed transactions, or what a broken one must be rolled back with |
//! | `.lock` | held by the process that uses the log |
//! | `.new`, `.restored` | a log that is not finished: dropped at the next start |
//! | `.restoring-ID` | a finished log that takes the place of the one that is there; the next start completes it |
//! | `.replaced-ID` | the log that was there before a restore |
//! | `.copy-ID` | a backup that is being sent: dropped at the next start |
//!
//! A backup that is being written has its name and `.duplex-partial`.

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

/// What belongs to a log, by what stands behind its name. The file itself is the last.
pub(super) const PARTS: [&str; 4] = ["-shm", "-journal", "-wal", ""];

const NEW: &str = ".new";
const RESTORED: &str = ".restored";
const RESTORING: &str = ".restoring-";
const REPLACED: &str = ".replaced-";
const COPY: &str = ".copy-";
const PARTIAL: &str = ".duplex-partial";

/// Symbolic links that lead to a file; more go in a circle.
const MAX_LINKS: usize = 40;

/// Passed before each operation that changes a folder. A test ends the work before any of them, as a kill does.
pub(super) fn step() -> io::Result<()> {
    #[cfg(test)]
    tests::step()?;
    Ok(())
}

/// The path of a log without symbolic links, also of one that does not exist yet: two names of one file have one lock and one journal.
///
/// # Errors
///
/// If the file system fails, or links form a cycle.
pub fn real(path: &Path) -> io::Result<PathBuf> {
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

/// Another file beside the log's.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of a log.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(super) fn fresh(path: &Path) -> PathBuf {
    beside(path, NEW)
}

pub(super) fn restored(path: &Path) -> PathBuf {
    beside(path, RESTORED)
}

/// The path of a backup while it is written; [`put_new`] gives it its name.
pub fn partial(path: &Path) -> PathBuf {
    beside(path, PARTIAL)
}

/// A new path beside a log, for a backup that is read and removed at once. The next start removes one that was left.
pub fn copy_name(path: &Path) -> PathBuf {
    beside(path, &format!("{COPY}{}", Uuid::now_v7().simple()))
}

/// The file or a journal of it.
pub(super) fn is_there(path: &Path) -> io::Result<bool> {
    for part in PARTS {
        // A shared index without its file holds nothing.
        if part != "-shm" && beside(path, part).try_exists()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// SQLite's own locks would let a second process in between two commits. The lock's file stays when the lock goes: who took
/// it away could take it from somebody. None if another process has it.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = private::options();
    let file = options.create(true).truncate(false).write(true);
    hold(file.open(beside(path, ".lock"))?)
}

/// Of a log that is only read: nothing is written beside it, and without a lock's file no server has it.
pub(super) struct ReadLock(#[expect(dead_code, reason = "held, not read")] Option<File>);

/// None if another process has it.
pub(super) fn lock_to_read(path: &Path) -> io::Result<Option<ReadLock>> {
    match File::open(beside(path, ".lock")) {
        Ok(file) => Ok(hold(file)?.map(|file| ReadLock(Some(file)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(ReadLock(None))),
        Err(error) => Err(error),
    }
}

/// Of the file itself, which may have another name elsewhere (a hard link). SQLite's locks are of another kind.
pub(super) fn lock_file(path: &Path) -> io::Result<Option<File>> {
    hold(File::open(path)?)
}

fn hold(file: File) -> io::Result<Option<File>> {
    // Whoever had it before may have forked: until the child runs its own program, it holds what its parent held.
    let patience = Instant::now() + limits::sqlite::LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < patience => thread::sleep(limits::sqlite::LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    step()?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file with its journals. The file goes last: as long as it is there, what is left beside it has an owner.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    PARTS.iter().try_for_each(|part| remove(&beside(path, part)))
}

/// Private, and not there before.
pub(super) fn create(path: &Path) -> io::Result<File> {
    step()?;
    private::create_new(path)
}

/// The copies have not the mode of the originals, but that of a log.
pub(super) fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    for part in PARTS.iter().filter(|part| **part != "-shm") {
        let mut original = match File::open(beside(from, part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_empty() => continue,
            opened => opened?,
        };
        let mut copy = create(&beside(to, part))?;
        step()?;
        io::copy(&mut original, &mut copy)?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step()?;
    fs::rename(from, to)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// Gives a finished file its name, and sees to it that the disk knows.
pub(super) fn put_in_place(finished: &Path, path: &Path) -> io::Result<()> {
    File::open(finished)?.sync_all()?;
    rename(finished, path)?;
    sync_folder(path)
}

/// Gives a finished file its name, and syncs the file and its folder.
///
/// # Errors
///
/// If a file of that name exists, or the file system fails.
pub fn put_new(finished: &Path, path: &Path) -> io::Result<()> {
    File::open(finished)?.sync_all()?;
    step()?;
    match renameat_with(CWD, finished, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        // A file system without such a rename.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            fs::hard_link(finished, path)?;
            remove(finished)?;
        }
        done => done?,
    }
    sync_folder(path)
}

/// Puts a finished log in the place of the one at `path`, which goes aside with its journals; says where it went. From the
/// first rename on, the next start completes it.
pub(super) fn replace(path: &Path, finished: &Path) -> io::Result<Option<PathBuf>> {
    let id = Uuid::now_v7().simple().to_string();
    let restoring = beside(path, &format!("{RESTORING}{id}"));
    put_in_place(finished, &restoring)?;
    complete(path, &restoring, &id)
}

fn complete(path: &Path, restoring: &Path, id: &str) -> io::Result<Option<PathBuf>> {
    let mut aside = beside(path, &format!("{REPLACED}{id}"));
    if aside.try_exists()? && path.try_exists()? {
        // Somebody made a log here since.
        aside = beside(path, &format!("{REPLACED}{}", Uuid::now_v7().simple()));
    }
    // The file first: a journal without its file is no log to anybody.
    for part in PARTS.iter().rev() {
        let (from, to) = (beside(path, part), beside(&aside, part));
        if from.try_exists()? {
            rename(&from, &to)?;
            tighten(&to)?;
        }
    }
    sync_folder(path)?;
    put_in_place(restoring, path)?;
    Ok(is_there(&aside)?.then_some(aside))
}

/// A restore that was interrupted, complete but for its names.
pub(super) fn interrupted(path: &Path) -> io::Result<Option<PathBuf>> {
    let restoring = siblings(path)?.into_iter().filter_map(|(file, suffix)| {
        let id = suffix.to_str()?.strip_prefix(RESTORING)?;
        is_id(id).then_some(file)
    });
    Ok(restoring.min())
}

/// The log that a restore of an earlier release put aside without putting another in its place: it left the folder so.
pub(super) fn unreplaced(path: &Path) -> io::Result<Option<PathBuf>> {
    if is_there(path)? || !restored(path).try_exists()? || interrupted(path)?.is_some() {
        return Ok(None);
    }
    let asides = siblings(path)?.into_iter().filter_map(|(file, suffix)| {
        let id = suffix.to_str()?.strip_prefix(REPLACED)?;
        is_id(id).then_some(file)
    });
    Ok(asides.max())
}

/// Brings the folder in order after processes that were killed: completes a restore, and drops what was never finished, but
/// for `keep`. For whoever holds the lock.
pub(super) fn tidy(path: &Path, keep: Option<&Path>) -> io::Result<()> {
    while let Some(restoring) = interrupted(path)? {
        let name = restoring.to_string_lossy();
        let id = name.rsplit('-').next().unwrap_or_default();
        let aside = complete(path, &restoring, id)?;
        let aside = aside.as_deref().map(|aside| tracing::field::display(aside.display()));
        tracing::warn!(aside, "a restore that was interrupted is complete now");
    }
    for (file, suffix) in siblings(path)? {
        if keep != Some(&file) && is_unfinished(&suffix) {
            remove(&file)?;
        }
    }
    drop_partials(folder(path), keep)
}

/// What stands behind the log's name in its folder.
fn is_unfinished(suffix: &OsStr) -> bool {
    let Some(suffix) = suffix.to_str() else { return false };
    let copy = |suffix: &str| {
        suffix
            .strip_prefix(COPY)
            .and_then(|rest| rest.get(..ID_CHARS))
            .is_some_and(is_id)
    };
    let of = |name: &str| PARTS.iter().any(|part| suffix.strip_prefix(name) == Some(part));
    // The draft of a token, of an earlier release.
    let token = suffix.strip_prefix(".token-").is_some_and(is_id);
    of(NEW) || of(RESTORED) || copy(suffix) || token
}

const ID_CHARS: usize = 32;

fn is_id(text: &str) -> bool {
    text.len() == ID_CHARS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Removes the unfinished backups in a folder whose writers are gone, but for `keep`.
///
/// # Errors
///
/// If the file system fails.
pub fn drop_partials(folder: &Path, keep: Option<&Path>) -> io::Result<()> {
    for (file, name) in entries(folder)? {
        let journal = name.as_bytes().strip_suffix(b"-journal").map(OsStr::from_bytes);
        let whole = journal.map_or_else(|| file.clone(), |name| folder.join(name));
        if !whole.as_os_str().as_bytes().ends_with(PARTIAL.as_bytes()) || keep == Some(&file) {
            continue;
        }
        // Whoever writes it holds it.
        let free = match File::open(&whole) {
            Ok(partial) => partial.try_lock().is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if free {
            remove(&file)?;
        }
    }
    Ok(())
}

/// The files beside the log whose names begin with its own, and what follows.
fn siblings(path: &Path) -> io::Result<Vec<(PathBuf, OsString)>> {
    let own = path.file_name().unwrap_or_default().as_bytes();
    let siblings = entries(folder(path))?.into_iter().filter_map(|(file, name)| {
        let suffix = name.as_bytes().strip_prefix(own)?;
        Some((file, OsStr::from_bytes(suffix).to_owned()))
    });
    Ok(siblings.collect())
}

fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, OsString)>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| (entry.path(), entry.file_name())))
        .collect()
}

/// Removes the permissions of others from an existing file; no file is not an error.
pub(super) fn tighten(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(file) if file.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(path, Permissions::from_mode(file.permissions().mode() & 0o700))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The bytes of the file and its journal.
pub(super) fn bytes(path: &Path) -> u64 {
    size(path) + journal_bytes(path)
}

pub(super) fn journal_bytes(path: &Path) -> u64 {
    size(&beside(path, "-wal"))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Operations until the work ends; none without an end.
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub(crate) fn step() -> io::Result<()> {
        match LEFT.get() {
            None => Ok(()),
            // From here on nothing changes any more.
            Some(0) => Err(io::Error::other("ended by the test")),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }

    /// Does `work` up to the operation `count`. Says whether that was all of it.
    pub(crate) fn until_step<T>(count: u32, work: impl FnOnce() -> T) -> (T, bool) {
        LEFT.set(Some(count));
        let done = work();
        let left = LEFT.replace(None);
        (done, left > Some(0))
    }

    #[test]
    fn names_of_one_file_are_one_path() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        fs::create_dir(at("data")).unwrap();
        std::os::unix::fs::symlink("data/log", at("link")).unwrap();
        std::os::unix::fs::symlink(at("data"), at("folder")).unwrap();
        std::os::unix::fs::symlink("link", at("again")).unwrap();
        std::os::unix::fs::symlink("circle", at("circle")).unwrap();
        for made in [false, true] {
            for name in ["data/log", "link", "folder/log", "again", "data/../link"] {
                assert_eq!(real(&at(name)).unwrap(), at("data/log"), "{name}, made: {made}");
            }
            fs::write(at("data/log"), "").unwrap();
        }
        assert_eq!(real(&at("a/b/log")).unwrap(), at("a/b/log"));
        assert!(real(&at("circle")).is_err() && real(&at("data/log/in")).is_err());
    }

    #[test]
    fn only_what_is_unfinished_and_nobodys_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let id = "0".repeat(ID_CHARS);
        let gone = [
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
        let gone: Vec<_> = gone.iter().map(|name| (*name).to_owned()).chain(copies).collect();
        for name in gone.iter().map(String::as_str).chain(stays) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let held = File::open(folder.path().join("held.duplex-partial")).unwrap();
        held.try_lock().unwrap();
        tidy(&path, Some(&folder.path().join("log.new.duplex-partial"))).unwrap();
        let mut left: Vec<_> = entries(folder.path())
            .unwrap()
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        let mut stays = stays.to_vec();
        left.sort();
        stays.sort_unstable();
        assert_eq!(left, stays);
    }

    #[test]
    fn others_may_do_nothing_with_a_file_that_is_tightened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "log").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        tighten(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        tighten(&folder.path().join("nothing")).unwrap();
    }
}
