//! The store of tokens with roles: their names, roles, expiries and revocations. Only a token's hash is stored.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::json_file::{JsonFile, JsonFileError, with_suffix};
use super::secret::{Secret, SecretHash};
use crate::server::limits;
use duplex_hub::Role;

/// Milliseconds since 1970.
pub type Millis = u64;

/// The id of the legacy token, of `--token` or next to the data file, which is not in the list.
pub const LEGACY: &str = "legacy";

/// The stored record of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Public id: eight hexadecimal digits.
    pub id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub role: Role,
    pub created: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Millis>,
    sha256: SecretHash,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tokens {
    #[serde(default)]
    tokens: Vec<TokenRecord>,
    /// Revoked legacy tokens.
    #[serde(default)]
    revoked_legacy: Vec<SecretHash>,
    /// The legacy token is disabled: none is created.
    #[serde(default, rename = "no_legacy")]
    legacy_disabled: bool,
}

/// Why a token is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenEnd {
    #[error("the token is revoked")]
    Revoked,
    #[error("the token has expired")]
    Expired,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    File(#[from] JsonFileError),
    #[error("there is no token {0}; `duplex token list` shows their ids")]
    Unknown(String),
    #[error("there are {max} tokens; revoke some", max = limits::TOKENS)]
    Full,
}

impl TokenRecord {
    pub fn end(&self, now: Millis) -> Option<TokenEnd> {
        match (self.revoked, self.expires) {
            (Some(_), _) => Some(TokenEnd::Revoked),
            (None, Some(expires)) if expires <= now => Some(TokenEnd::Expired),
            _ => None,
        }
    }

    fn ended_at(&self) -> Option<Millis> {
        self.revoked.into_iter().chain(self.expires).min()
    }
}

pub struct TokenStore(JsonFile<Tokens>);

impl TokenStore {
    /// In memory if `file` is `None`.
    pub fn new(file: Option<PathBuf>, changes: watch::Sender<u64>) -> Self {
        Self(JsonFile::new(file, changes))
    }

    /// The file of tokens that belongs to a data file.
    pub fn path(data: &Path) -> PathBuf {
        with_suffix(data, ".tokens")
    }

    /// Creates a token. The first one creates the file.
    pub fn create(
        &self,
        role: Role,
        name: &str,
        lifetime: Option<Duration>,
    ) -> Result<(Secret, TokenRecord), TokenError> {
        let (secret, now) = (Secret::random_token(), now());
        let record = TokenRecord {
            id: uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect(),
            name: name.to_owned(),
            role,
            created: now,
            expires: lifetime.map(|lifetime| now.saturating_add(millis(lifetime))),
            revoked: None,
            sha256: secret.hash(),
        };
        let added = record.clone();
        let fits = self.0.update(|tokens| tokens.add(added, now))?;
        if fits {
            Ok((secret, record))
        } else {
            Err(TokenError::Full)
        }
    }

    pub fn revoke(&self, id: &str) -> Result<(), TokenError> {
        let now = now();
        let found = self.0.update(|tokens| {
            let token = tokens.tokens.iter_mut().find(|token| token.id == id);
            token.map(|token| token.revoked.get_or_insert(now)).is_some()
        })?;
        found.then_some(()).ok_or_else(|| TokenError::Unknown(id.to_owned()))
    }

    /// Revokes the given legacy tokens, and stops the creation of one next to the data file.
    pub fn revoke_legacy<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> Result<(), TokenError> {
        let hashes: Vec<_> = known.into_iter().map(SecretHash::new).collect();
        Ok(self.0.update(|tokens| {
            tokens.legacy_disabled = true;
            for hash in hashes {
                if !tokens.revoked_legacy.contains(&hash) {
                    tokens.revoked_legacy.push(hash);
                }
            }
        })?)
    }

    /// Whether a legacy token is created next to the data file and accepted.
    pub fn is_legacy_enabled(&self) -> Result<bool, JsonFileError> {
        Ok(!self.0.current()?.legacy_disabled)
    }

    pub fn is_legacy_revoked(&self, token: SecretHash) -> Result<bool, JsonFileError> {
        Ok(self.0.current()?.revoked_legacy.contains(&token))
    }

    /// All tokens, oldest first.
    pub fn list(&self) -> Result<Vec<TokenRecord>, JsonFileError> {
        Ok(self.0.current()?.tokens.clone())
    }

    /// Compares with every token, so that the duration does not reveal which one matches.
    pub fn find(&self, token: SecretHash) -> Result<Option<TokenRecord>, JsonFileError> {
        let tokens = self.0.current()?;
        let mut found = None;
        for known in &tokens.tokens {
            if known.sha256 == token {
                found = Some(known.clone());
            }
        }
        Ok(found)
    }

    pub fn get(&self, id: &str) -> Result<Option<TokenRecord>, JsonFileError> {
        let tokens: Arc<Tokens> = self.0.current()?;
        Ok(tokens.tokens.iter().find(|token| token.id == id).cloned())
    }
}

impl Tokens {
    /// Adds a token if there is room. Purges tokens past their retention; until then a rejection can name its reason.
    fn add(&mut self, token: TokenRecord, now: Millis) -> bool {
        let long_ago = now.saturating_sub(millis(limits::ENDED_TOKEN_RETENTION));
        self.tokens
            .retain(|token| token.ended_at().is_none_or(|ended| ended > long_ago));
        let fits = self.tokens.len() < limits::TOKENS;
        if fits {
            self.tokens.push(token);
        }
        fits
    }
}

pub fn now() -> Millis {
    duplex_hub::now()
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> TokenStore {
        TokenStore::new(None, watch::Sender::default())
    }

    #[test]
    fn a_token_is_found_by_its_hash() {
        let store = store();
        let (secret, record) = store.create(Role::Read, "graphs", None).unwrap();
        let found = store.find(secret.hash()).unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.end(now())), (record.id.as_str(), None));
        assert!(store.find(SecretHash::new("duplex_other")).unwrap().is_none());
        let (short, _) = store.create(Role::Read, "", Some(Duration::ZERO)).unwrap();
        let ended = store.find(short.hash()).unwrap().unwrap();
        assert_eq!(ended.end(now()), Some(TokenEnd::Expired));
        store.revoke(&record.id).unwrap();
        let revoked = store.find(secret.hash()).unwrap().unwrap();
        assert_eq!(revoked.end(now()), Some(TokenEnd::Revoked));
        assert!(matches!(store.revoke("none"), Err(TokenError::Unknown(_))));
    }

    #[test]
    fn the_file_does_not_contain_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = TokenStore::path(&dir.path().join("duplex.db"));
        let store = TokenStore::new(Some(path.clone()), watch::Sender::default());
        let (secret, _) = store.create(Role::Operator, "me", None).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("\"operator\"") && !text.contains(&secret.as_str()[10..]));
    }

    #[test]
    fn the_number_of_tokens_is_limited_and_long_ended_ones_are_removed() {
        let mut tokens = Tokens::default();
        let (secret, now) = (Secret::random(), 1 << 50);
        let token = |revoked| TokenRecord {
            id: "x".to_owned(),
            name: String::new(),
            role: Role::Read,
            created: 0,
            expires: None,
            revoked,
            sha256: secret.hash(),
        };
        for _ in 0..limits::TOKENS - 1 {
            assert!(tokens.add(token(None), now));
        }
        assert!(tokens.add(token(Some(1)), now));
        assert!(tokens.add(token(Some(now)), now), "one ended long ago");
        assert!(!tokens.add(token(None), now), "one ended just now");
    }
}
