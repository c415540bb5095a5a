//! The state of a round after a tick, shared by all viewers.

use std::sync::OnceLock;

use bytes::Bytes;

use super::players::ViewerId;
use crate::apps::arena::model::visibility::WorldSnapshot;

/// A player's body, the viewer that controls it, and the newest applied input.
pub struct PlayerSnapshot {
    pub id: u16,
    pub viewer: Option<ViewerId>,
    pub acked_input: u32,
}

/// The state of a round after a tick.
pub struct RoundSnapshot {
    /// Ticks since the server started, from 1.
    pub tick: u32,
    pub round: u32,
    pub seed: u64,
    pub seconds_left: u16,
    pub world: WorldSnapshot,
    pub player_count: u16,
    pub spectator_count: u16,
    /// Sorted by id.
    pub players: Vec<PlayerSnapshot>,
    /// The whole snapshot as JSON, encoded on first use.
    pub json: OnceLock<Bytes>,
}
