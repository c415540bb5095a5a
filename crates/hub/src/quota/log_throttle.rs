//! A throttle for log lines that a stranger can cause at will.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock;

/// Allows one log line in each pause and counts those left out.
#[derive(Debug)]
pub struct LogThrottle {
    pause: Duration,
    /// When the last was said, and how many came since.
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

    /// The number of lines left out since the last one, if a line may be logged now; it then must be. None otherwise.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let mut last = lock::lock(&self.last);
        let now = Instant::now();
        match &mut *last {
            Some((said, unsaid)) if now.duration_since(*said) < self.pause => {
                *unsaid += 1;
                None
            }
            said => {
                let unsaid = said.map_or(0, |(_, unsaid)| unsaid);
                *said = Some((now, 0));
                Some(unsaid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_is_said_in_a_minute_and_the_others_are_counted() {
        let minute = Duration::from_secs(60);
        let log_throttle = LogThrottle::new(minute);
        assert_eq!(log_throttle.due(), Some(0));
        for _ in 0..1000 {
            assert_eq!(log_throttle.due(), None);
        }
        tokio::time::advance(minute).await;
        assert_eq!((log_throttle.due(), log_throttle.due()), (Some(1000), None));
    }
}
