//! The topic `scores/all`: the high scores, which only the server writes.

use serde::{Deserialize, Serialize};

use duplex_protocol::person::Person;

/// The name, without its kind, of the only topic of kind `scores`.
pub const ALL: &str = "all";

/// The kind `scores`.
#[derive(Debug, Clone, Copy)]
pub struct Scores;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub by: Person,
    /// The largest mass of the person's body.
    pub mass: u32,
    /// Milliseconds since 1970, by the server's clock.
    pub at: u64,
}
