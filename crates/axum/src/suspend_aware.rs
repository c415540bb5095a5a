//! Timers that tolerate a suspension of the process (SIGSTOP, a suspended machine). The clock advances during a suspension, but the
//! process serves no client, and its sockets still hold the bytes that peers sent meanwhile: a timer that expires during one starts
//! again.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep as HyperSleep, Timer};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits;

/// Whether a timer that was due at `due` fired so late, by [`limits::SUSPEND_GAP`] or more, that the process must have been
/// suspended.
pub(crate) fn was_suspended(due: Instant) -> bool {
    Instant::now() >= due + limits::SUSPEND_GAP
}

/// A sleep that completes when its limit expires while the process runs.
#[derive(Debug)]
pub(crate) struct SuspendAwareSleep {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl SuspendAwareSleep {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: Box::pin(sleep(limit)),
        }
    }

    /// Restarts the limit, from now.
    pub(crate) fn restart(&mut self) {
        self.sleep.as_mut().reset(Instant::now() + self.limit);
    }
}

impl Future for SuspendAwareSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if !was_suspended(self.sleep.deadline()) {
                return Poll::Ready(());
            }
            self.restart();
        }
        Poll::Pending
    }
}

/// Awaits `work`. `None` if the limit expires first.
pub(crate) async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut expired) = (pin!(work), SuspendAwareSleep::new(limit));
    tokio::select! {
        biased;
        done = &mut work => Some(done),
        () = &mut expired => None,
    }
}

/// A suspend-aware timer for hyper.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SuspendAwareTimer;

impl HyperSleep for SuspendAwareSleep {}

impl Timer for SuspendAwareTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn HyperSleep>> {
        Box::pin(SuspendAwareSleep::new(duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn HyperSleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_limit_expires_on_time() {
        let start = Instant::now();
        SuspendAwareSleep::new(LIMIT).await;
        assert_eq!(start.elapsed(), LIMIT);
        assert_eq!(timeout(LIMIT, std::future::pending::<()>()).await, None);
        assert_eq!(timeout(LIMIT, async { 7 }).await, Some(7));
    }

    /// `advance` simulates a suspension: nothing is polled in between.
    #[tokio::test(start_paused = true)]
    async fn a_suspension_does_not_count() {
        let mut limit = SuspendAwareSleep::new(LIMIT);
        assert_eq!((&mut limit).now_or_never(), None);
        advance(2 * LIMIT).await;
        assert_eq!((&mut limit).now_or_never(), None, "the limit restarts");
        let start = Instant::now();
        limit.await;
        assert_eq!(start.elapsed(), LIMIT);
    }
}
