//! A token bucket. The clock is an argument.

use std::time::Duration;

/// A token bucket of `burst` tokens, refilled with one token per `interval`. Times are relative to an origin chosen by the caller,
/// such as the start of a session.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    interval: Duration,
    burst: u32,
    /// The time at which the bucket is full again if nothing more is taken.
    full_at: Duration,
}

impl TokenBucket {
    /// A full bucket.
    pub const fn new(burst: u32, interval: Duration) -> Self {
        Self {
            interval,
            burst,
            full_at: Duration::ZERO,
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    ///
    /// The time until one is available.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.take_many(now, 1)
    }

    /// Takes `count` at once, or none.
    ///
    /// # Errors
    ///
    /// The time until `count` are available.
    pub fn take_many(&mut self, now: Duration, count: u32) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + self.interval.saturating_mul(count);
        let capacity = self.interval.saturating_mul(self.burst);
        if full_at - now > capacity {
            return Err(full_at - now - capacity);
        }
        self.full_at = full_at;
        Ok(())
    }

    /// The time until the overdraft of [`Self::take_unchecked`] is refilled; `None` if there is none.
    pub fn overdraft_wait(&self, now: Duration) -> Option<Duration> {
        let capacity = self.interval.saturating_mul(self.burst);
        let over = self.full_at.saturating_sub(now).saturating_sub(capacity);
        (!over.is_zero()).then_some(over)
    }

    /// Takes `count` even if the bucket holds fewer; the balance goes negative.
    pub fn take_unchecked(&mut self, now: Duration, count: u32) {
        self.full_at = self.full_at.max(now) + self.interval.saturating_mul(count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let mut bucket = TokenBucket::new(3, ms(100));
        for _ in 0..3 {
            assert_eq!(bucket.take(ms(5)), Ok(()));
        }
        assert_eq!(bucket.take(ms(5)), Err(ms(100)));
        assert_eq!(bucket.take(ms(55)), Err(ms(50)));
        assert_eq!(bucket.take(ms(105)), Ok(()));
        assert_eq!(bucket.take(ms(105)), Err(ms(100)));
    }

    #[test]
    fn an_overdraft_delays_later_takes() {
        let mut bucket = TokenBucket::new(10, ms(1));
        assert_eq!(bucket.overdraft_wait(ms(0)), None);
        bucket.take_unchecked(ms(0), 8);
        assert_eq!(bucket.overdraft_wait(ms(0)), None, "the burst is not used up");
        bucket.take_unchecked(ms(0), 100);
        assert_eq!(bucket.overdraft_wait(ms(0)), Some(ms(98)));
        assert_eq!(bucket.overdraft_wait(ms(98)), None);
    }

    proptest! {
        /// A key takes at most the burst and the rate since the start, and a caller that waits as long as returned succeeds.
        #[test]
        fn never_more_than_allowed(burst in 1_u32..20, every in 1_u64..50, waits in prop::collection::vec(0_u64..60, 1..200)) {
            let mut bucket = TokenBucket::new(burst, ms(every));
            let (mut now, mut taken) = (ms(0), 0_u128);
            for wait in waits {
                now += ms(wait);
                match bucket.take(now) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        now += wait;
                        prop_assert_eq!(bucket.take(now), Ok(()));
                        taken += 1;
                    }
                }
                prop_assert!(taken <= u128::from(burst) + now.as_millis() / u128::from(every));
            }
        }
    }
}
