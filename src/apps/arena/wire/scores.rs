//! The topic `scores/all`: the best scores, which only the server writes.

use serde::{Deserialize, Serialize};

use duplex_protocol::person::Person;

/// The only topic of kind `scores`, behind its kind.
pub const ALL: &str = "all";

#[derive(Debug, Clone, Copy)]
pub struct Scores;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub by: Person,
    /// The most that their body weighed.
    pub mass: u32,
    /// Milliseconds since 1970, by the server's clock.
    pub at: u64,
}
