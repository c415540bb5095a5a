//! The history of one metric, rolled up: a few resolutions, each a bounded number of buckets. Exact, so that readings in
//! any order make the same history. Pure.

use std::collections::VecDeque;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::Millis;

/// One resolution: how long a bucket is, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roll {
    pub step: Millis,
    pub kept: u64,
}

impl Roll {
    pub const fn reach(self) -> Millis {
        self.step * self.kept
    }
}

/// An hour by half minutes, six hours by five minutes, a day by quarters of an hour, a week by two hours.
pub const ROLLS: [Roll; 4] = [
    Roll {
        step: 30_000,
        kept: 120,
    },
    Roll {
        step: 300_000,
        kept: 72,
    },
    Roll {
        step: 900_000,
        kept: 96,
    },
    Roll {
        step: 7_200_000,
        kept: 84,
    },
];

/// Values are added in units of 10^-15: whole numbers have the same sum in any order.
const SCALE: f64 = 1e15;
/// What buckets were in before: thousandths, all of them.
const THOUSANDTHS: i128 = 1_000_000_000_000;

/// What was measured within one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its start, in steps since 1970.
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

    /// Never beyond the values themselves, which may be smaller than the unit of their sum.
    fn mean(&self) -> f64 {
        let mean = self.sum as f64 / SCALE / f64::from(self.count.max(1));
        mean.max(self.min).min(self.max)
    }
}

fn units(value: f64) -> i128 {
    (value * SCALE).round() as i128
}

/// The last number says that least and most are the values themselves; without it they, and the sum, are in thousandths.
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
            (slot, min, max, sum, count, EXACT).serialize(serializer)
        } else {
            (slot, min, max, sum, count).serialize(serializer)
        }
    }
}

const EXACT: u8 = 1;

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_seq(Written);
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

struct Written;

impl<'de> Visitor<'de> for Written {
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
            bucket.sum = sum.saturating_mul(THOUSANDTHS);
        }
        Ok(bucket)
    }
}

/// A bucket as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The middle of its time.
    pub at: Millis,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub count: u32,
}

/// One list for each of [`ROLLS`], by slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trail([VecDeque<Bucket>; ROLLS.len()]);

impl Trail {
    /// A reading lands in the buckets of its own time, however late it comes; where that time is no longer kept, nowhere. Buckets
    /// from after `now` were stamped by a clock that was ahead: they make room.
    pub fn add(&mut self, at: Millis, value: f64, now: Millis) {
        for (buckets, roll) in self.0.iter_mut().zip(ROLLS) {
            while buckets.back().is_some_and(|newest| newest.slot > now / roll.step) {
                buckets.pop_back();
            }
            put(buckets, roll, at / roll.step, value);
        }
    }

    /// The history between two times by the finest buckets that still reach back to `from`; `newest` is the newest reading's time.
    pub fn points(&self, from: Millis, to: Millis, newest: Millis) -> Vec<Point> {
        let index = finest(newest.saturating_sub(from));
        let (Some(buckets), Some(roll)) = (self.0.get(index), ROLLS.get(index)) else {
            return Vec::new();
        };
        let within = |bucket: &&Bucket| {
            let start = bucket.slot.saturating_mul(roll.step);
            start <= to && start.saturating_add(roll.step) > from
        };
        buckets
            .iter()
            .filter(within)
            .map(|bucket| point(*bucket, *roll))
            .collect()
    }
}

/// Which of [`ROLLS`] shows so long a time.
pub fn finest(span: Millis) -> usize {
    let found = ROLLS.iter().position(|roll| roll.reach() >= span);
    found.unwrap_or(ROLLS.len() - 1)
}

fn put(buckets: &mut VecDeque<Bucket>, roll: Roll, slot: u64, value: f64) {
    if buckets
        .back()
        .is_some_and(|newest| slot.saturating_add(roll.kept) <= newest.slot)
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
        .is_some_and(|oldest| oldest.slot.saturating_add(roll.kept) <= newest)
    {
        buckets.pop_front();
    }
}

fn point(bucket: Bucket, roll: Roll) -> Point {
    Point {
        at: bucket.slot.saturating_mul(roll.step).saturating_add(roll.step / 2),
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

    fn trail(readings: &[(Millis, f64)]) -> Trail {
        let mut trail = Trail::default();
        readings
            .iter()
            .for_each(|(at, value)| trail.add(*at, *value, Millis::MAX));
        trail
    }

    #[test]
    fn a_bucket_has_the_least_the_most_and_the_mean() {
        let trail = trail(&[(60_000, 1.0), (61_000, 4.0), (89_999, 2.5), (90_000, 9.0)]);
        let points = trail.points(0, HOUR, 90_000);
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
    fn a_longer_time_is_shown_by_longer_buckets() {
        assert_eq!(
            [HOUR, 6 * HOUR, 24 * HOUR, 168 * HOUR, 999 * HOUR].map(finest),
            [0, 1, 2, 3, 3]
        );
        let readings: Vec<_> = (0..168 * 60).map(|minute| (minute * 60_000, minute as f64)).collect();
        let (trail, newest) = (trail(&readings), 168 * HOUR - 60_000);
        for hours in [1, 6, 24, 168] {
            let points = trail.points(newest.saturating_sub(hours * HOUR), newest, newest);
            assert!((50..=121).contains(&points.len()), "{hours} h: {}", points.len());
        }
    }

    #[test]
    fn a_late_reading_lands_in_its_own_time() {
        let mut trail = trail(&[(10 * HOUR, 5.0)]);
        trail.add(10 * HOUR - 60_000, 1.0, 10 * HOUR);
        trail.add(HOUR, 7.0, 10 * HOUR);
        let hour = trail.points(9 * HOUR, 10 * HOUR, 10 * HOUR);
        assert_eq!(hour.iter().map(|point| point.mean).collect::<Vec<_>>(), [1.0, 5.0]);
        let day = trail.points(0, 10 * HOUR, 10 * HOUR);
        assert_eq!(
            day.first().map(|point| point.mean),
            Some(7.0),
            "only the longer buckets reach back so far"
        );
    }

    #[test]
    fn small_values_are_kept_as_they_are() {
        for value in [1e-9, 0.000_123, -1e-15, 1e-300, 123_456_789.123_4] {
            let [point] = trail(&[(60_000, value), (61_000, value)]).points(0, HOUR, HOUR)[..] else {
                panic!("not one point")
            };
            assert_eq!((point.min, point.max), (value, value));
            assert!((point.mean - value).abs() <= value.abs() * 1e-12, "{}", point.mean);
        }
    }

    #[test]
    fn a_history_in_thousandths_is_read() {
        let before = "[[[4,1000,4000,7500,3]],[],[],[]]";
        let trail: Trail = serde_json::from_str(before).unwrap();
        let [point] = trail.points(0, HOUR, HOUR)[..] else {
            panic!("not one point")
        };
        assert_eq!((point.min, point.max, point.mean, point.count), (1.0, 4.0, 2.5, 3));
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(&trail).unwrap();
            assert_eq!(encoding.decode::<Trail>(&bytes).unwrap(), trail);
        }
        assert!(serde_json::from_str::<Trail>("[[[4,1000]],[],[],[]]").is_err());
    }

    #[test]
    fn buckets_of_a_clock_that_was_ahead_make_room() {
        let mut trail = trail(&[(10 * HOUR, 1.0), (34 * HOUR, 2.0)]);
        trail.add(10 * HOUR + 60_000, 3.0, 10 * HOUR + 60_000);
        let shown = trail.points(0, 99 * HOUR, 10 * HOUR + 60_000);
        assert_eq!(shown.iter().map(|point| point.max).collect::<Vec<_>>(), [3.0]);
        let hour = trail.points(9 * HOUR, 99 * HOUR, 10 * HOUR + 60_000);
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
            prop_assert_eq!(&trail(&readings), &trail(&other));
            other.reverse();
            if !other.is_empty() {
                let at = seed.index(other.len());
                other.rotate_left(at);
            }
            prop_assert_eq!(&trail(&readings), &trail(&other));
        }

        #[test]
        fn the_history_keeps_its_bounds(readings in prop::collection::vec((any::<u64>(), -1e12..1e12_f64), 0..300)) {
            let trail = trail(&readings);
            for (buckets, roll) in trail.0.iter().zip(ROLLS) {
                prop_assert!(buckets.len() as u64 <= roll.kept);
            }
        }
    }
}
