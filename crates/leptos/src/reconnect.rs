//! How long to wait before the next attempt: exponential, capped, with jitter. Pure; the caller brings the randomness.

use std::time::Duration;

/// Doubles from `base` to `cap`; the second half of each delay is random, so that clients that lost the same server
/// at the same moment do not all come back at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay at its longest.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
    /// An open connection that lasted this long starts the count anew; a shorter one was another failure.
    pub stable_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            stable_after: Duration::from_secs(5),
        }
    }
}

impl Backoff {
    /// The delay before attempt `attempt` (the first is 0); `random` lies in 0..1.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let longest = self.base.saturating_mul(2_u32.saturating_pow(attempt)).min(self.cap);
        longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let backoff = Backoff::default();
        let longest: Vec<_> = (0..8).map(|attempt| backoff.delay(attempt, 1.0).as_millis()).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    }

    proptest! {
        #[test]
        fn a_delay_is_never_zero_and_never_over_the_cap(attempt: u32, random in 0.0..1.0_f64) {
            let backoff = Backoff::default();
            let delay = backoff.delay(attempt, random);
            prop_assert!(delay >= backoff.base / 2);
            prop_assert!(delay <= backoff.cap);
        }
    }
}
