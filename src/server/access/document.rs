//! A small JSON document in a private file that several processes read and write: mode 0600, written whole under another name,
//! changed under a lock, and read anew when it has changed. Without a file it lives in memory. Knows no content.

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

pub struct Document<T> {
    file: Option<PathBuf>,
    known: Mutex<Known<T>>,
    /// Counts the changes that this process has noticed.
    changes: watch::Sender<u64>,
}

struct Known<T> {
    version: Option<Version>,
    content: Arc<T>,
}

/// Of a file's content. Each writer replaces the file, so that the inode changes even within one tick of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanos: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is not what this program writes there: {error}", path.display())]
    Unreadable { path: PathBuf, error: serde_json::Error },
}

impl<T: Clone + Default + Serialize + DeserializeOwned> Document<T> {
    /// In memory without a file. `changes` hears of every change.
    pub fn new(file: Option<PathBuf>, changes: watch::Sender<u64>) -> Self {
        let document = Self {
            file,
            known: Mutex::new(Known {
                version: None,
                content: Arc::default(),
            }),
            changes,
        };
        if let Err(error) = document.tidy() {
            tracing::warn!("what a killed process left is there still: {error}");
        }
        document
    }

    /// As it is now. Costs one `stat` while nothing has changed.
    pub fn current(&self) -> Result<Arc<T>, DocumentError> {
        let Some(path) = &self.file else {
            return Ok(Arc::clone(&self.known().content));
        };
        let version = version(path).map_err(|error| io_error(path, error))?;
        let mut known = self.known();
        if known.version != version {
            known.content = Arc::new(read(path)?);
            known.version = version;
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(Arc::clone(&known.content))
    }

    /// Nobody else changes it meanwhile. Blocks for as long as another process holds the lock: some milliseconds.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, DocumentError> {
        let Some(path) = &self.file else {
            let mut known = self.known();
            let mut content = T::clone(&known.content);
            let result = change(&mut content);
            known.content = Arc::new(content);
            drop(known);
            self.changes.send_modify(|count| *count += 1);
            return Ok(result);
        };
        let result = locked(path, || {
            let mut content = read(path)?;
            let result = change(&mut content);
            let text = serde_json::to_vec_pretty(&content).map_err(|error| unreadable(path, error))?;
            drop_drafts(path).map_err(|error| io_error(path, error))?;
            write(path, &text).map_err(|error| io_error(path, error))?;
            Ok(result)
        })?;
        self.current()?;
        Ok(result)
    }

    /// Removes what killed processes left beside it.
    fn tidy(&self) -> Result<(), DocumentError> {
        match &self.file {
            Some(path) if drafts(path).is_ok_and(|drafts| !drafts.is_empty()) => {
                locked(path, || drop_drafts(path).map_err(|error| io_error(path, error)))
            }
            _ => Ok(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known<T>> {
        lock(&self.known)
    }
}

fn locked<R>(path: &Path, work: impl FnOnce() -> Result<R, DocumentError>) -> Result<R, DocumentError> {
    let failed = |error| io_error(path, error);
    if let Some(folder) = path.parent() {
        private::create_folder(folder).map_err(failed)?;
    }
    let lock = private().create(true).truncate(false).open(beside(path, ".lock"));
    let lock = lock.map_err(failed)?;
    lock.lock().map_err(failed)?;
    let done = work();
    drop(lock);
    done
}

fn read<T: Default + DeserializeOwned>(path: &Path) -> Result<T, DocumentError> {
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

/// What killed processes left: whoever writes a draft holds the lock.
fn drop_drafts(path: &Path) -> io::Result<()> {
    drafts(path)?.iter().try_for_each(fs::remove_file)
}

fn drafts(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let is_draft = |file: &OsStr| {
        let suffix = file
            .as_bytes()
            .strip_prefix(name)
            .and_then(|suffix| suffix.strip_prefix(b"."));
        suffix.is_some_and(|id| id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit))
    };
    let files = fs::read_dir(folder.unwrap_or(Path::new(".")))?;
    let files = files.map(|file| file.map(|file| file.path()));
    files
        .filter(|file| {
            file.as_ref()
                .map_or(true, |file| file.file_name().is_some_and(is_draft))
        })
        .collect()
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let draft = beside(path, &format!(".{}", Uuid::new_v4().simple()));
    let written = private().create_new(true).open(&draft).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    let kept = written.and_then(|()| fs::rename(&draft, path));
    if kept.is_err() {
        let _ = fs::remove_file(&draft);
    }
    kept
}

fn private() -> OpenOptions {
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

/// `data/duplex.db` has its tokens in `data/duplex.db.tokens`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn io_error(path: &Path, error: io::Error) -> DocumentError {
    DocumentError::Io {
        path: path.to_owned(),
        error,
    }
}

fn unreadable(path: &Path, error: serde_json::Error) -> DocumentError {
    DocumentError::Unreadable {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn document(path: &Path) -> Document<Vec<u32>> {
        Document::new(Some(path.to_owned()), watch::Sender::default())
    }

    #[test]
    fn what_one_process_writes_the_other_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/list");
        let (one, other) = (document(&path), document(&path));
        assert_eq!(*other.current().unwrap(), [0; 0]);
        one.update(|list| list.push(1)).unwrap();
        let heard = other.changes.subscribe();
        assert_eq!(*other.current().unwrap(), [1]);
        assert!(heard.has_changed().unwrap());
        other.update(|list| list.push(2)).unwrap();
        assert_eq!(*one.current().unwrap(), [1, 2]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 2, "the document and its lock");
    }

    #[test]
    fn what_a_killed_writer_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let draft = beside(&path, &format!(".{}", Uuid::new_v4().simple()));
        let others =
            ["list.old", "list.db", "other.0123456789abcdef0123456789abcdef"].map(|name| folder.path().join(name));
        others.iter().for_each(|other| fs::write(other, "").unwrap());
        fs::write(&draft, "half").unwrap();
        document(&path);
        assert!(!draft.exists());
        fs::write(&draft, "half").unwrap();
        document(&path).update(|list| list.push(1)).unwrap();
        assert!(!draft.exists() && others.iter().all(|other| other.exists()));
    }

    #[test]
    fn no_change_is_lost_when_many_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
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
    fn what_cannot_be_read_is_no_empty_document() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        fs::write(&path, "[1, 2").unwrap();
        assert!(matches!(
            document(&path).current(),
            Err(DocumentError::Unreadable { .. })
        ));
        assert!(document(&path).update(|list| list.push(1)).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "[1, 2");
    }
}
