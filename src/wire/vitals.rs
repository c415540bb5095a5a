//! The node's vital signs, published as a signal.

use serde::{Deserialize, Serialize};

/// The name of the `leptos_ws` signal that carries [`Vitals`].
pub const VITALS: &str = "vitals";

/// Seconds between two values.
pub const BEAT_SECONDS: u64 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// Sequence number since the server started, 0 before the first; if it stops increasing, the values are stale.
    pub beat: u64,
    pub node: String,
    /// Open WebSockets on this node's endpoints, without the one that carries this value.
    pub connections: u64,
    /// Messages over those sockets during the last beat.
    pub received: u64,
    pub sent: u64,
    pub uptime_seconds: u64,
}
