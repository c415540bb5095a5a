//! The limits of the log in a SQLite file.

use std::time::Duration;

/// Capacity of the writer's queue of appends and snapshots, about the size of one commit. Further callers block on `send`.
pub(crate) const LOG_QUEUE: usize = 1024;

/// The maximum number of appends in one commit, and of their bytes. The disk sync dominates a commit's cost, so larger batches are
/// better until their size dominates.
pub(crate) const LOG_BATCH: usize = 1024;
pub(crate) const LOG_BATCH_BYTES: usize = 8 << 20;

/// Concurrent reads of the log. A read is short, and more concurrency than the disk and the CPUs can use gains nothing.
pub(crate) const LOG_READERS: usize = 4;

/// The wait for another program (a shell, a copy tool) that holds the file's lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the writer waits for readers before it truncates the WAL, which still contains redacted data, and the pause before it
/// retries. A wait delays appends, and a backup may read for a long time.
pub(crate) const SCRUB_TIMEOUT: Duration = Duration::from_millis(100);
pub(crate) const SCRUB_PAUSE: Duration = Duration::from_secs(1);

/// SQLite's `journal_size_limit`: the WAL is truncated to this size after a burst.
pub(crate) const WAL_SIZE_LIMIT: u64 = 64 << 20;

/// The pages of the WAL, 16 MiB, at which a commit writes them to the file. A page that many commits changed is then written once, and
/// the file is synced less often. A larger WAL makes reads and the next start slower.
pub(crate) const CHECKPOINT_PAGES: u32 = 4096;

/// The writer's page cache, 16 MiB. A commit of a thousand topics changes some 3,000 pages of 4 KiB: with SQLite's 2 MiB, pages are
/// written to the WAL before the commit, read again and written again.
pub(crate) const WRITER_CACHE_KIB: i32 = 16 << 10;

/// The writer's prepared statements: more than it has, so that none is prepared twice.
pub(crate) const STATEMENTS: usize = 64;

/// The duration and the interval of attempts to lock a log. They cover a forked child that still holds the lock for a few
/// milliseconds; a live owner does not release it.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(10);
