//! Converts a history to SVG paths: a min-max band, a line of means, and threshold lines. Pure.

use super::super::{
    history::Point,
    wire::{Millis, Threshold},
};

pub const WIDTH: f64 = 1_000.0;
pub const HEIGHT: f64 = 300.0;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryPlot {
    pub points: Vec<Point>,
    pub from: Millis,
    pub to: Millis,
    pub low: f64,
    pub high: f64,
    pub line: String,
    pub band: String,
    /// The y coordinates of the thresholds within the visible range.
    pub threshold_ys: Vec<f64>,
}

impl HistoryPlot {
    /// Points further apart than two `step`s are not connected: there is a gap in the readings.
    pub fn new(points: Vec<Point>, (from, to): (Millis, Millis), step: Millis, threshold: Option<Threshold>) -> Self {
        let low = points.iter().map(|point| point.min).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(|point| point.max).fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = match (low, high) {
            (low, high) if low > high => (0.0, 1.0),
            (low, high) => {
                let margin = ((high - low) * 0.08).max(high.abs().max(low.abs()) * 0.01);
                // For zeros, and for values so small that their hundredth underflows.
                let margin = if margin > f64::MIN_POSITIVE { margin } else { 0.05 };
                (low - margin, high + margin)
            }
        };
        let mut chart = Self {
            from,
            to: to.max(from + 1),
            low,
            high,
            ..Self::default()
        };
        let limits = threshold
            .map(|threshold| [threshold.low, threshold.high])
            .unwrap_or_default();
        let is_visible = |limit: &f64| (low..=high).contains(limit);
        chart.threshold_ys = limits
            .into_iter()
            .flatten()
            .filter(is_visible)
            .map(|limit| chart.y(limit))
            .collect();
        for run in points.chunk_by(|one, next| next.at.saturating_sub(one.at) <= 2 * step) {
            chart.draw(run, step);
        }
        chart.points = points;
        chart
    }

    fn draw(&mut self, run: &[Point], step: Millis) {
        let (mut line, mut band) = (String::new(), String::new());
        // A single point is drawn as wide as its bucket.
        let half = step / 2;
        let ends = |point: &Point| [point.at.saturating_sub(half), point.at.saturating_add(half)];
        let vertices: Vec<(Millis, &Point)> = match run {
            [one] => ends(one).into_iter().map(|at| (at, one)).collect(),
            run => run.iter().map(|point| (point.at, point)).collect(),
        };
        for (at, point) in &vertices {
            self.line_to(&mut line, *at, point.mean);
            self.line_to(&mut band, *at, point.max);
        }
        for (at, point) in vertices.iter().rev() {
            self.line_to(&mut band, *at, point.min);
        }
        self.line += &line;
        self.band += &band;
        self.band.push('Z');
    }

    fn line_to(&self, path: &mut String, at: Millis, value: f64) {
        path.push(if path.is_empty() { 'M' } else { 'L' });
        path.push_str(&round_tenth(self.x(at)));
        path.push(' ');
        path.push_str(&round_tenth(self.y(value)));
    }

    pub fn x(&self, at: Millis) -> f64 {
        let (at, from, to) = (at as f64, self.from as f64, self.to as f64);
        ((at - from) / (to - from)).clamp(0.0, 1.0) * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        (1.0 - (value - self.low) / (self.high - self.low)) * HEIGHT
    }

    /// The time at a fraction of the width, from 0 to 1.
    pub fn time_at(&self, fraction: f64) -> Millis {
        self.from + ((self.to - self.from) as f64 * fraction.clamp(0.0, 1.0)) as Millis
    }

    pub fn nearest(&self, at: Millis) -> Option<usize> {
        let nearest = self
            .points
            .iter()
            .enumerate()
            .min_by_key(|(_, point)| point.at.abs_diff(at));
        nearest.map(|(index, _)| index)
    }
}

/// Rounds to a tenth, which keeps paths of many points short.
pub fn round_tenth(number: f64) -> String {
    ((number * 10.0).round() / 10.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: Millis, value: f64) -> Point {
        Point {
            at,
            min: value - 1.0,
            max: value + 1.0,
            mean: value,
            count: 1,
        }
    }

    #[test]
    fn a_gap_in_the_readings_is_not_connected() {
        let points = vec![point(0, 5.0), point(10, 6.0), point(100, 5.0)];
        let chart = HistoryPlot::new(points, (0, 100), 10, None);
        assert_eq!(chart.line.matches('M').count(), 2);
        assert_eq!(chart.band.matches('Z').count(), 2);
        assert!(chart.line.starts_with("M0 "));
        assert_eq!(
            [chart.nearest(4), chart.nearest(6), chart.nearest(999)],
            [Some(0), Some(1), Some(2)]
        );
    }

    #[test]
    fn only_thresholds_in_the_visible_range_are_drawn() {
        let threshold = Threshold {
            low: Some(-100.0),
            high: Some(5.5),
            hysteresis: 0.0,
        };
        let chart = HistoryPlot::new(vec![point(0, 5.0), point(10, 5.0)], (0, 10), 10, Some(threshold));
        assert_eq!(chart.threshold_ys.len(), 1);
        assert!(chart.threshold_ys[0] > 0.0 && chart.threshold_ys[0] < HEIGHT / 2.0);
    }

    #[test]
    fn an_empty_chart_has_a_scale() {
        let chart = HistoryPlot::new(Vec::new(), (5, 5), 10, None);
        assert_eq!((chart.low, chart.high, chart.nearest(1)), (0.0, 1.0, None));
        assert!(chart.x(5).is_finite());
        for value in [0.0, 1e-9, 5e-324, -1e12] {
            let flat = Point {
                min: value,
                max: value,
                ..point(0, value)
            };
            let flat = HistoryPlot::new(vec![flat], (0, 10), 10, None);
            assert!(flat.low < flat.high && flat.high - flat.low <= value.abs().max(0.05) * 3.0);
            assert!(!flat.line.contains("NaN"));
        }
    }
}
