//! All limits of the server that are not configurable, each with its reason.

mod access;
mod signals;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use self::access::*;
pub use self::signals::*;
pub use duplex_axum::limits::*;
pub use duplex_hub::limits::*;

/// Range of `--max-message`: at least a control frame, and not so much that a few peers fill the memory.
pub const MESSAGE_BOUNDS: RangeInclusive<usize> = 125..=64 << 20;

/// File descriptors reserved for other things than visitors' connections: the log, the built front end, outgoing connections, and
/// connections for health checks.
pub const OTHER_FILES: u64 = 256;

/// Largest posted form in bytes.
pub const FORM_BYTES: usize = 64 << 10;

/// Compression levels for dynamic responses. Brotli for pages: one more level costs a millisecond and saves a fiftieth.
/// The window holds any page; a larger one allocates 1.6 MB per page that the allocator returns to the system each time, which
/// costs another millisecond. Gzip at its lowest level for data.
pub const PAGE_BROTLI: u32 = 4;
pub const BROTLI_WINDOW: u32 = 17;
pub const GZIP: u32 = 1;

/// Cached HTML fragments: 1 kB each; the rows of the market in two languages are some hundred.
pub const PAGE_FRAGMENTS: usize = 1_000;

/// Data of fewer bytes is not compressed.
pub const MIN_COMPRESSED_BYTES: u64 = 1024;

/// Range of `--command-rate`: at least one per second, at most what the clock can resolve.
pub const COMMAND_RATES: RangeInclusive<u32> = 1..=1_000_000;

/// Range of `--max-data`, for the log's file and journal. Below the minimum an empty log's pages would already exceed it.
pub const DATA_BOUNDS: RangeInclusive<u64> = 1 << 20..=1 << 60;

/// Backoff before a failed background task is restarted: doubles with each failure up to the maximum, and is reset once the task
/// ran for [`TASK_STABLE_AFTER`].
pub const TASK_RESTART_DELAY: Duration = Duration::from_secs(1);
pub const TASK_RESTART_DELAY_MAX: Duration = Duration::from_secs(60);
pub const TASK_STABLE_AFTER: Duration = Duration::from_secs(60);

/// Longest time that the server's start waits for the moderation rules to be loaded, so that no request precedes them.
pub const RULES_LOAD_TIMEOUT: Duration = Duration::from_secs(10);
