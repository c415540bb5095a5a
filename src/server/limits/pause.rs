//! Bounds of what a machine or a network that stands still may cost, each with its reason.

use std::time::Duration;

/// A timer that rings so much too late was not late: the process did not run, and nobody's silence is counted from before.
pub const CLOCK_GAP: Duration = Duration::from_secs(2);

/// What those who poll have after such a pause to ask again, before they are taken for gone.
pub const RESUME_GRACE: Duration = Duration::from_secs(10);

/// How long a peer's kernel may leave unconfirmed what it was sent, or keep its window shut: the connection to one that vanished,
/// or stands still, ends with it. Longer than [`STALL`](super::STALL), so that a session's end is told by the session.
pub const TCP_UNCONFIRMED: Duration = Duration::from_secs(25);

/// How long a stream of version 1 goes on whose session posts nothing: its client is never asked to answer, so one that does not
/// read shows only by not coming back. Coming back costs a request and no event, and long polling does so six times as often.
pub const SSE_UNANSWERED: Duration = Duration::from_secs(120);
