//! Every bound of the server that is not configuration, in one place, each with its reason.
//! Knows no part that keeps to them.

mod access;
mod side;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use self::access::*;
pub use self::side::*;
pub use duplex_axum::limits::*;
pub use duplex_hub::limits::*;

/// What a message may be configured to: enough for a control frame at least, and not so much that a few peers fill the memory.
pub const MESSAGE_BOUNDS: RangeInclusive<usize> = 125..=64 << 20;

/// Files of the process that are no connections of visitors: the log, the built front end, connections to others, and the
/// places for health checks.
pub const OTHER_FILES: u64 = 256;

/// Bytes of a posted form.
pub const FORM_BYTES: usize = 64 << 10;

/// Levels of compression for what is made anew: brotli for pages, where one more level costs a millisecond and saves a fiftieth.
/// The window holds any page; a larger one allocates 1.6 MB per page that the allocator returns to the system each time, which
/// costs another millisecond. gzip at its cheapest for data.
pub const PAGE_BROTLI: u32 = 4;
pub const BROTLI_WINDOW: u32 = 17;
pub const GZIP: u32 = 1;

/// Fragments of pages whose HTML is kept: 1 kB each, the rows of the market in two languages being some hundred.
pub const PAGE_FRAGMENTS: usize = 1_000;

/// Data of fewer bytes goes as it is.
pub const LEAST_COMPRESSED: u64 = 1024;

/// What the commands of one session in a second may be configured to: not none, and not more than a clock tells apart.
pub const COMMAND_RATES: RangeInclusive<u32> = 1..=1_000_000;

/// What the log's file and its journal may be configured to. An empty log has some pages; below the least it could hold nothing.
pub const DATA_BOUNDS: RangeInclusive<u64> = 1 << 20..=1 << 60;

/// Until a background task that failed is started again: twice as long after each failure, and from the start once it ran well for so long.
pub const TASK_PAUSE: Duration = Duration::from_secs(1);
pub const TASK_PAUSE_MOST: Duration = Duration::from_secs(60);
pub const TASK_WELL: Duration = Duration::from_secs(60);

/// How long a start waits for the bans, given names and closed topics: from then on nobody slips by them.
pub const RULES_WAIT: Duration = Duration::from_secs(10);
