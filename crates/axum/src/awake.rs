//! Timers for limits that count only while this process runs. After a pause (SIGSTOP, a suspended machine) the clock has advanced
//! although nobody could be served, and what peers sent meanwhile still waits in the sockets: a limit that expired during a pause
//! starts again.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep as HyperSleep, Timer};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits;

/// Whether the process was paused at `due`: its timers then fire later than [`limits::CLOCK_GAP`].
pub(crate) fn paused_at(due: Instant) -> bool {
    Instant::now() >= due + limits::CLOCK_GAP
}

/// A sleep that completes when its limit has expired while the process ran.
#[derive(Debug)]
pub(crate) struct AwakeSleep {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl AwakeSleep {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: Box::pin(sleep(limit)),
        }
    }

    /// Starts the limit again, from now.
    pub(crate) fn restart(&mut self) {
        self.sleep.as_mut().reset(Instant::now() + self.limit);
    }
}

impl Future for AwakeSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if !paused_at(self.sleep.deadline()) {
                return Poll::Ready(());
            }
            self.restart();
        }
        Poll::Pending
    }
}

/// Runs `work`. `None` if the limit expired first.
pub(crate) async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut late) = (pin!(work), AwakeSleep::new(limit));
    tokio::select! {
        biased;
        done = &mut work => Some(done),
        () = &mut late => None,
    }
}

/// The timer for limits that hyper keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AwakeTimer;

impl HyperSleep for AwakeSleep {}

impl Timer for AwakeTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn HyperSleep>> {
        Box::pin(AwakeSleep::new(duration))
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
    async fn a_limit_runs_out_on_time() {
        let start = Instant::now();
        AwakeSleep::new(LIMIT).await;
        assert_eq!(start.elapsed(), LIMIT);
        assert_eq!(timeout(LIMIT, std::future::pending::<()>()).await, None);
        assert_eq!(timeout(LIMIT, async { 7 }).await, Some(7));
    }

    /// `advance` is as a pause: nothing was polled in between.
    #[tokio::test(start_paused = true)]
    async fn a_pause_does_not_count() {
        let mut limit = AwakeSleep::new(LIMIT);
        assert_eq!((&mut limit).now_or_never(), None);
        advance(2 * LIMIT).await;
        assert_eq!((&mut limit).now_or_never(), None, "it begins anew");
        let start = Instant::now();
        limit.await;
        assert_eq!(start.elapsed(), LIMIT);
    }
}
