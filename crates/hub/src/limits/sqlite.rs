//! The limits of the log in a SQLite file.

use std::time::Duration;

/// Capacity of the writer's queue of appends and snapshots, about the size of one commit. Further callers block on `send`.
pub(crate) const LOG_QUEUE: usize = 1024;

/// The maximum number of appends in one commit. A commit's cost is the disk's, so larger is better until the commit's own size
/// counts.
pub(crate) const LOG_BATCH: usize = 1024;
pub(crate) const LOG_BATCH_BYTES: usize = 8 << 20;

/// Concurrent reads of the log. A read is short, and more than the disk and the processors handle gain nothing.
pub(crate) const LOG_READERS: usize = 4;

/// The wait for another program (a shell, a copy tool) that holds the file's lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The writer's wait for readers before it empties the journal of overwritten data, and the pause before it retries. The wait may
/// delay an append, and a backup reads for long.
pub(crate) const SCRUB_TIMEOUT: Duration = Duration::from_millis(100);
pub(crate) const SCRUB_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of the log's journal that stay on the disk after a burst.
pub(crate) const JOURNAL_SIZE: u64 = 64 << 20;

/// The duration and the interval of attempts to lock a log. A forked child holds the lock for some milliseconds more; a process
/// that uses the log does not release it.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(10);
