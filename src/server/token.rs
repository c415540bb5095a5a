//! The legacy token: chosen with `--token`, or created once and stored next to the data file. It has all roles; tokens with a role
//! are in [`access`](super::access).

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duplex_hub::log::private;

/// A shorter token could be guessed.
pub const MIN_CHARS: usize = 16;

/// The token's text. `Debug` does not reveal it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has {MIN_CHARS} or more visible ASCII characters")]
pub struct InvalidToken;

impl Token {
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && text.len() >= MIN_CHARS {
            Ok(Self(text.into()))
        } else {
            Err(InvalidToken)
        }
    }

    /// Reads the token stored next to `data`, or creates it.
    pub fn load_or_create(data: &Path) -> io::Result<Self> {
        let path = path(data);
        match fs::read_to_string(&path) {
            Ok(text) => Self::new(text.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path),
            Err(error) => Err(error),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// The path of the token: for `data/duplex.db` it is `data/duplex.db.token`.
pub fn path(data: &Path) -> PathBuf {
    with_suffix(data, ".token")
}

/// Writes a locked temporary file and renames it, so readers never see a partial token; a leftover temporary file is overwritten.
fn create(path: &Path) -> io::Result<Token> {
    if let Some(dir) = path.parent() {
        private::create_dir(dir)?;
    }
    let temp_file = with_suffix(path, ".new");
    let mut file = private::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&temp_file)?;
    file.lock()?;
    if let Ok(text) = fs::read_to_string(path) {
        // Another process created it first.
        let _ = fs::remove_file(&temp_file);
        return Token::new(text.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let token = uuid::Uuid::new_v4().simple().to_string() + &uuid::Uuid::new_v4().simple().to_string();
    file.set_len(0)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    fs::rename(&temp_file, path)?;
    Ok(Token(token.into()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn debug_does_not_reveal_the_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(!format!("{token:?}").contains("0123"));
        assert_eq!(Token::new("0123456789abcde"), Err(InvalidToken));
    }

    #[test]
    fn a_stored_token_is_reused_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("deep/duplex.db");
        let token = Token::load_or_create(&data).unwrap();
        assert_eq!(Token::load_or_create(&data).unwrap(), token);
        let mode = fs::metadata(path(&data)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("deep")).unwrap().count(), 1);
        fs::write(path(&data), "short").unwrap();
        assert_eq!(
            Token::load_or_create(&data).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
