//! A rate limit for log lines that clients can trigger.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock;

/// Allows one log line per pause and counts the suppressed ones.
#[derive(Debug)]
pub struct LogThrottle {
    pause: Duration,
    /// The time of the last line, and the number of lines suppressed since.
    last: Mutex<Option<(Instant, u64)>>,
}

impl LogThrottle {
    /// A throttle that allows one line in each `pause`.
    pub const fn new(pause: Duration) -> Self {
        Self {
            pause,
            last: Mutex::new(None),
        }
    }

    /// If a line may be logged now, the number of lines suppressed since the last one; the caller must then log. `None` otherwise.
    #[must_use]
    pub fn try_log(&self) -> Option<u64> {
        let mut last = lock::lock(&self.last);
        let now = Instant::now();
        match &mut *last {
            Some((logged_at, suppressed)) if now.duration_since(*logged_at) < self.pause => {
                *suppressed += 1;
                None
            }
            logged_at => {
                let suppressed = logged_at.map_or(0, |(_, suppressed)| suppressed);
                *logged_at = Some((now, 0));
                Some(suppressed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_is_logged_per_minute_and_the_others_are_counted() {
        let minute = Duration::from_secs(60);
        let log_throttle = LogThrottle::new(minute);
        assert_eq!(log_throttle.try_log(), Some(0));
        for _ in 0..1000 {
            assert_eq!(log_throttle.try_log(), None);
        }
        tokio::time::advance(minute).await;
        assert_eq!((log_throttle.try_log(), log_throttle.try_log()), (Some(1000), None));
    }
}
