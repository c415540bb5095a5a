//! Limits of signals and measurements, each with its reason.

use std::time::Duration;

/// Measurement runs whose bytes are counted, transports per run, and the retention of an unused run: a run takes a minute, and its
/// results are read for some more.
pub const MEASURED_RUNS: usize = 256;
pub const MEASURED_TRANSPORTS: usize = 24;
pub const MEASUREMENT_RETENTION: Duration = Duration::from_secs(600);

/// Maximum message of a client to the signals socket in bytes, and its rate limit: a page sends one message, or a few at once.
pub const MAX_SIGNAL_MESSAGE: usize = 4 << 10;
pub const SIGNAL_INTERVAL: Duration = Duration::from_millis(250);
pub const SIGNAL_BURST: u32 = 10;

/// Maximum signals to which one socket may subscribe; a page subscribes to one.
pub const MAX_SIGNAL_SUBSCRIPTIONS: usize = 8;

/// Signals of measurement runs, the idle time after which one is removed, and the idle time after which one may be evicted for
/// another: 16 MiB at most.
pub const SIGNAL_RUNS: usize = 256;
pub const SIGNAL_RUN_RETENTION: Duration = Duration::from_secs(120);
pub const SIGNAL_RUN_IDLE: Duration = Duration::from_secs(10);

/// Mailboxes of measurements, the messages and bytes that one retains for polling clients, and the retention of an unused one:
/// 16 MiB at most.
pub const MAILBOXES: usize = 128;
pub const MAILBOX_MESSAGES: usize = 64;
pub const MAILBOX_BYTES: usize = 128 << 10;
pub const MAILBOX_RETENTION: Duration = Duration::from_secs(120);
