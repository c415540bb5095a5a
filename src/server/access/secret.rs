//! Random secrets of 256 bits, and the hashes that are stored of them. A fast hash suffices, because a 256-bit secret cannot be
//! brute-forced.

use std::fmt::{self, Debug, Formatter};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// The prefix of a token, which lets secret scanners recognize leaked tokens.
pub const TOKEN_PREFIX: &str = "duplex_";

/// A secret of at least this length counts as random. A shorter one was chosen by a person and could be guessed.
const UNGUESSABLE_CHARS: usize = 64;

/// A secret, displayed once to its owner. `Debug` does not reveal it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// SHA-256 of a secret.
#[derive(Debug, Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl Secret {
    /// 64 hexadecimal digits.
    pub fn random() -> Self {
        // Each UUID has 122 random bits from the operating system.
        let mut hash = Sha256::new();
        for _ in 0..3 {
            hash.update(Uuid::new_v4().as_bytes());
        }
        Self(HEXLOWER.encode(&hash.finalize()))
    }

    pub fn random_token() -> Self {
        Self([TOKEN_PREFIX, &Self::random().0].concat())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> SecretHash {
        SecretHash::new(&self.0)
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl SecretHash {
    pub fn new(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

/// Compares in constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

pub const fn is_guessable(secret: &str) -> bool {
    secret.len() < UNGUESSABLE_CHARS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 lower-case hexadecimal digits")]
pub struct ParseHashError;

impl Serialize for SecretHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom(ParseHashError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_hashes_do_not_reveal_them() {
        let (one, other) = (Secret::random_token(), Secret::random_token());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), TOKEN_PREFIX.len() + 64);
        assert!(one.hash() == SecretHash::new(one.as_str()) && one.hash() != other.hash());
        assert!(!is_guessable(one.as_str()) && is_guessable("a-token-for-the-tests"));
        let written = serde_json::to_string(&one.hash()).unwrap();
        assert!(!written.contains(&one.as_str()[TOKEN_PREFIX.len()..]));
        assert_eq!(serde_json::from_str::<SecretHash>(&written).unwrap(), one.hash());
        assert_eq!(format!("{one:?}"), "Secret");
        for wrong in ["\"\"", "\"ab\"", "\"zz\"", "1"] {
            assert!(serde_json::from_str::<SecretHash>(wrong).is_err());
        }
    }
}
