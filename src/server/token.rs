//! The token that programs and operators show: chosen by the operator, or made once and kept beside the data file.
//! Knows no route.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::error::Problem;
use super::log::private;
use super::state::ServerState;

/// Fewer characters could be guessed.
pub const MIN_CHARS: usize = 16;

/// Never in a log: its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has {MIN_CHARS} or more visible ASCII characters")]
pub struct NotAToken;

/// What a request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    Right,
    Wrong,
}

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

    /// What the operator's cookie holds instead of the token: nobody comes from it to the token.
    pub fn pass(&self) -> String {
        let hash = Sha256::new()
            .chain_update("duplex operator ")
            .chain_update(self.0.as_bytes());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn is(&self, other: &str) -> bool {
        same(&self.0, other)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Turns away who shows a wrong token: as a visitor they would wonder what became of it.
pub async fn guard(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    match shown(request.headers(), state.settings.token.as_ref()) {
        Shown::Wrong => Problem::new(StatusCode::UNAUTHORIZED, "The bearer token is not this server's.")
            .header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"invalid_token\""),
            )
            .into_response(),
        Shown::Nothing | Shown::Right => next.run(request).await,
    }
}

/// Of hashes, so that the time says nothing about where two secrets part.
pub fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()) == Sha256::digest(other.as_bytes())
}

/// Of `Authorization: Bearer …` (RFC 6750 section 2.1). Without a token of its own the server takes none for right.
pub fn shown(headers: &HeaderMap, token: Option<&Token>) -> Shown {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Shown::Nothing;
    };
    let parts = value.to_str().ok().and_then(|value| value.split_once(' '));
    match (parts, token) {
        // What another scheme says is for a proxy before this server.
        (Some((scheme, _)), _) if !scheme.eq_ignore_ascii_case("bearer") => Shown::Nothing,
        (Some((_, bearer)), Some(token)) if token.is(bearer.trim()) => Shown::Right,
        _ => Shown::Wrong,
    }
}

/// `data/duplex.db` has its token in `data/duplex.db.token`.
pub fn path(data: &Path) -> PathBuf {
    let mut path = data.as_os_str().to_owned();
    path.push(".token");
    path.into()
}

fn make(path: &Path) -> io::Result<Token> {
    if let Some(folder) = path.parent() {
        private::create_folder(folder)?;
    }
    let token = uuid::Uuid::new_v4().simple().to_string() + &uuid::Uuid::new_v4().simple().to_string();
    // Written whole under another name first: who reads it at the same time finds all of it or nothing.
    let draft = path.with_extension(format!("token-{}", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{token}")?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(Token(token.into())),
        // Somebody else was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(path)?;
            Token::new(text.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn shows(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_the_token_is_right() {
        let token = Token::new("0123456789abcdef").unwrap();
        let told = |headers: &HeaderMap| shown(headers, Some(&token));
        assert_eq!(told(&HeaderMap::new()), Shown::Nothing);
        assert_eq!(told(&shows("Bearer 0123456789abcdef")), Shown::Right);
        assert_eq!(told(&shows("bearer  0123456789abcdef ")), Shown::Right);
        assert_eq!(told(&shows("Basic 0123456789abcdef")), Shown::Nothing);
        for wrong in ["Bearer 0123456789abcdeF", "Bearer ", "0123456789abcdef"] {
            assert_eq!(told(&shows(wrong)), Shown::Wrong, "{wrong}");
        }
        assert_eq!(shown(&shows("Bearer x"), None), Shown::Wrong);
        assert!(!format!("{token:?}").contains("0123"));
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
