//! Bounds of what a machine or a network that stands still may cost, each with its reason.

use std::time::Duration;

/// How long a peer's kernel may leave unconfirmed what it was sent, or keep its window shut: the connection to one that vanished,
/// or stands still, ends with it. Longer than [`STALL`](super::STALL), so that a session's end is told by the session.
pub const TCP_UNCONFIRMED: Duration = Duration::from_secs(25);
