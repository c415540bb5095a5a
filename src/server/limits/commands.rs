//! Bounds on the ids of commands, and on what is remembered of refusals.

use std::time::Duration;

/// How far the time in a command's id may be ahead of the server's clock: what two clocks that are set over the network, and a
/// slow connection between them, may differ by.
pub const ID_AHEAD: Duration = Duration::from_secs(60);

/// A topic forgets no refusal whose id has a time that is less than this ago, [`ID_AHEAD`] and as much again: it would refuse every
/// id of that time. Who sends so many commands that are refused is too fast, and may come again after so many milliseconds.
pub const REFUSALS_YOUNG: Duration = Duration::from_secs(120);
pub const REFUSALS_RETRY: u32 = 2_000;

/// Characters of a refusal's reason that are remembered: a reason may quote what the client wrote.
pub const REMEMBERED_REASON: usize = 120;
