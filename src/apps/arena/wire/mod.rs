//! The messages of the arena's connection, and its topic of high scores. Depends on the model; independent of server and view.

pub mod bytes;
pub mod frame;
pub mod input;
mod lists;
pub mod scores;

use serde::{Deserialize, Serialize};

use duplex_protocol::person::MAX_NAME;

/// The path of the arena's simulation endpoint.
pub const ARENA_PATH: &str = "/api/arena";
/// The longest name in bytes: four per character.
pub const MAX_NAME_BYTES: usize = 4 * MAX_NAME;
/// The length of a round; then all players start again in a new world.
pub const ROUND_SECONDS: u32 = 300;
/// How long a body stays in the world after its player disconnects.
pub const GRACE_SECONDS: u32 = 20;

/// The state that the page renders before it connects (the simulation's preview).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArenaPreview {
    pub players: u16,
    #[serde(rename = "board")]
    pub leaderboard: Vec<frame::LeaderboardRow>,
}
