//! The token without a role: chosen by the operator, or made once and kept beside the data file. It has all roles; tokens with
//! one are in [`access`](super::access). Knows no route.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duplex_hub::log::private;

/// Fewer characters could be guessed.
pub const MIN_CHARS: usize = 16;

/// Never in a log: its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has {MIN_CHARS} or more visible ASCII characters")]
pub struct NotAToken;

impl Token {
    pub fn new(text: &str) -> Result<Self, NotAToken> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && text.len() >= MIN_CHARS {
            Ok(Self(text.into()))
        } else {
            Err(NotAToken)
        }
    }

    /// The one that is kept beside `data`; made now if there is none.
    pub fn kept(data: &Path) -> io::Result<Self> {
        let path = path(data);
        match fs::read_to_string(&path) {
            Ok(text) => Self::new(text.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path),
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

/// `data/duplex.db` has its token in `data/duplex.db.token`.
pub fn path(data: &Path) -> PathBuf {
    beside(data, ".token")
}

/// Written whole under another name, which one process has at a time: who reads the token at the same time finds all of it or
/// nothing, and what a killed process left there is written over.
fn make(path: &Path) -> io::Result<Token> {
    if let Some(folder) = path.parent() {
        private::create_folder(folder)?;
    }
    let draft = beside(path, ".new");
    let mut file = private::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&draft)?;
    file.lock()?;
    if let Ok(text) = fs::read_to_string(path) {
        // Somebody else was first.
        let _ = fs::remove_file(&draft);
        return Token::new(text.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let token = uuid::Uuid::new_v4().simple().to_string() + &uuid::Uuid::new_v4().simple().to_string();
    file.set_len(0)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(Token(token.into()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_not_shown_by_mistake() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(!format!("{token:?}").contains("0123"));
        assert_eq!(Token::new("0123456789abcde"), Err(NotAToken));
    }

    #[test]
    fn a_kept_token_stays_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/duplex.db");
        let token = Token::kept(&data).unwrap();
        assert_eq!(Token::kept(&data).unwrap(), token);
        let mode = fs::metadata(path(&data)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
        fs::write(path(&data), "short").unwrap();
        assert_eq!(Token::kept(&data).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
