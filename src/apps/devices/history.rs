//! The history of one metric, aggregated at several resolutions with a bounded number of buckets each. Sums are exact, so the order of
//! readings does not affect the result. Pure.

use std::collections::VecDeque;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::Millis;

/// One resolution of the history: the bucket length, and the maximum number of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    pub bucket_millis: Millis,
    pub max_buckets: u64,
}

impl Resolution {
    pub const fn span(self) -> Millis {
        self.bucket_millis * self.max_buckets
    }
}

/// 1 h in 30 s buckets, 6 h in 5 min buckets, 24 h in 15 min buckets, 7 days in 2 h buckets.
pub const RESOLUTIONS: [Resolution; 4] = [
    Resolution {
        bucket_millis: 30_000,
        max_buckets: 120,
    },
    Resolution {
        bucket_millis: 300_000,
        max_buckets: 72,
    },
    Resolution {
        bucket_millis: 900_000,
        max_buckets: 96,
    },
    Resolution {
        bucket_millis: 7_200_000,
        max_buckets: 84,
    },
];

/// Sums are integers in units of 10^-15: integer addition gives the same sum in any order.
const SCALE: f64 = 1e15;
/// Factor from the previous format's sums (in thousandths) to units of 10^-15.
const UNITS_PER_THOUSANDTH: i128 = 1_000_000_000_000;

/// The readings within the time range of one bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Bucket number since the Unix epoch: start time / bucket length.
    pub slot: u64,
    min: f64,
    max: f64,
    sum: i128,
    count: u32,
}

impl Bucket {
    fn new(slot: u64, value: f64) -> Self {
        Self {
            slot,
            min: value,
            max: value,
            sum: units(value),
            count: 1,
        }
    }

    fn add(&mut self, value: f64) {
        if value.total_cmp(&self.min).is_lt() {
            self.min = value;
        }
        if value.total_cmp(&self.max).is_gt() {
            self.max = value;
        }
        self.sum = self.sum.saturating_add(units(value));
        self.count = self.count.saturating_add(1);
    }

    /// Clamped to `min..=max`: values below 10^-15 are lost in the integer sum.
    fn mean(&self) -> f64 {
        let mean = self.sum as f64 / SCALE / f64::from(self.count.max(1));
        mean.max(self.min).min(self.max)
    }
}

fn units(value: f64) -> i128 {
    (value * SCALE).round() as i128
}

/// JSON has a sixth element, `UNSCALED`, if `min` and `max` are unscaled. Five elements are the previous format: all values in
/// thousandths.
impl Serialize for Bucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            slot,
            min,
            max,
            sum,
            count,
        } = *self;
        if serializer.is_human_readable() {
            (slot, min, max, sum, count, UNSCALED).serialize(serializer)
        } else {
            (slot, min, max, sum, count).serialize(serializer)
        }
    }
}

const UNSCALED: u8 = 1;

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_seq(BucketVisitor);
        }
        let (slot, min, max, sum, count) = Deserialize::deserialize(deserializer)?;
        Ok(Self {
            slot,
            min,
            max,
            sum,
            count,
        })
    }
}

struct BucketVisitor;

impl<'de> Visitor<'de> for BucketVisitor {
    type Value = Bucket;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bucket")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bucket, A::Error> {
        let missing = || A::Error::custom("a bucket has five numbers");
        let slot = seq.next_element()?.ok_or_else(missing)?;
        let min = seq.next_element()?.ok_or_else(missing)?;
        let max = seq.next_element()?.ok_or_else(missing)?;
        let sum: i128 = seq.next_element()?.ok_or_else(missing)?;
        let count = seq.next_element()?.ok_or_else(missing)?;
        let mut bucket = Bucket {
            slot,
            min,
            max,
            sum,
            count,
        };
        if seq.next_element::<u8>()?.is_none() {
            (bucket.min, bucket.max) = (min / 1_000.0, max / 1_000.0);
            bucket.sum = sum.saturating_mul(UNITS_PER_THOUSANDTH);
        }
        Ok(bucket)
    }
}

/// A bucket as a point of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The midpoint of the bucket's time range.
    pub at: Millis,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub count: u32,
}

/// One list of buckets for each of [`RESOLUTIONS`], ordered by slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricHistory([VecDeque<Bucket>; RESOLUTIONS.len()]);

impl MetricHistory {
    /// Adds a reading to the buckets of its own time, however late it arrives; a reading older than the resolution's span is
    /// ignored. Also removes buckets later than `now`: they were stamped while the server's clock was ahead.
    pub fn add(&mut self, at: Millis, value: f64, now: Millis) {
        for (buckets, resolution) in self.0.iter_mut().zip(RESOLUTIONS) {
            while buckets
                .back()
                .is_some_and(|newest| newest.slot > now / resolution.bucket_millis)
            {
                buckets.pop_back();
            }
            insert(buckets, resolution, at / resolution.bucket_millis, value);
        }
    }

    /// The history between two times at the finest resolution that reaches back to `from`; `newest`, the newest reading's time,
    /// decides which resolution still covers `from`.
    pub fn points(&self, from: Millis, to: Millis, newest: Millis) -> Vec<Point> {
        let index = finest_resolution(newest.saturating_sub(from));
        let (Some(buckets), Some(resolution)) = (self.0.get(index), RESOLUTIONS.get(index)) else {
            return Vec::new();
        };
        let overlaps = |bucket: &&Bucket| {
            let start = bucket.slot.saturating_mul(resolution.bucket_millis);
            start <= to && start.saturating_add(resolution.bucket_millis) > from
        };
        buckets
            .iter()
            .filter(overlaps)
            .map(|bucket| point(*bucket, *resolution))
            .collect()
    }
}

/// The index in [`RESOLUTIONS`] of the finest resolution that covers `span`.
pub fn finest_resolution(span: Millis) -> usize {
    let found = RESOLUTIONS.iter().position(|resolution| resolution.span() >= span);
    found.unwrap_or(RESOLUTIONS.len() - 1)
}

fn insert(buckets: &mut VecDeque<Bucket>, resolution: Resolution, slot: u64, value: f64) {
    if buckets
        .back()
        .is_some_and(|newest| slot.saturating_add(resolution.max_buckets) <= newest.slot)
    {
        return;
    }
    match buckets.binary_search_by_key(&slot, |bucket| bucket.slot) {
        Ok(index) => {
            if let Some(bucket) = buckets.get_mut(index) {
                bucket.add(value);
            }
        }
        Err(index) => buckets.insert(index, Bucket::new(slot, value)),
    }
    let newest = buckets.back().map_or(0, |bucket| bucket.slot);
    while buckets
        .front()
        .is_some_and(|oldest| oldest.slot.saturating_add(resolution.max_buckets) <= newest)
    {
        buckets.pop_front();
    }
}

fn point(bucket: Bucket, resolution: Resolution) -> Point {
    Point {
        at: bucket
            .slot
            .saturating_mul(resolution.bucket_millis)
            .saturating_add(resolution.bucket_millis / 2),
        min: bucket.min,
        max: bucket.max,
        mean: bucket.mean(),
        count: bucket.count,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use duplex_protocol::codec::Encoding;

    const HOUR: Millis = 3_600_000;

    fn history(readings: &[(Millis, f64)]) -> MetricHistory {
        let mut history = MetricHistory::default();
        readings
            .iter()
            .for_each(|(at, value)| history.add(*at, *value, Millis::MAX));
        history
    }

    #[test]
    fn a_bucket_has_minimum_maximum_and_mean() {
        let history = history(&[(60_000, 1.0), (61_000, 4.0), (89_999, 2.5), (90_000, 9.0)]);
        let points = history.points(0, HOUR, 90_000);
        assert_eq!(points.len(), 2);
        let first = Point {
            at: 75_000,
            min: 1.0,
            max: 4.0,
            mean: 2.5,
            count: 3,
        };
        assert_eq!(points[0], first);
        assert_eq!(points[1].mean, 9.0);
    }

    #[test]
    fn a_longer_span_uses_a_coarser_resolution() {
        assert_eq!(
            [HOUR, 6 * HOUR, 24 * HOUR, 168 * HOUR, 999 * HOUR].map(finest_resolution),
            [0, 1, 2, 3, 3]
        );
        let readings: Vec<_> = (0..168 * 60).map(|minute| (minute * 60_000, minute as f64)).collect();
        let (history, newest) = (history(&readings), 168 * HOUR - 60_000);
        for hours in [1, 6, 24, 168] {
            let points = history.points(newest.saturating_sub(hours * HOUR), newest, newest);
            assert!((50..=121).contains(&points.len()), "{hours} h: {}", points.len());
        }
    }

    #[test]
    fn a_late_reading_is_added_at_its_own_time() {
        let mut history = history(&[(10 * HOUR, 5.0)]);
        history.add(10 * HOUR - 60_000, 1.0, 10 * HOUR);
        history.add(HOUR, 7.0, 10 * HOUR);
        let hour = history.points(9 * HOUR, 10 * HOUR, 10 * HOUR);
        assert_eq!(hour.iter().map(|point| point.mean).collect::<Vec<_>>(), [1.0, 5.0]);
        let day = history.points(0, 10 * HOUR, 10 * HOUR);
        assert_eq!(
            day.first().map(|point| point.mean),
            Some(7.0),
            "only the coarser resolutions cover that time"
        );
    }

    #[test]
    fn small_values_keep_their_precision() {
        for value in [1e-9, 0.000_123, -1e-15, 1e-300, 123_456_789.123_4] {
            let [point] = history(&[(60_000, value), (61_000, value)]).points(0, HOUR, HOUR)[..] else {
                panic!("not one point")
            };
            assert_eq!((point.min, point.max), (value, value));
            assert!((point.mean - value).abs() <= value.abs() * 1e-12, "{}", point.mean);
        }
    }

    #[test]
    fn the_previous_format_is_decoded() {
        let before = "[[[4,1000,4000,7500,3]],[],[],[]]";
        let history: MetricHistory = serde_json::from_str(before).unwrap();
        let [point] = history.points(0, HOUR, HOUR)[..] else {
            panic!("not one point")
        };
        assert_eq!((point.min, point.max, point.mean, point.count), (1.0, 4.0, 2.5, 3));
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(&history).unwrap();
            assert_eq!(encoding.decode::<MetricHistory>(&bytes).unwrap(), history);
        }
        assert!(serde_json::from_str::<MetricHistory>("[[[4,1000]],[],[],[]]").is_err());
    }

    #[test]
    fn buckets_stamped_by_a_clock_that_was_ahead_are_removed() {
        let mut history = history(&[(10 * HOUR, 1.0), (34 * HOUR, 2.0)]);
        history.add(10 * HOUR + 60_000, 3.0, 10 * HOUR + 60_000);
        let all = history.points(0, 99 * HOUR, 10 * HOUR + 60_000);
        assert_eq!(all.iter().map(|point| point.max).collect::<Vec<_>>(), [3.0]);
        let hour = history.points(9 * HOUR, 99 * HOUR, 10 * HOUR + 60_000);
        assert_eq!(hour.iter().map(|point| point.mean).collect::<Vec<_>>(), [3.0]);
    }

    proptest! {
        #[test]
        fn readings_in_any_order_make_the_same_history(
            readings in prop::collection::vec((0..200 * HOUR, prop_oneof![-1e12..1e12_f64, -1e-9..1e-9_f64]), 0..300),
            seed in any::<prop::sample::Index>(),
        ) {
            let mut other = readings.clone();
            other.sort_by_key(|(at, _)| *at);
            prop_assert_eq!(&history(&readings), &history(&other));
            other.reverse();
            if !other.is_empty() {
                let at = seed.index(other.len());
                other.rotate_left(at);
            }
            prop_assert_eq!(&history(&readings), &history(&other));
        }

        #[test]
        fn the_history_stays_bounded(readings in prop::collection::vec((any::<u64>(), -1e12..1e12_f64), 0..300)) {
            let history = history(&readings);
            for (buckets, resolution) in history.0.iter().zip(RESOLUTIONS) {
                prop_assert!(buckets.len() as u64 <= resolution.max_buckets);
            }
        }
    }
}
