//! How much the log's file may grow before its appends are refused: what the operator allows, and never so much that the disk is
//! full, for then nothing could be taken away either. Knows no thread.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rusqlite::Connection;

use super::{files, schema};
use crate::limits;

pub(super) struct Room {
    path: PathBuf,
    /// Of the file and its journal.
    most: AtomicU64,
    /// Of the disk, left to others and to what makes room.
    reserve: AtomicU64,
}

/// The bytes that one file of this process may have (`ulimit -f`); none if any number.
pub(super) fn file_limit() -> Option<u64> {
    let limit = rlimit::Resource::FSIZE.get_soft().ok()?;
    (limit < rlimit::INFINITY).then_some(limit)
}

/// A quarter of a file that is limited is left to what makes room, as on the disk.
fn file_room() -> u64 {
    file_limit().map_or(u64::MAX, |limit| limit - limit / 4)
}

impl Room {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            most: AtomicU64::new(u64::MAX),
            reserve: AtomicU64::new(limits::DISK_RESERVE),
        }
    }

    pub(super) fn most(&self) -> u64 {
        self.most.load(Relaxed)
    }

    pub(super) fn allow(&self, most: u64, reserve: u64) {
        self.most.store(most, Relaxed);
        self.reserve.store(reserve, Relaxed);
    }

    /// Bytes by which the log may grow, of which so many are needed. Pages of the file that are empty count as room: they are written
    /// before it grows.
    pub(super) fn free(&self, log: &Connection, needed: u64) -> u64 {
        let most = self.most().min(file_room());
        let mut used = self.used(log);
        // A journal holds what the file holds already, or soon will.
        if most.saturating_sub(used) < needed
            && files::journal_bytes(&self.path) > 0
            && schema::empty_journal(log).is_ok()
        {
            used = self.used(log);
        }
        most.saturating_sub(used).min(self.left_on_disk())
    }

    fn used(&self, log: &Connection) -> u64 {
        let pages = |pragma| {
            log.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0))
                .unwrap_or(0)
        };
        let empty = pages("freelist_count").saturating_mul(pages("page_size"));
        files::bytes(&self.path).saturating_sub(empty)
    }

    /// A disk that cannot be asked says so when it is full.
    fn left_on_disk(&self) -> u64 {
        let Ok(disk) = rustix::fs::statvfs(files::folder(&self.path)) else {
            return u64::MAX;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        free.saturating_sub(self.reserve.load(Relaxed))
    }
}
