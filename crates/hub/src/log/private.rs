//! Creates files (0600) and directories (0700) that only their owner can access, independent of the umask. Every function blocks.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

const FILE: u32 = 0o600;
const DIR: u32 = 0o700;

/// Options to open a file; a created file gets mode 0600.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE);
    options
}

/// Creates a file with mode 0600.
///
/// # Errors
///
/// If a file of that name exists, or the file system fails.
pub fn create_new(path: &Path) -> io::Result<File> {
    options().write(true).create_new(true).open(path)
}

/// Creates a directory and its parents with mode 0700. An existing directory stays unchanged.
///
/// # Errors
///
/// If the file system fails.
pub fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR).create(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn other_users_have_no_access() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, file) = (dir.path().join("a/b"), dir.path().join("a/b/file"));
        create_dir(&inner).unwrap();
        create_dir(&inner).unwrap();
        create_new(&file).unwrap();
        assert!(create_new(&file).is_err());
        assert_eq!(
            (mode(&dir.path().join("a")), mode(&inner), mode(&file)),
            (0o700, 0o700, 0o600)
        );
    }
}
