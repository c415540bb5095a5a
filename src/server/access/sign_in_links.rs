//! Links that sign an operator in, each valid once and for ten minutes. Any process that may write next to the data file can create
//! one; the server consumes it. Only hashes are stored.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::json_file::{JsonFile, JsonFileError, with_suffix};
use super::secret::{Secret, SecretHash};
use super::token_store::{Millis, now};
use crate::server::limits;

/// The path of a link; its query is `code=…`.
pub const LINK_PATH: &str = "/operator/sign-in";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Link {
    sha256: SecretHash,
    expires: Millis,
}

pub struct SignInLinks(JsonFile<Vec<Link>>);

impl Link {
    /// A link with more than the maximum lifetime left was created while the clock was ahead; it is invalid.
    fn is_active(&self, now: Millis) -> bool {
        self.expires > now && self.expires <= now.saturating_add(LIFETIME_MS)
    }
}

const LIFETIME_MS: Millis = limits::SIGN_IN_LINK_LIFETIME.as_millis() as Millis;

impl SignInLinks {
    /// In memory if `file` is `None`.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self(JsonFile::new(file, watch::Sender::default()))
    }

    /// The file of links that belongs to a data file.
    pub fn path(data: &Path) -> PathBuf {
        with_suffix(data, ".sign-in")
    }

    /// Creates a link and returns its code.
    pub fn create(&self) -> Result<Secret, JsonFileError> {
        let (secret, now) = (Secret::random(), now());
        self.0.update(|links| {
            links.retain(|link| link.is_active(now));
            let excess = (links.len() + 1).saturating_sub(limits::SIGN_IN_LINKS);
            links.drain(..excess);
            links.push(Link {
                sha256: secret.hash(),
                expires: now.saturating_add(LIFETIME_MS),
            });
        })?;
        Ok(secret)
    }

    /// Consumes a code: returns whether it was valid, and invalidates it. A wrong code writes nothing.
    pub fn consume(&self, code: &str) -> Result<bool, JsonFileError> {
        let (hash, now) = (SecretHash::new(code), now());
        let matches = |link: &Link| link.sha256 == hash && link.is_active(now);
        if !self.0.current()?.iter().any(matches) {
            return Ok(false);
        }
        self.0.update(|links| {
            let found = links.iter().any(matches);
            links.retain(|link| link.sha256 != hash && link.is_active(now));
            found
        })
    }
}

/// The URL of a link. `base` is the server's URL as the operator's browser reaches it, such as `http://127.0.0.1:3000`.
pub fn sign_in_url(base: &str, code: &Secret) -> String {
    format!("{}{LINK_PATH}?code={}", base.trim_end_matches('/'), code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = SignInLinks::path(&dir.path().join("duplex.db"));
        let (maker, server) = (
            SignInLinks::new(Some(path.clone())),
            SignInLinks::new(Some(path.clone())),
        );
        let code = maker.create().unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains(code.as_str()));
        assert!(!server.consume("0000").unwrap());
        assert!(server.consume(code.as_str()).unwrap());
        assert!(!server.consume(code.as_str()).unwrap() && !maker.consume(code.as_str()).unwrap());
        let text = sign_in_url("http://127.0.0.1:3000/", &code);
        assert_eq!(
            text,
            format!("http://127.0.0.1:3000/operator/sign-in?code={}", code.as_str())
        );
    }

    #[test]
    fn links_expire_and_their_number_is_limited() {
        let links = SignInLinks::new(None);
        let code = links.create().unwrap();
        links.0.update(|links| links[0].expires = now()).unwrap();
        assert!(!links.consume(code.as_str()).unwrap());
        let ahead = links.create().unwrap();
        links
            .0
            .update(|links| links[0].expires = now() + 24 * 3_600_000)
            .unwrap();
        assert!(
            !links.consume(ahead.as_str()).unwrap(),
            "made by a clock that was ahead"
        );
        let first = links.create().unwrap();
        for _ in 0..limits::SIGN_IN_LINKS {
            links.create().unwrap();
        }
        assert_eq!(links.0.current().unwrap().len(), limits::SIGN_IN_LINKS);
        assert!(!links.consume(first.as_str()).unwrap());
    }
}
