//! Statistics of a log: the duration of commits, the queue, and the size.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the buckets of [`LatencySnapshot`], in microseconds; one more bucket counts longer durations.
pub const LATENCY_BOUNDS: [u64; 17] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000,
];

const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

/// An atomic histogram of durations. Can be used from any thread.
#[derive(Debug, Default)]
pub struct LatencyHistogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl LatencyHistogram {
    /// Adds a duration.
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(micros, Relaxed);
    }

    /// A copy of the counts.
    pub fn snapshot(&self) -> LatencySnapshot {
        LatencySnapshot {
            buckets: self.buckets.each_ref().map(|bucket| bucket.load(Relaxed)),
            sum_micros: self.sum.load(Relaxed),
        }
    }
}

/// The index of the bucket of a duration. A duration equal to a bound is in the bucket that ends with it.
fn bucket_of(micros: u64) -> usize {
    LATENCY_BOUNDS.partition_point(|bound| *bound < micros)
}

/// The counts of a histogram of durations at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencySnapshot {
    /// The number of durations in each bucket of [`LATENCY_BOUNDS`], not cumulative.
    pub buckets: [u64; BUCKETS],
    /// The sum of all durations, in microseconds.
    pub sum_micros: u64,
}

impl LatencySnapshot {
    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The durations added since an earlier histogram.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut buckets = self.buckets;
        for (bucket, before) in buckets.iter_mut().zip(before.buckets) {
            *bucket = bucket.saturating_sub(before);
        }
        Self {
            buckets,
            sum_micros: self.sum_micros.saturating_sub(before.sum_micros),
        }
    }

    /// The `q`-quantile (0 to 1), in microseconds, interpolated within its bucket; `None` without durations.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = q * self.count() as f64;
        let mut below = 0.0;
        for (index, count) in self.buckets.iter().enumerate() {
            let count = *count as f64;
            if count > 0.0 && below + count >= rank {
                let lower = index.checked_sub(1).map_or(0, |before| LATENCY_BOUNDS[before]);
                let upper = LATENCY_BOUNDS.get(index).copied().unwrap_or(lower);
                let part = ((rank - below) / count).clamp(0.0, 1.0);
                return Some(lower + ((upper - lower) as f64 * part) as u64);
            }
            below += count;
        }
        None
    }
}

/// Counters of a log since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Commits that stored something; each was synced once.
    pub commits: u64,
    /// Appends that were stored.
    pub appends: u64,
    /// Requests in the writer's queue.
    pub queued: u64,
    /// The durations of the commits.
    pub latency: LatencySnapshot,
}

/// The size of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes on the disk, including the WAL.
    pub bytes: u64,
    /// The limit of `bytes` beyond which appends are rejected, if there is one.
    pub max_bytes: Option<u64>,
    /// Each kind of topic, by name.
    pub kinds: BTreeMap<String, KindStats>,
}

/// The size of one kind's topics in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindStats {
    /// Topics that ever had an event.
    pub topics: u64,
    /// Events that are stored.
    pub events: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_equal_to_a_bound_is_in_the_bucket_that_ends_there() {
        assert_eq!(
            [0, 50, 51, 100, 10_000_000, 10_000_001].map(bucket_of),
            [0, 0, 1, 1, 16, 17]
        );
    }

    #[test]
    fn quantiles_cover_the_durations_since_an_earlier_histogram() {
        let histogram = LatencyHistogram::default();
        histogram.record(Duration::from_millis(400));
        let before = histogram.snapshot();
        assert_eq!(before.since(&before).quantile(0.5), None);
        for _ in 0..99 {
            histogram.record(Duration::from_micros(150));
        }
        histogram.record(Duration::from_micros(1_500));
        let now = histogram.snapshot().since(&before);
        assert_eq!((now.count(), now.sum_micros), (100, 99 * 150 + 1_500));
        assert_eq!(now.quantile(0.5), Some(150));
        assert_eq!(now.quantile(0.99), Some(200));
        assert_eq!(now.quantile(1.0), Some(2_000));
    }

    proptest! {
        #[test]
        fn a_quantile_lies_in_the_bucket_of_its_value(mut micros in prop::collection::vec(0_u64..20_000_000, 1..50), share in 0.01..1.0_f64) {
            let histogram = LatencyHistogram::default();
            for micros in &micros {
                histogram.record(Duration::from_micros(*micros));
            }
            micros.sort_unstable();
            let rank = (share * micros.len() as f64).ceil() as usize;
            let exact = micros[rank.max(1) - 1];
            let found = histogram.snapshot().quantile(share).unwrap();
            let bucket = bucket_of(exact);
            let lower = bucket.checked_sub(1).map_or(0, |before| LATENCY_BOUNDS[before]);
            prop_assert!(found >= lower, "{found} below the bucket of {exact}");
            prop_assert!(found <= LATENCY_BOUNDS.get(bucket).copied().unwrap_or(lower), "{found} above the bucket of {exact}");
        }
    }
}
