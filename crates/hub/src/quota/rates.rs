//! Keyed rate limiting with the generic cell rate algorithm of `governor`, over a table of bounded size.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::limit::RateLimit;
use crate::limits;
use crate::lock;

/// Tokio's clock, which a test can pause.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

pub(super) struct Rates<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, TableStore<K>, TokioClock, NoOpMiddleware<Nanos>>,
    table: Arc<Table<K>>,
    clock: TokioClock,
    burst: NonZeroU32,
}

impl<K: Hash + Eq + Clone> Rates<K> {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self::with_capacity(limit, limits::QUOTA_KEYS)
    }

    fn with_capacity(limit: RateLimit, capacity: usize) -> Self {
        let clock = TokioClock(Instant::now());
        let table = Arc::new(Table::new(capacity));
        let burst = NonZeroU32::new(limit.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(limit.interval())
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            limiter: RateLimiter::new(quota, TableStore(Arc::clone(&table)), clock.clone()),
            table,
            clock,
            burst,
        }
    }

    /// Takes `count` cells, or returns the wait for them. A count above the burst is clamped to it, so that no request is rejected
    /// forever.
    pub(super) fn take(&self, key: &K, count: u32) -> Result<(), Duration> {
        let Some(count) = NonZeroU32::new(count) else {
            return Ok(());
        };
        self.table.sweep(self.clock.now());
        match self.limiter.check_key_n(key, count.min(self.burst)) {
            Ok(Err(until)) => Err(until.wait_time_from(self.clock.now())),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.table.lock().full_at.len()
    }
}

/// The time at which the bucket of each key is full again. Beyond the capacity, new keys share overflow buckets, so memory is
/// bounded and known keys keep their own.
struct Table<K> {
    buckets: Mutex<Buckets<K>>,
    capacity: usize,
    hasher: RandomState,
}

struct Buckets<K> {
    full_at: HashMap<K, Nanos>,
    shared: [Option<Nanos>; limits::QUOTA_SHARED],
    /// The time of the next sweep.
    next_sweep: Nanos,
}

impl<K: Hash + Eq + Clone> Table<K> {
    fn new(capacity: usize) -> Self {
        Self {
            buckets: Mutex::new(Buckets {
                full_at: HashMap::new(),
                shared: [None; limits::QUOTA_SHARED],
                next_sweep: Nanos::new(0),
            }),
            capacity,
            hasher: RandomState::new(),
        }
    }

    /// Removes the keys whose buckets are full again, once per interval. A full bucket is the same as no bucket.
    fn sweep(&self, now: Nanos) {
        let mut buckets = self.lock();
        if now < buckets.next_sweep {
            return;
        }
        buckets.full_at.retain(|_, full_at| *full_at > now);
        if buckets.full_at.capacity() > 4 * buckets.full_at.len().max(64) {
            buckets.full_at.shrink_to_fit();
        }
        buckets.next_sweep = now + Nanos::from(limits::QUOTA_SWEEP);
    }

    fn lock(&self) -> MutexGuard<'_, Buckets<K>> {
        lock::lock(&self.buckets)
    }
}

struct TableStore<K>(Arc<Table<K>>);

impl<K: Hash + Eq + Clone> StateStore for TableStore<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let table = &self.0;
        let mut buckets = table.lock();
        if let Some(full_at) = buckets.full_at.get_mut(key) {
            let (taken, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(taken);
        }
        if buckets.full_at.len() < table.capacity {
            let (taken, next) = measure(None)?;
            buckets.full_at.insert(key.clone(), next);
            return Ok(taken);
        }
        let index = (table.hasher.hash_one(key) % limits::QUOTA_SHARED as u64) as usize;
        let shared = &mut buckets.shared[index];
        let (taken, next) = measure(*shared)?;
        *shared = Some(next);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const LIMIT: RateLimit = RateLimit::per_second(4, 2);

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_one_per_interval() {
        let rates = Rates::new(LIMIT);
        for _ in 0..4 {
            assert_eq!(rates.take(&1, 1), Ok(()));
        }
        let wait = rates.take(&1, 1).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(rates.take(&2, 1), Ok(()), "another key has its own bucket");
        advance(wait).await;
        assert_eq!(rates.take(&1, 1), Ok(()));
        assert!(rates.take(&1, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_takes_nothing_and_a_count_above_the_burst_is_one_burst() {
        let rates = Rates::new(LIMIT);
        assert_eq!(rates.take(&1, 0), Ok(()));
        assert_eq!(rates.take(&1, 1000), Ok(()));
        let wait = rates.take(&1, 2).unwrap_err();
        for _ in 0..100 {
            assert_eq!(rates.take(&1, 2), Err(wait));
        }
        advance(wait).await;
        assert_eq!(rates.take(&1, 2), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_known_keys_keep_their_bucket() {
        let rates = Rates::with_capacity(LIMIT, 100);
        for key in 0..100_000_u32 {
            let _ = rates.take(&key, 4);
        }
        assert_eq!(rates.keys(), 100);
        advance(Duration::from_millis(500)).await;
        assert_eq!(
            rates.take(&7, 1),
            Ok(()),
            "a known key is not limited by what new keys took"
        );
        advance(limits::QUOTA_SWEEP).await;
        assert_eq!(rates.take(&100_000, 1), Ok(()));
        assert_eq!(rates.keys(), 1, "keys with full buckets are removed");
    }

    proptest! {
        /// In every interval a key takes at most the burst plus the rate times the interval.
        #[test]
        fn no_key_takes_more_than_its_limit(asks in prop::collection::vec((0_u8..3, 1_u32..4, 0_u64..700), 1..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let rates = Rates::new(LIMIT);
                let start = Instant::now();
                let mut taken: HashMap<u8, Vec<(Duration, u32)>> = HashMap::new();
                for (key, count, pause) in asks {
                    advance(Duration::from_millis(pause)).await;
                    if rates.take(&key, count).is_ok() {
                        taken.entry(key).or_default().push((start.elapsed(), count));
                    }
                }
                for taken in taken.values() {
                    for (first, (from, _)) in taken.iter().enumerate() {
                        let mut sum = 0;
                        for (to, count) in &taken[first..] {
                            sum += count;
                            let max = 4.0 + 2.0 * (*to - *from).as_secs_f64();
                            assert!(f64::from(sum) <= max + 1e-6, "{sum} from {from:?} to {to:?}");
                        }
                    }
                }
            });
        }
    }
}
