//! Checks write access to a log by probing it; leaves no file behind.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use uuid::Uuid;

use super::files::{self, with_suffix};
use crate::log::private;

/// A log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
pub struct NotWritable {
    path: PathBuf,
    source: io::Error,
}

/// Checks whether a server can write the log at `path`: files can be created in its directory, and existing files of the log can be
/// written and made private. Blocks.
///
/// # Errors
///
/// The first file or directory that cannot be written.
pub fn check_writable(path: &Path) -> Result<(), NotWritable> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| NotWritable { path, source }
    };
    let path = &files::resolve_path(path).map_err(failed(path))?;
    let dir = nearest_existing(files::parent_dir(path)).map_err(failed(path))?;
    can_create_files(&dir).map_err(failed(&dir))?;
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        let file = with_suffix(path, suffix);
        match can_write(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(failed(&file))?,
        }
    }
    Ok(())
}

/// The nearest existing ancestor, in which the directory would be created.
fn nearest_existing(dir: &Path) -> io::Result<PathBuf> {
    for dir in dir.ancestors() {
        match fs::metadata(dir) {
            Ok(found) if found.is_dir() => return Ok(dir.to_owned()),
            Ok(_) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(PathBuf::from("."))
}

const PROBE: &[u8] = b"duplex";

fn can_create_files(dir: &Path) -> io::Result<()> {
    match open_tmpfile(dir) {
        Some(file) => file?.write_all(PROBE),
        None => {
            let probe = dir.join(format!(".duplex-{}", Uuid::new_v4().simple()));
            let written = private::create_new(&probe)?.write_all(PROBE);
            fs::remove_file(&probe)?;
            written
        }
    }
}

/// An unnamed temporary file (`O_TMPFILE`). `None` if the file system does not support it.
#[cfg(target_os = "linux")]
fn open_tmpfile(dir: &Path) -> Option<io::Result<fs::File>> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    use rustix::io::Errno;

    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => None,
        file => Some(file.map(fs::File::from).map_err(io::Error::from)),
    }
}

#[cfg(not(target_os = "linux"))]
const fn open_tmpfile(_dir: &Path) -> Option<io::Result<fs::File>> {
    None
}

fn can_write(file: &Path) -> io::Result<()> {
    let found = OpenOptions::new().append(true).open(file)?.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // A start removes the permissions of other users, which only the file's owner can.
    let shared = found.permissions().mode() & 0o077 != 0;
    let user = geteuid();
    if shared && !user.is_root() && found.uid() != user.as_raw() {
        return Err(io::Error::other("it is owned by another user and accessible to others"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn check_writable_leaves_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/log");
        check_writable(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::create_dir_all(files::parent_dir(&path)).unwrap();
        fs::write(&path, "log").unwrap();
        check_writable(&path).unwrap();
        assert_eq!(fs::read_dir(files::parent_dir(&path)).unwrap().count(), 1);
        assert_eq!(fs::read(&path).unwrap(), b"log");
    }

    #[test]
    fn an_unwritable_path_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("log.lock")).unwrap();
        fs::create_dir_all(at("directory")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink("circle", at("circle")).unwrap();
        // A directory in place of a file, a file in place of a directory, a link cycle, and read-only file systems.
        let places = ["log", "directory", "file/log", "circle"].map(at);
        for path in places
            .iter()
            .map(PathBuf::as_path)
            .chain([Path::new("/proc/log"), Path::new("/proc/a/log")])
        {
            assert!(check_writable(path).is_err(), "{}", path.display());
        }
    }
}
