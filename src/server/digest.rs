//! Numbers of digests, for ids that are the same for the same content.

use sha2::{Digest as _, Sha256};

/// The first 128 bits of the digest.
pub fn bits(hash: Sha256) -> u128 {
    let digest = hash.finalize();
    let first = digest.iter().take(16);
    first.fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}
