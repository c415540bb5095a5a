//! How often something may happen, for each key: the generic cell rate algorithm of `governor`, over a table with a bound.

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

use super::limit::Bound;
use crate::limits;
use crate::lock;

/// Tokio's clock: it stands still where a test has paused it.
#[derive(Debug, Clone)]
struct Tokio(Instant);

impl Clock for Tokio {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

pub(super) struct Rates<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, Shared<K>, Tokio, NoOpMiddleware<Nanos>>,
    table: Arc<Table<K>>,
    clock: Tokio,
    burst: NonZeroU32,
}

impl<K: Hash + Eq + Clone> Rates<K> {
    pub(super) fn new(bound: Bound) -> Self {
        Self::with_room(bound, limits::QUOTA_KEYS)
    }

    fn with_room(bound: Bound, room: usize) -> Self {
        let clock = Tokio(Instant::now());
        let table = Arc::new(Table::new(room));
        let burst = NonZeroU32::new(bound.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(bound.every())
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            limiter: RateLimiter::new(quota, Shared(Arc::clone(&table)), clock.clone()),
            table,
            clock,
            burst,
        }
    }

    /// Takes `count` cells, or says how long to wait for them. More than a burst is taken as a whole one: nothing is refused for
    /// ever.
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

/// When the bucket of each key will be full again. Beyond its bound, new keys share a few buckets: a stranger with many
/// addresses takes no more memory, and those who are known keep their own.
struct Table<K> {
    kept: Mutex<Kept<K>>,
    room: usize,
    hasher: RandomState,
}

struct Kept<K> {
    full_at: HashMap<K, Nanos>,
    shared: [Option<Nanos>; limits::QUOTA_SHARED],
    /// When it may be swept next.
    next: Nanos,
}

impl<K: Hash + Eq + Clone> Table<K> {
    fn new(room: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                full_at: HashMap::new(),
                shared: [None; limits::QUOTA_SHARED],
                next: Nanos::new(0),
            }),
            room,
            hasher: RandomState::new(),
        }
    }

    /// Forgets the keys whose buckets are full again, at times: as if they had never been seen.
    fn sweep(&self, now: Nanos) {
        let mut kept = self.lock();
        if now < kept.next {
            return;
        }
        kept.full_at.retain(|_, full_at| *full_at > now);
        if kept.full_at.capacity() > 4 * kept.full_at.len().max(64) {
            kept.full_at.shrink_to_fit();
        }
        kept.next = now + Nanos::from(limits::QUOTA_SWEEP);
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K>> {
        lock::lock(&self.kept)
    }
}

struct Shared<K>(Arc<Table<K>>);

impl<K: Hash + Eq + Clone> StateStore for Shared<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let table = &self.0;
        let mut kept = table.lock();
        if let Some(full_at) = kept.full_at.get_mut(key) {
            let (taken, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(taken);
        }
        if kept.full_at.len() < table.room {
            let (taken, next) = measure(None)?;
            kept.full_at.insert(key.clone(), next);
            return Ok(taken);
        }
        let place = (table.hasher.hash_one(key) % limits::QUOTA_SHARED as u64) as usize;
        let shared = &mut kept.shared[place];
        let (taken, next) = measure(*shared)?;
        *shared = Some(next);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap as Model;

    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const BOUND: Bound = Bound::per_second(4, 2);

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_one_each_time() {
        let rates = Rates::new(BOUND);
        for _ in 0..4 {
            assert_eq!(rates.take(&1, 1), Ok(()));
        }
        let wait = rates.take(&1, 1).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(rates.take(&2, 1), Ok(()), "another key has its own");
        advance(wait).await;
        assert_eq!(rates.take(&1, 1), Ok(()));
        assert!(rates.take(&1, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_costs_nothing_and_more_than_a_burst_is_one() {
        let rates = Rates::new(BOUND);
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
    async fn keys_have_a_bound_and_the_known_ones_keep_their_own() {
        let rates = Rates::with_room(BOUND, 100);
        for key in 0..100_000_u32 {
            let _ = rates.take(&key, 4);
        }
        assert_eq!(rates.keys(), 100);
        advance(Duration::from_millis(500)).await;
        assert_eq!(
            rates.take(&7, 1),
            Ok(()),
            "known, and not refused for what strangers took"
        );
        advance(limits::QUOTA_SWEEP).await;
        assert_eq!(rates.take(&100_000, 1), Ok(()));
        assert_eq!(rates.keys(), 1, "those who took nothing for a while are forgotten");
    }

    proptest! {
        /// Whatever is asked and when: in no stretch of time more is given than the burst and what the rate adds, and who asks
        /// no faster than the rate is never refused.
        #[test]
        fn no_key_takes_more_than_its_bound(asks in prop::collection::vec((0_u8..3, 1_u32..4, 0_u64..700), 1..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let rates = Rates::new(BOUND);
                let start = Instant::now();
                let mut taken: Model<u8, Vec<(Duration, u32)>> = Model::new();
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
                            let most = 4.0 + 2.0 * (*to - *from).as_secs_f64();
                            assert!(f64::from(sum) <= most + 1e-6, "{sum} from {from:?} to {to:?}");
                        }
                    }
                }
            });
        }
    }
}
