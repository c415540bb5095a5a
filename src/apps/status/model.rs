//! The state of `status/node`: the node's samples of the last ten minutes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::wire::status::{Detail, Point, RETAINED_SAMPLES, Sample, Series};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The time of the newest sample, in milliseconds since 1970; 0 before the first.
    pub at: u64,
    /// Data of the newest sample only: name, version, topics and tasks.
    pub detail: Detail,
    /// The points of the newest samples, the newest last; at most [`RETAINED_SAMPLES`].
    pub points: VecDeque<Point>,
}

impl Status {
    pub fn add(&mut self, sample: &Sample) {
        self.at = sample.at;
        self.detail = sample.detail.clone();
        self.points.push_back(sample.point);
        while self.points.len() > RETAINED_SAMPLES {
            self.points.pop_front();
        }
    }

    pub fn latest_value(&self, series: Series) -> u64 {
        self.points.back().map_or(0, |point| point.get(series))
    }

    pub fn history(&self, series: Series) -> Vec<f64> {
        self.points.iter().map(|point| point.get(series) as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_newest_ten_minutes_are_kept(count in 0..2 * RETAINED_SAMPLES) {
            let mut status = Status::default();
            for number in 1..=count as u64 {
                let mut sample = Sample { at: number, ..Sample::default() };
                sample.point.set(Series::Events, number);
                status.add(&sample);
            }
            let first = count.saturating_sub(RETAINED_SAMPLES) + 1;
            let expected: Vec<f64> = (first..=count).map(|number| number as f64).collect();
            prop_assert_eq!(status.history(Series::Events), expected);
            prop_assert_eq!((status.at, status.latest_value(Series::Events)), (count as u64, count as u64));
        }
    }
}
