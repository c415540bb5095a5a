//! A small JSON document in a private file (mode 0600) that several processes read and write. Updates take a lock and replace the
//! file atomically; a read reloads the file if it has changed. Without a file the document lives in memory.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use uuid::Uuid;

use crate::lock::lock;
use crate::server::limits;
use duplex_hub::log::private;

pub struct JsonFile<T> {
    file: Option<PathBuf>,
    cached: Mutex<Cached<T>>,
    /// Incremented with each change that this process observes.
    changes: watch::Sender<u64>,
}

struct Cached<T> {
    version: Option<Version>,
    content: Arc<T>,
}

/// Identifies a version of the file. Each update replaces the file, so the inode changes even within one clock tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanos: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum JsonFileError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} has unexpected content: {error}", path.display())]
    Unreadable { path: PathBuf, error: serde_json::Error },
}

impl<T: Clone + Default + Serialize + DeserializeOwned> JsonFile<T> {
    /// In memory if `file` is `None`. `changes` is incremented with every change.
    pub fn new(file: Option<PathBuf>, changes: watch::Sender<u64>) -> Self {
        let document = Self {
            file,
            cached: Mutex::new(Cached {
                version: None,
                content: Arc::default(),
            }),
            changes,
        };
        if let Err(error) = document.remove_stale_temp_files() {
            tracing::warn!("cannot remove temporary files: {error}");
        }
        document
    }

    /// The current content. Costs one `stat` while the file has not changed.
    pub fn current(&self) -> Result<Arc<T>, JsonFileError> {
        let Some(path) = &self.file else {
            return Ok(Arc::clone(&self.cached().content));
        };
        let version = version(path).map_err(|error| io_error(path, error))?;
        let mut cached = self.cached();
        if cached.version != version {
            cached.content = Arc::new(read(path)?);
            cached.version = version;
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(Arc::clone(&cached.content))
    }

    /// Changes the content under an exclusive lock. Blocks while another process holds it, typically a few milliseconds.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, JsonFileError> {
        let Some(path) = &self.file else {
            let mut cached = self.cached();
            let mut content = T::clone(&cached.content);
            let result = change(&mut content);
            cached.content = Arc::new(content);
            drop(cached);
            self.changes.send_modify(|count| *count += 1);
            return Ok(result);
        };
        let result = with_lock(path, || {
            let mut content = read(path)?;
            let result = change(&mut content);
            let text = serde_json::to_vec_pretty(&content).map_err(|error| unreadable(path, error))?;
            remove_temp_files(path).map_err(|error| io_error(path, error))?;
            write(path, &text).map_err(|error| io_error(path, error))?;
            Ok(result)
        })?;
        self.current()?;
        Ok(result)
    }

    /// Removes temporary files that killed processes left next to the file.
    fn remove_stale_temp_files(&self) -> Result<(), JsonFileError> {
        match &self.file {
            Some(path) if temp_files(path).is_ok_and(|files| !files.is_empty()) => {
                with_lock(path, || remove_temp_files(path).map_err(|error| io_error(path, error)))
            }
            _ => Ok(()),
        }
    }

    fn cached(&self) -> MutexGuard<'_, Cached<T>> {
        lock(&self.cached)
    }
}

fn with_lock<R>(path: &Path, work: impl FnOnce() -> Result<R, JsonFileError>) -> Result<R, JsonFileError> {
    let failed = |error| io_error(path, error);
    if let Some(dir) = path.parent() {
        private::create_dir(dir).map_err(failed)?;
    }
    let lock = private_file_options()
        .create(true)
        .truncate(false)
        .open(with_suffix(path, ".lock"));
    let lock = lock.map_err(failed)?;
    lock.lock().map_err(failed)?;
    let result = work();
    drop(lock);
    result
}

fn read<T: Default + DeserializeOwned>(path: &Path) -> Result<T, JsonFileError> {
    let mut text = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(io_error(path, error)),
        Ok(file) => file
            .take(limits::DOCUMENT_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| io_error(path, error))?,
    };
    serde_json::from_slice(&text).map_err(|error| unreadable(path, error))
}

/// Removes temporary files of killed processes. The caller holds the lock, so none is being written.
fn remove_temp_files(path: &Path) -> io::Result<()> {
    temp_files(path)?.iter().try_for_each(fs::remove_file)
}

fn temp_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let is_temp_file = |file: &OsStr| {
        let suffix = file
            .as_bytes()
            .strip_prefix(name)
            .and_then(|suffix| suffix.strip_prefix(b"."));
        suffix.is_some_and(|id| id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit))
    };
    let files = fs::read_dir(dir.unwrap_or(Path::new(".")))?;
    let files = files.map(|file| file.map(|file| file.path()));
    files
        .filter(|file| {
            file.as_ref()
                .map_or(true, |file| file.file_name().is_some_and(is_temp_file))
        })
        .collect()
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let temp_file = with_suffix(path, &format!(".{}", Uuid::new_v4().simple()));
    let written = private_file_options()
        .create_new(true)
        .open(&temp_file)
        .and_then(|mut file| {
            file.write_all(text)?;
            file.sync_all()
        });
    let renamed = written.and_then(|()| fs::rename(&temp_file, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&temp_file);
    }
    renamed
}

fn private_file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn version(path: &Path) -> io::Result<Option<Version>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(Version {
            inode: found.ino(),
            bytes: found.size(),
            seconds: found.mtime(),
            nanos: found.mtime_nsec(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Appends a suffix to a path: the tokens of `data/duplex.db` are in `data/duplex.db.tokens`.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn io_error(path: &Path, error: io::Error) -> JsonFileError {
    JsonFileError::Io {
        path: path.to_owned(),
        error,
    }
}

fn unreadable(path: &Path, error: serde_json::Error) -> JsonFileError {
    JsonFileError::Unreadable {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn document(path: &Path) -> JsonFile<Vec<u32>> {
        JsonFile::new(Some(path.to_owned()), watch::Sender::default())
    }

    #[test]
    fn an_update_is_visible_to_other_processes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/list");
        let (one, other) = (document(&path), document(&path));
        assert_eq!(*other.current().unwrap(), [0; 0]);
        one.update(|list| list.push(1)).unwrap();
        let changes = other.changes.subscribe();
        assert_eq!(*other.current().unwrap(), [1]);
        assert!(changes.has_changed().unwrap());
        other.update(|list| list.push(2)).unwrap();
        assert_eq!(*one.current().unwrap(), [1, 2]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 2, "the document and its lock");
    }

    #[test]
    fn drafts_of_killed_writers_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let temp_file = with_suffix(&path, &format!(".{}", Uuid::new_v4().simple()));
        let others =
            ["list.old", "list.db", "other.0123456789abcdef0123456789abcdef"].map(|name| dir.path().join(name));
        others.iter().for_each(|other| fs::write(other, "").unwrap());
        fs::write(&temp_file, "half").unwrap();
        document(&path);
        assert!(!temp_file.exists());
        fs::write(&temp_file, "half").unwrap();
        document(&path).update(|list| list.push(1)).unwrap();
        assert!(!temp_file.exists() && others.iter().all(|other| other.exists()));
    }

    #[test]
    fn concurrent_updates_are_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..25 {
                        document(path).update(|list| list.push(writer * 100 + number)).unwrap();
                    }
                });
            }
        });
        assert_eq!(document(&path).current().unwrap().len(), 100);
    }

    #[test]
    fn a_corrupt_file_is_an_error_and_not_an_empty_document() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        fs::write(&path, "[1, 2").unwrap();
        assert!(matches!(
            document(&path).current(),
            Err(JsonFileError::Unreadable { .. })
        ));
        assert!(document(&path).update(|list| list.push(1)).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "[1, 2");
    }
}
