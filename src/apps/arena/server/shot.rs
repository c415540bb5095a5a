//! A picture of the world after a tick, for all seats to look at. Knows neither who looks nor how.

use std::sync::OnceLock;

use bytes::Bytes;

use super::pilots::SeatNumber;
use crate::apps::arena::model::sight::Scene;

/// A player's body: which seat steers it, and the newest intent that moved it.
pub struct Flight {
    pub id: u16,
    pub seat: Option<SeatNumber>,
    pub acked: u32,
}

/// The world after a tick, for everybody.
pub struct Shot {
    /// Since the server's start; from 1.
    pub tick: u32,
    pub round: u32,
    pub seed: u64,
    pub left: u16,
    pub scene: Scene,
    pub players: u16,
    pub watchers: u16,
    pub pilots: Vec<Flight>,
    /// The whole of it as JSON, when it was first asked for.
    pub json: OnceLock<Bytes>,
}
