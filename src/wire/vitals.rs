//! The node's vital signs: one small server-owned value, of which only the latest matters.

use serde::{Deserialize, Serialize};

/// The name of the `leptos_ws` signal that carries [`Vitals`].
pub const VITALS: &str = "vitals";

/// Seconds between two values.
pub const BEAT_SECONDS: u64 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// Counts the values since the server started; 0 is none yet. A strip whose beat stands still is not live.
    pub beat: u64,
    pub node: String,
    /// WebSockets open now on this node's endpoints; the one that carries this value is not among them.
    pub connections: u64,
    /// Messages over those sockets during the last beat.
    pub received: u64,
    pub sent: u64,
    pub uptime_seconds: u64,
}
