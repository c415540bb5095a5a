//! Files and folders that only their owner may read, from the moment they are made and whatever the umask is. Every function blocks.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Options to open a file; a file that is made gets mode 0600.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE);
    options
}

/// Makes a file with mode 0600.
///
/// # Errors
///
/// If a file of that name exists, or the file system fails.
pub fn create_new(path: &Path) -> io::Result<File> {
    options().write(true).create_new(true).open(path)
}

/// Removes the permissions of others from an existing file.
pub(crate) fn tighten(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(file) if file.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(path, Permissions::from_mode(file.permissions().mode() & 0o700))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a folder and those above it with mode 0700. An existing folder stays as it is.
///
/// # Errors
///
/// If the file system fails.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn others_may_do_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("a/b"), folder.path().join("a/b/file"));
        create_folder(&inner).unwrap();
        create_folder(&inner).unwrap();
        create_new(&file).unwrap();
        assert!(create_new(&file).is_err());
        assert_eq!(
            (mode(&folder.path().join("a")), mode(&inner), mode(&file)),
            (0o700, 0o700, 0o600)
        );
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        tighten(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        tighten(&folder.path().join("nothing")).unwrap();
    }
}
