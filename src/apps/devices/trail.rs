//! The history of one metric, rolled up: a few resolutions, each a bounded number of buckets. Exact, so that readings in
//! any order make the same history. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

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

/// Values are added in thousandths: whole numbers have the same sum in any order.
const SCALE: f64 = 1_000.0;

/// What was measured within one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, i64, i64, i64, u32)", into = "(u64, i64, i64, i64, u32)")]
pub struct Bucket {
    /// Its start, in steps since 1970.
    pub slot: u64,
    min: i64,
    max: i64,
    sum: i64,
    count: u32,
}

impl From<(u64, i64, i64, i64, u32)> for Bucket {
    fn from((slot, min, max, sum, count): (u64, i64, i64, i64, u32)) -> Self {
        Self {
            slot,
            min,
            max,
            sum,
            count,
        }
    }
}

impl From<Bucket> for (u64, i64, i64, i64, u32) {
    fn from(bucket: Bucket) -> Self {
        (bucket.slot, bucket.min, bucket.max, bucket.sum, bucket.count)
    }
}

impl Bucket {
    fn add(&mut self, value: i64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum = self.sum.saturating_add(value);
        self.count = self.count.saturating_add(1);
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail([VecDeque<Bucket>; ROLLS.len()]);

impl Trail {
    /// A reading lands in the buckets of its own time, however late it comes; where that time is no longer kept, nowhere.
    pub fn add(&mut self, at: Millis, value: f64) {
        let value = (value * SCALE).round() as i64;
        for (buckets, roll) in self.0.iter_mut().zip(ROLLS) {
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

fn put(buckets: &mut VecDeque<Bucket>, roll: Roll, slot: u64, value: i64) {
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
        Err(index) => buckets.insert(index, (slot, value, value, value, 1).into()),
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
    let value = |scaled: i64| scaled as f64 / SCALE;
    Point {
        at: bucket.slot.saturating_mul(roll.step).saturating_add(roll.step / 2),
        min: value(bucket.min),
        max: value(bucket.max),
        mean: value(bucket.sum) / f64::from(bucket.count.max(1)),
        count: bucket.count,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Millis = 3_600_000;

    fn trail(readings: &[(Millis, f64)]) -> Trail {
        let mut trail = Trail::default();
        readings.iter().for_each(|(at, value)| trail.add(*at, *value));
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
        trail.add(10 * HOUR - 60_000, 1.0);
        trail.add(HOUR, 7.0);
        let hour = trail.points(9 * HOUR, 10 * HOUR, 10 * HOUR);
        assert_eq!(hour.iter().map(|point| point.mean).collect::<Vec<_>>(), [1.0, 5.0]);
        let day = trail.points(0, 10 * HOUR, 10 * HOUR);
        assert_eq!(
            day.first().map(|point| point.mean),
            Some(7.0),
            "only the longer buckets reach back so far"
        );
    }

    proptest! {
        #[test]
        fn readings_in_any_order_make_the_same_history(
            readings in prop::collection::vec((0..200 * HOUR, -1e12..1e12_f64), 0..300),
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
