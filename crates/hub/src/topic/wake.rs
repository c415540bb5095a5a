//! How a topic tells a session that there is news. One for each session, whatever the number of its topics.
//! Knows no topic and no session, and carries nothing: what is new is for the woken to look up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Wake {
    /// Woken, and not yet seen: another wake has nothing to add.
    awake: AtomicBool,
    notify: Notify,
}

impl Wake {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One atomic if it is awake already.
    pub fn wake(&self) {
        if !self.awake.swap(true, AcqRel) {
            self.notify.notify_one();
        }
    }

    /// Ready when there was a wake since it was last ready; what is published from then on wakes again, so that whoever looks
    /// after this misses nothing. May be dropped while it waits. For one waiter.
    pub async fn woken(&self) {
        self.notify.notified().await;
        self.awake.swap(false, AcqRel);
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
    async fn a_wait_that_is_dropped_leaves_the_wake_for_the_next() {
        let wake = Wake::new();
        let mut waiting = Box::pin(wake.woken());
        assert!(waiting.as_mut().now_or_never().is_none());
        wake.wake();
        drop(waiting);
        assert!(wake.woken().now_or_never().is_some());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_was_said_before_a_wake_is_seen_after_it() {
        use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
        const LAST: u64 = 20_000;
        let (wake, said) = (Wake::new(), Arc::new(AtomicU64::new(0)));
        let speaker = tokio::spawn({
            let (wake, said) = (Arc::clone(&wake), Arc::clone(&said));
            async move {
                for number in 1..=LAST {
                    said.store(number, SeqCst);
                    wake.wake();
                }
            }
        });
        while said.load(SeqCst) != LAST {
            wake.woken().await;
        }
        speaker.await.unwrap();
    }
}
