//! Converts candles and sparklines to SVG paths with integer coordinates. Pure.

use super::model::chart::{MAX_CANDLES, with_last_price};
use super::wire::{Candle, Interval, Tick};

/// The width of a candle's slot, in view box units.
pub const SLOT_WIDTH: i64 = 10;
/// Half the width of a candle's body.
const HALF_BODY: i64 = 3;
pub const HEIGHT: i64 = 300;
pub const VOLUME_HEIGHT: i64 = 60;
pub const WIDTH: i64 = MAX_CANDLES as i64 * SLOT_WIDTH;
/// The size of a sparkline.
pub const SPARK_WIDTH: i64 = 96;
pub const SPARK_HEIGHT: i64 = 28;
/// The number of intervals between the horizontal grid lines.
pub const GRID_INTERVALS: u64 = 4;

/// The price and volume range of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChartRange {
    pub low: u64,
    pub high: u64,
    pub volume: u64,
}

impl ChartRange {
    pub fn of_candles(candles: &[Candle]) -> Self {
        let low = candles.iter().map(|candle| candle.low).min().unwrap_or(0);
        let high = candles.iter().map(|candle| candle.high).max().unwrap_or(1);
        Self {
            low,
            high: high.max(low.saturating_add(1)),
            volume: candles.iter().map(|candle| candle.volume).max().unwrap_or(0).max(1),
        }
    }

    fn y(&self, price: u64) -> i64 {
        let above = scale_to(price.saturating_sub(self.low), self.high - self.low, HEIGHT);
        HEIGHT - above
    }

    /// The prices of the grid lines, from the top.
    pub fn grid_prices(&self) -> Vec<u64> {
        let span = u128::from(self.high - self.low);
        let price =
            |line: u64| self.high - u64::try_from(span * u128::from(line) / u128::from(GRID_INTERVALS)).unwrap_or(0);
        (0..=GRID_INTERVALS).map(price).collect()
    }
}

/// Scales `value` from `0..=whole` to `0..=extent`.
fn scale_to(value: u64, whole: u64, extent: i64) -> i64 {
    let (whole, factor) = (whole.max(1), extent.unsigned_abs());
    let quotient = match value.checked_mul(factor) {
        Some(product) => product / whole,
        None => u64::try_from(u128::from(value) * u128::from(factor) / u128::from(whole)).unwrap_or(u64::MAX),
    };
    i64::try_from(quotient).unwrap_or(extent).min(extent)
}

/// SVG paths of rising (or unchanged) and falling candles, with their volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CandlePaths {
    pub rise: String,
    pub fall: String,
    pub volume_rise: String,
    pub volume_fall: String,
}

/// The horizontal centre of a candle's slot; the newest candle is rightmost.
pub fn slot_center(index: usize, count: usize) -> i64 {
    (MAX_CANDLES.saturating_sub(count) + index) as i64 * SLOT_WIDTH + SLOT_WIDTH / 2
}

/// The index of the candle at a fraction of the width, from 0 to 1.
pub fn candle_at(fraction: f64, count: usize) -> Option<usize> {
    let slot = (fraction.clamp(0.0, 0.999_999) * MAX_CANDLES as f64) as usize;
    slot.checked_sub(MAX_CANDLES.saturating_sub(count))
        .filter(|index| *index < count)
}

/// The paths of `candles`, which begin at index `first` of `count` candles.
pub fn candle_paths(candles: &[Candle], first: usize, count: usize, range: &ChartRange) -> CandlePaths {
    let mut paths = CandlePaths::default();
    for (index, candle) in candles.iter().enumerate() {
        let x = slot_center(first + index, count);
        let rises = candle.close >= candle.open;
        let (top, bottom) = (candle.open.max(candle.close), candle.open.min(candle.close));
        let (path, volume) = match rises {
            true => (&mut paths.rise, &mut paths.volume_rise),
            false => (&mut paths.fall, &mut paths.volume_fall),
        };
        let (y_top, y_bottom) = (range.y(top), range.y(bottom));
        // A body is hollow if the price rose, so the wick is drawn in two parts around it.
        push_path_commands(path, &[("M", x), (" ", range.y(candle.high)), ("V", y_top)]);
        push_path_commands(path, &[("M", x), (" ", y_bottom), ("V", range.y(candle.low))]);
        let height = (y_bottom - y_top).max(1);
        push_path_commands(
            path,
            &[
                ("M", x - HALF_BODY),
                (" ", y_top),
                ("h", 2 * HALF_BODY),
                ("v", height),
                ("h", -2 * HALF_BODY),
            ],
        );
        path.push('z');
        let height = scale_to(candle.volume, range.volume, VOLUME_HEIGHT);
        push_path_commands(
            volume,
            &[
                ("M", x - HALF_BODY),
                (" ", VOLUME_HEIGHT),
                ("v", -height),
                ("h", 2 * HALF_BODY),
                ("v", height),
            ],
        );
        volume.push('z');
    }
    paths
}

fn push_path_commands(path: &mut String, commands: &[(&str, i64)]) {
    for (command, number) in commands {
        path.push_str(command);
        push_number(path, *number);
    }
}

/// Avoids a temporary `String` per number: a page's sparklines have about ten thousand.
fn push_number(path: &mut String, number: i64) {
    if number < 0 {
        path.push('-');
    }
    let number = number.unsigned_abs();
    let mut unit = 1;
    while number / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        path.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

/// The candles of a chart, with the latest tick applied to the newest candle.
pub fn with_latest_tick(candles: impl Iterator<Item = Candle>, interval: Interval, tick: Option<&Tick>) -> Vec<Candle> {
    let mut candles: Vec<Candle> = candles.collect();
    let Some(tick) = tick else { return candles };
    let at = tick.at - tick.at % interval.millis();
    match candles.last_mut() {
        Some(last) if last.at == at => *last = with_last_price(last, tick.last),
        Some(last) if last.at > at => {}
        _ => candles.push(Candle::from((at, tick.last, tick.last, tick.last, tick.last, 0))),
    }
    candles.drain(..candles.len().saturating_sub(MAX_CANDLES));
    candles
}

/// The `points` attribute of a sparkline over its full width.
pub fn spark(prices: &[u64]) -> String {
    let (Some(low), Some(high)) = (prices.iter().min(), prices.iter().max()) else {
        return String::new();
    };
    let steps = (prices.len() - 1).max(1) as i64;
    let mut points = String::new();
    for (index, price) in prices.iter().enumerate() {
        let x = SPARK_WIDTH * index as i64 / steps;
        let y = match high == low {
            true => SPARK_HEIGHT / 2,
            false => SPARK_HEIGHT - 2 - scale_to(price - low, high - low, SPARK_HEIGHT - 4),
        };
        push_path_commands(&mut points, &[(if index == 0 { "" } else { " " }, x), (",", y)]);
    }
    points
}

/// The direction of a sparkline from first to last point, for style sheets: `up`, `down` or `flat`.
pub fn trend(prices: &[u64]) -> &'static str {
    match (prices.first(), prices.last()) {
        (Some(first), Some(last)) if last > first => "up",
        (Some(first), Some(last)) if last < first => "down",
        _ => "flat",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candle(at: u64, open: u64, high: u64, low: u64, close: u64) -> Candle {
        Candle::from((at, open, high, low, close, 10))
    }

    #[test]
    fn a_candle_is_hollow_if_it_rose_and_filled_if_it_fell() {
        let candles = [candle(0, 10, 30, 10, 20), candle(1, 20, 20, 0, 10)];
        let range = ChartRange::of_candles(&candles);
        let paths = candle_paths(&candles, 0, 2, &range);
        assert_eq!((range.low, range.high), (0, 30));
        assert_eq!(paths.rise, "M885 0V100M885 200V200M882 100h6v100h-6z");
        assert_eq!(paths.fall, "M895 100V100M895 200V300M892 100h6v100h-6z");
        assert_eq!(paths.volume_fall, "M892 60v-60h6v60z");
        assert_eq!(range.grid_prices(), [30, 23, 15, 8, 0]);
    }

    #[test]
    fn the_latest_tick_updates_the_newest_candle_or_starts_one() {
        let tick = |at, last| Tick {
            symbol: "a".to_owned(),
            last,
            open: 1,
            high: 1,
            low: 1,
            volume: 1,
            at,
            stale: false,
        };
        let old = [candle(0, 5, 6, 4, 5), candle(60_000, 5, 6, 4, 5)];
        let closes = |at, last| {
            let shown = with_latest_tick(old.into_iter(), Interval::Minute, Some(&tick(at, last)));
            shown.iter().map(|candle| candle.close).collect::<Vec<_>>()
        };
        assert_eq!(closes(61_000, 9), [5, 9]);
        assert_eq!(closes(121_000, 9), [5, 5, 9]);
        assert_eq!(closes(59_000, 9), [5, 5]);
        assert_eq!(with_latest_tick(old.into_iter(), Interval::Minute, None), old);
    }

    #[test]
    fn a_fraction_of_the_width_maps_to_its_candle() {
        assert_eq!(candle_at(1.0, MAX_CANDLES), Some(MAX_CANDLES - 1));
        assert_eq!(candle_at(0.0, MAX_CANDLES), Some(0));
        assert_eq!(candle_at(0.0, 2), None);
        assert_eq!(candle_at(0.999, 2), Some(1));
        assert_eq!(candle_at(0.5, 0), None);
    }

    #[test]
    fn a_spark_line_fills_its_view_box() {
        assert_eq!(spark(&[10, 20, 15]), "0,26 48,2 96,14");
        assert_eq!(spark(&[5, 5]), "0,14 96,14");
        assert_eq!(spark(&[]), "");
    }

    proptest! {
        #[test]
        fn push_number_equals_to_string(number: i64) {
            let mut path = String::new();
            push_number(&mut path, number);
            prop_assert_eq!(path, number.to_string());
        }

        #[test]
        fn candles_and_spark_lines_stay_within_the_view_box(prices in prop::collection::vec((any::<u64>(), any::<u64>()), 1..MAX_CANDLES)) {
            let candles: Vec<_> = prices.iter().map(|(a, b)| candle(0, *a, *a.max(b), *a.min(b), *b)).collect();
            let range = ChartRange::of_candles(&candles);
            for (low, high) in candles.iter().map(|candle| (candle.low, candle.high)) {
                prop_assert!(range.y(high) >= 0 && range.y(low) <= HEIGHT && range.y(high) <= range.y(low));
            }
            let drawn = candle_paths(&candles, 0, candles.len(), &range);
            prop_assert!(!drawn.rise.is_empty() || !drawn.fall.is_empty());
            let points: Vec<u64> = prices.iter().map(|(a, _)| *a).collect();
            prop_assert_eq!(spark(&points).split(' ').count(), points.len());
        }
    }
}
