//! Bounds of what is no topic: simulations, signals and measurements, each with its reason.

use std::time::Duration;

/// Runs of measurements whose bytes are counted, ways of one run, and how long a run is known that nobody asks about: a run takes
/// a minute, and looking at it some more.
pub const MEASURED_RUNS: usize = 256;
pub const MEASURED_WAYS: usize = 24;
pub const MEASURED_AGE: Duration = Duration::from_secs(600);

/// What a socket of signals may say: a name, and what stands around it. A page says one message, and a few at most at once.
pub const SIGNAL_MESSAGE: usize = 4 << 10;
pub const SIGNAL_EVERY: Duration = Duration::from_millis(250);
pub const SIGNAL_BURST: u32 = 10;

/// Signals that one socket follows: a page follows one.
pub const SIGNALS_FOLLOWED: usize = 8;

/// Signals of measurements, how long one is kept unused, and from when on it may make room for another: 16 MiB at most.
pub const SIGNAL_RUNS: usize = 256;
pub const SIGNAL_RUN_AGE: Duration = Duration::from_secs(120);
pub const SIGNAL_RUN_IDLE: Duration = Duration::from_secs(10);

/// Boxes of measurements, what one keeps for those who come to look, and how long it is kept unused: 16 MiB at most.
pub const MAILBOXES: usize = 128;
pub const MAILBOX_MESSAGES: usize = 64;
pub const MAILBOX_BYTES: usize = 128 << 10;
pub const MAILBOX_AGE: Duration = Duration::from_secs(120);
