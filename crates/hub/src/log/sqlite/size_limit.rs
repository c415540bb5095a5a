//! The size limit of the log's file, beyond which appends are rejected: the operator's limit, and reserved disk space, because a
//! full disk would block deletions too.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rusqlite::Connection;

use super::{database, files};
use crate::limits;

pub(super) struct SizeLimit {
    path: PathBuf,
    /// Limit of the file and its WAL together.
    max_bytes: AtomicU64,
    /// The bytes of the disk that appends leave free, for other programs and for operations that free space.
    reserve: AtomicU64,
}

/// The maximum size of a file of this process (`ulimit -f`); `None` if unlimited.
pub(super) fn rlimit_fsize() -> Option<u64> {
    let limit = rlimit::Resource::FSIZE.get_soft().ok()?;
    (limit < rlimit::INFINITY).then_some(limit)
}

/// A quarter of a limited file is reserved for operations that free space, as on the disk.
fn file_size_limit() -> u64 {
    rlimit_fsize().map_or(u64::MAX, |limit| limit - limit / 4)
}

impl SizeLimit {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: AtomicU64::new(u64::MAX),
            reserve: AtomicU64::new(limits::DISK_RESERVE),
        }
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes.load(Relaxed)
    }

    pub(super) fn set(&self, max_bytes: u64, reserve: u64) {
        self.max_bytes.store(max_bytes, Relaxed);
        self.reserve.store(reserve, Relaxed);
    }

    /// The bytes by which the log may grow. Truncates the WAL first if fewer than `needed` are free. Free pages of the file count
    /// as free: they are reused before the file grows.
    pub(super) fn available(&self, log: &Connection, needed: u64) -> u64 {
        let max_bytes = self.max_bytes().min(file_size_limit());
        let mut used = self.used(log);
        // The WAL duplicates pages of the file.
        if max_bytes.saturating_sub(used) < needed
            && files::wal_bytes(&self.path) > 0
            && database::truncate_wal(log).is_ok()
        {
            used = self.used(log);
        }
        max_bytes.saturating_sub(used).min(self.left_on_disk())
    }

    fn used(&self, log: &Connection) -> u64 {
        let pages = |pragma| {
            log.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0))
                .unwrap_or(0)
        };
        let empty = pages("freelist_count").saturating_mul(pages("page_size"));
        files::size_with_wal(&self.path).saturating_sub(empty)
    }

    /// If the free space cannot be determined, a full disk is detected by a failed write.
    fn left_on_disk(&self) -> u64 {
        let Ok(disk) = rustix::fs::statvfs(files::parent_dir(&self.path)) else {
            return u64::MAX;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        free.saturating_sub(self.reserve.load(Relaxed))
    }
}
