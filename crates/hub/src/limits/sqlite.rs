//! The limits of the log in a SQLite file.

use std::time::Duration;

/// Appends and snapshots that wait for the log's writer; who comes then waits to be let in. About what one commit takes.
pub(crate) const LOG_QUEUE: usize = 1024;

/// Appends of one commit: a commit's cost is the disk's, so the more the better, until its own size is felt.
pub(crate) const LOG_BATCH: usize = 1024;
pub(crate) const LOG_BATCH_BYTES: usize = 8 << 20;

/// Reads of the log at once: a read is short, and more than the disk and the processors can do gains nothing.
pub(crate) const LOG_READERS: usize = 4;

/// How long the log waits for another program (a shell, a tool that copies) that holds its file.
pub(crate) const LOG_PATIENCE: Duration = Duration::from_secs(5);

/// How long the log's writer waits for readers before it empties the journal of what was overwritten, and the pause before it tries
/// again: an append may be held up by the first, and a backup reads for as long as it takes.
pub(crate) const LOG_SCRUB_PATIENCE: Duration = Duration::from_millis(100);
pub(crate) const LOG_SCRUB_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of the log's journal that are left on the disk after a burst.
pub(crate) const LOG_JOURNAL: u64 = 64 << 20;

/// How long a log that is held is asked for, and how often. A fork holds it for some milliseconds more; whoever has it in
/// use does not let go.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_millis(500);
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(10);
