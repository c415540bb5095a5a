//! Fixed limits of the server, each with its reason.

mod access;
mod signals;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use self::access::*;
pub use self::signals::*;
pub use duplex_axum::limits::*;
pub use duplex_hub::limits::*;

/// Range of `--max-message`: at least a control frame, and small enough that a few peers cannot exhaust memory.
pub const MESSAGE_BOUNDS: RangeInclusive<usize> = 125..=64 << 20;

/// File descriptors reserved for everything but visitors' connections: the log, the built front end, outgoing connections, and
/// connections for health checks.
pub const RESERVED_FDS: u64 = 256;

/// Maximum posted form in bytes.
pub const FORM_BYTES: usize = 64 << 10;

/// Compression levels for dynamic responses. Brotli for pages: the next level takes half as long again and saves 7 % of 18 kB.
/// 128 KiB window: enough for every page. Gzip for data: level 1 makes some of it larger.
pub const BROTLI_LEVEL: u32 = 3;
pub const BROTLI_LGWIN: u32 = 17;
pub const GZIP_LEVEL: u32 = 2;

/// Buffers of a Brotli encoder from this size on are reused: the system's allocator returns such blocks to the kernel when they
/// are freed. 16 MiB of free ones serve eight encoders of 2 MB.
pub const BROTLI_REUSED_BYTES: usize = 32 << 10;
pub const BROTLI_FREE_BYTES: usize = 16 << 20;

/// Cached HTML fragments: 1 kB each; the market's rows in two languages are a few hundred.
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

/// Startup timeout for loading the moderation rules before serving.
pub const RULES_LOAD_TIMEOUT: Duration = Duration::from_secs(10);
