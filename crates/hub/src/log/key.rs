//! The secret of a log.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

pub(super) const KEY_BYTES: usize = 32;

/// The secret of a log, from which public ids are derived. No answer and no log line contains it; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct LogSecret([u8; KEY_BYTES]);

impl LogSecret {
    /// The key with these bytes, for a store.
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// A new key with 244 random bits from the operating system.
    pub fn random() -> Self {
        let mut bytes = [0; KEY_BYTES];
        for half in bytes.chunks_mut(16) {
            half.copy_from_slice(Uuid::new_v4().as_bytes());
        }
        Self(bytes)
    }

    /// The bytes, for the store.
    pub const fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// 128 bits of HMAC-SHA256 (RFC 2104). `domain` separates uses: the same text in two domains gives two unrelated codes.
    pub fn mac(&self, domain: &str, text: &str) -> [u8; 16] {
        let mut mac = [0; 16];
        // HMAC accepts a key of any length.
        if let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            hmac.update(domain.as_bytes());
            hmac.update(&[0]);
            hmac.update(text.as_bytes());
            for (byte, digest) in mac.iter_mut().zip(hmac.finalize().into_bytes()) {
                *byte = digest;
            }
        }
        mac
    }
}

impl fmt::Debug for LogSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSecret")
    }
}
