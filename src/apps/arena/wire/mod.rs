//! What is said over the arena's own line, and its topic of best scores. Knows the game's numbers, neither server nor page.

pub mod bytes;
pub mod frame;
mod lists;
pub mod scores;
pub mod turn;

use serde::{Deserialize, Serialize};

use duplex_protocol::person::MAX_NAME;

/// Where the arena's door is.
pub const ARENA_PATH: &str = "/api/arena";
/// Bytes of a name: four for each of its characters.
pub const MAX_NAME_BYTES: usize = 4 * MAX_NAME;
/// A round lasts five minutes; then all begin anew, in a new world.
pub const ROUND_SECONDS: u32 = 300;
/// How long a body waits for a player who is gone.
pub const HELD_SECONDS: u32 = 20;

/// The arena in a few words, for a page without a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glance {
    pub players: u16,
    pub board: Vec<frame::Row>,
}
