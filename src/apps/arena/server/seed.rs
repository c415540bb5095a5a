//! Seeds of rounds.

use std::hash::{BuildHasher as _, RandomState};

/// The source of each round's seed.
pub type SeedSource = Box<dyn FnMut() -> u64 + Send>;

/// A random number from the operating system, via `RandomState`.
pub fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}
