//! [`Wake`]: one per session, shared by all its topics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};

use tokio::sync::Notify;

/// Wakes a reader that waits for events. Carries no payload: the reader reads its topics itself. Wakes are coalesced until the
/// reader runs.
#[derive(Debug, Default)]
pub struct Wake {
    /// Set from [`Wake::wake`] until [`Wake::woken`] completes.
    pending: AtomicBool,
    notify: Notify,
}

impl Wake {
    /// A wake shared by topics and the reader.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Wakes the reader. Costs one atomic operation if it was woken already.
    pub fn wake(&self) {
        if !self.pending.swap(true, AcqRel) {
            self.notify.notify_one();
        }
    }

    /// Waits for a wake since it last completed. A reader that reads its topics after this misses nothing. Cancel safe; supports a
    /// single waiter.
    pub async fn woken(&self) {
        self.notify.notified().await;
        self.pending.swap(false, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn many_wakes_are_one_and_none_is_lost() {
        let wake = Wake::new();
        assert!(wake.woken().now_or_never().is_none());
        wake.wake();
        wake.wake();
        assert!(wake.woken().now_or_never().is_some());
        assert!(wake.woken().now_or_never().is_none());
        wake.wake();
        assert!(wake.woken().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_dropped_wait_leaves_the_wake_for_the_next() {
        let wake = Wake::new();
        let mut waiting = Box::pin(wake.woken());
        assert!(waiting.as_mut().now_or_never().is_none());
        wake.wake();
        drop(waiting);
        assert!(wake.woken().now_or_never().is_some());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn data_written_before_a_wake_is_seen_after_it() {
        use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
        const LAST: u64 = 20_000;
        let (wake, latest) = (Wake::new(), Arc::new(AtomicU64::new(0)));
        let writer = tokio::spawn({
            let (wake, latest) = (Arc::clone(&wake), Arc::clone(&latest));
            async move {
                for number in 1..=LAST {
                    latest.store(number, SeqCst);
                    wake.wake();
                }
            }
        });
        while latest.load(SeqCst) != LAST {
            wake.woken().await;
        }
        writer.await.unwrap();
    }
}
