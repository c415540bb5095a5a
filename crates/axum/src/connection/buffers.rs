//! The node's budget of buffered bytes: partially received messages, and responses that their peers do not read. When the sum
//! exceeds the budget, the connection that holds the largest share is closed, then the next, until the rest fits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::connection::counters::{Counters, DisconnectReason};
use crate::lock::lock;

/// The budget of a node's buffered bytes. All clones share one budget.
#[derive(Debug, Clone)]
pub struct BufferBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    counters: Arc<Counters>,
    buffered: AtomicUsize,
    next: AtomicU64,
    /// Shares that have buffered bytes at least once, by id.
    shares: Mutex<HashMap<u64, Arc<ShareState>>>,
}

#[derive(Debug, Default)]
struct ShareState {
    bytes: AtomicUsize,
    revoked: CancellationToken,
    closed: AtomicBool,
}

impl BufferBudget {
    pub(crate) fn new(limit: usize, counters: Arc<Counters>) -> Self {
        Self(Arc::new(Inner {
            limit,
            counters,
            buffered: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            shares: Mutex::default(),
        }))
    }

    /// One connection's share, empty at first.
    pub(crate) fn share(&self) -> Arc<BufferShare> {
        Arc::new(BufferShare {
            budget: Arc::clone(&self.0),
            id: self.0.next.fetch_add(1, Relaxed),
            state: Arc::default(),
        })
    }

    /// Bytes that all connections currently buffer.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.0.buffered.load(Relaxed)
    }

    /// The budget, in bytes: [`Settings::max_buffered`](crate::Settings::max_buffered).
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit
    }
}

impl Inner {
    fn shares(&self) -> MutexGuard<'_, HashMap<u64, Arc<ShareState>>> {
        lock(&self.shares)
    }

    /// Revokes the largest shares until the rest fits the limit. Shares that are already revoked do not count: they are about to be
    /// released.
    fn revoke_largest(&self) {
        let shares = self.shares();
        let mut active: Vec<_> = shares
            .values()
            .filter(|state| !state.revoked.is_cancelled())
            .map(|state| (state.bytes.load(Relaxed), state))
            .collect();
        let mut sum: usize = active.iter().map(|(bytes, _)| bytes).sum();
        if sum <= self.limit {
            return;
        }
        active.sort_unstable_by_key(|(bytes, _)| *bytes);
        while let Some((bytes, state)) = active.pop().filter(|_| sum > self.limit) {
            state.revoked.cancel();
            self.counters.count_disconnect(DisconnectReason::Memory);
            sum -= bytes;
        }
    }
}

/// The bytes that one connection buffers, released when the share is dropped.
#[derive(Debug)]
pub(crate) struct BufferShare {
    budget: Arc<Inner>,
    id: u64,
    state: Arc<ShareState>,
}

impl BufferShare {
    pub(crate) fn grow(&self, bytes: usize) {
        if bytes == 0 || self.state.closed.load(Relaxed) {
            return;
        }
        if self.state.bytes.fetch_add(bytes, Relaxed) == 0 {
            self.budget.shares().insert(self.id, Arc::clone(&self.state));
        }
        let buffered = self.budget.buffered.fetch_add(bytes, Relaxed) + bytes;
        if buffered > self.budget.limit {
            self.budget.revoke_largest();
        }
    }

    /// Releases `bytes`, or all buffered bytes if they are fewer.
    pub(crate) fn shrink(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let Ok(before) = self
            .state
            .bytes
            .try_update(Relaxed, Relaxed, |buffered| Some(buffered.saturating_sub(bytes)))
        else {
            return;
        };
        self.budget.buffered.fetch_sub(before.min(bytes), Relaxed);
    }

    /// Releases all bytes; later calls of [`grow`](Self::grow) have no effect.
    pub(crate) fn close(&self) {
        self.state.closed.store(true, Relaxed);
        self.shrink(usize::MAX);
    }

    #[cfg(test)]
    fn buffered(&self) -> usize {
        self.state.bytes.load(Relaxed)
    }

    /// Completes when the share is revoked: the connection must then be closed.
    pub(crate) fn revoked(&self) -> WaitForCancellationFuture<'_> {
        self.state.revoked.cancelled()
    }

    #[cfg(test)]
    fn is_revoked(&self) -> bool {
        self.state.revoked.is_cancelled()
    }
}

impl Drop for BufferShare {
    fn drop(&mut self) {
        self.shrink(usize::MAX);
        self.budget.shares().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_largest_share_is_revoked() {
        let counters = Arc::new(Counters::default());
        let budget = BufferBudget::new(100, Arc::clone(&counters));
        let [small, large, last] = [(); 3].map(|()| budget.share());
        small.grow(10);
        large.grow(80);
        last.grow(10);
        assert!(!large.is_revoked());
        last.grow(1);
        assert_eq!(
            [&small, &large, &last].map(|share| share.is_revoked()),
            [false, true, false]
        );
        last.grow(60);
        assert!(!last.is_revoked(), "a revoked share no longer counts");
        last.grow(20);
        assert!(last.is_revoked() && !small.is_revoked());
        assert_eq!(counters.snapshot().disconnects(DisconnectReason::Memory), 2);
        drop((large, last));
        assert_eq!(budget.buffered(), 10);
        small.shrink(1000);
        assert_eq!((budget.buffered(), small.buffered()), (0, 0));
    }
}
