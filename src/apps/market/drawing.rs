//! Prices as shapes: the coordinates and paths of spark lines and candles. Whole numbers throughout. Pure.

use super::model::chart::{KEPT, with_price};
use super::wire::{Candle, Interval, Tick};

/// Units of a candle's place, its width, and the height of the two parts of a chart.
pub const PLACE: i64 = 10;
const HALF: i64 = 3;
pub const HEIGHT: i64 = 300;
pub const VOLUME_HEIGHT: i64 = 60;
pub const WIDTH: i64 = KEPT as i64 * PLACE;
/// A spark line's.
pub const SPARK_WIDTH: i64 = 96;
pub const SPARK_HEIGHT: i64 = 28;
/// Lines of the grid.
pub const LINES: u64 = 4;

/// What a chart shows from bottom to top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub low: u64,
    pub high: u64,
    pub volume: u64,
}

impl Range {
    pub fn of(candles: &[Candle]) -> Self {
        let low = candles.iter().map(|candle| candle.low).min().unwrap_or(0);
        let high = candles.iter().map(|candle| candle.high).max().unwrap_or(1);
        Self {
            low,
            high: high.max(low.saturating_add(1)),
            volume: candles.iter().map(|candle| candle.volume).max().unwrap_or(0).max(1),
        }
    }

    fn y(&self, price: u64) -> i64 {
        let above = part(price.saturating_sub(self.low), self.high - self.low, HEIGHT);
        HEIGHT - above
    }

    /// Prices of the grid's lines, from the top.
    pub fn lines(&self) -> Vec<u64> {
        let span = u128::from(self.high - self.low);
        let price = |line: u64| self.high - u64::try_from(span * u128::from(line) / u128::from(LINES)).unwrap_or(0);
        (0..=LINES).map(price).collect()
    }
}

/// `of` times `value / whole`.
fn part(value: u64, whole: u64, of: i64) -> i64 {
    let (whole, factor) = (whole.max(1), of.unsigned_abs());
    let quotient = match value.checked_mul(factor) {
        Some(product) => product / whole,
        None => u64::try_from(u128::from(value) * u128::from(factor) / u128::from(whole)).unwrap_or(u64::MAX),
    };
    i64::try_from(quotient).unwrap_or(of).min(of)
}

/// What to draw of candles that rose or stayed, and of those that fell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shapes {
    pub rise: String,
    pub fall: String,
    pub volume_rise: String,
    pub volume_fall: String,
}

/// The middle of the place of a candle; the newest stands at the right.
pub fn middle(index: usize, count: usize) -> i64 {
    (KEPT.saturating_sub(count) + index) as i64 * PLACE + PLACE / 2
}

/// The candle at a part of the width between 0 and 1.
pub fn candle_at(part: f64, count: usize) -> Option<usize> {
    let place = (part.clamp(0.0, 0.999_999) * KEPT as f64) as usize;
    place
        .checked_sub(KEPT.saturating_sub(count))
        .filter(|index| *index < count)
}

/// `candles` from the place `first` on of `count`.
pub fn shapes(candles: &[Candle], first: usize, count: usize, range: &Range) -> Shapes {
    let mut shapes = Shapes::default();
    for (index, candle) in candles.iter().enumerate() {
        let x = middle(first + index, count);
        let rises = candle.close >= candle.open;
        let (top, bottom) = (candle.open.max(candle.close), candle.open.min(candle.close));
        let (path, volume) = match rises {
            true => (&mut shapes.rise, &mut shapes.volume_rise),
            false => (&mut shapes.fall, &mut shapes.volume_fall),
        };
        let (y_top, y_bottom) = (range.y(top), range.y(bottom));
        // The body is hollow where the price rose: no wick goes through it.
        add(path, &[("M", x), (" ", range.y(candle.high)), ("V", y_top)]);
        add(path, &[("M", x), (" ", y_bottom), ("V", range.y(candle.low))]);
        let height = (y_bottom - y_top).max(1);
        add(
            path,
            &[
                ("M", x - HALF),
                (" ", y_top),
                ("h", 2 * HALF),
                ("v", height),
                ("h", -2 * HALF),
            ],
        );
        path.push('z');
        let height = part(candle.volume, range.volume, VOLUME_HEIGHT);
        add(
            volume,
            &[
                ("M", x - HALF),
                (" ", VOLUME_HEIGHT),
                ("v", -height),
                ("h", 2 * HALF),
                ("v", height),
            ],
        );
        volume.push('z');
    }
    shapes
}

fn add(path: &mut String, steps: &[(&str, i64)]) {
    for (step, number) in steps {
        path.push_str(step);
        push_number(path, *number);
    }
}

/// Without a string of its own: a page of spark lines has some ten thousand numbers.
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

/// The candles of a chart, the newest one as the newest price has it.
pub fn live(candles: impl Iterator<Item = Candle>, interval: Interval, tick: Option<&Tick>) -> Vec<Candle> {
    let mut candles: Vec<Candle> = candles.collect();
    let Some(tick) = tick else { return candles };
    let at = tick.at - tick.at % interval.millis();
    match candles.last_mut() {
        Some(last) if last.at == at => *last = with_price(last, tick.last),
        Some(last) if last.at > at => {}
        _ => candles.push(Candle::from((at, tick.last, tick.last, tick.last, tick.last, 0))),
    }
    candles.drain(..candles.len().saturating_sub(KEPT));
    candles
}

/// The points of a spark line, in its whole width.
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
            false => SPARK_HEIGHT - 2 - part(price - low, high - low, SPARK_HEIGHT - 4),
        };
        add(&mut points, &[(if index == 0 { "" } else { " " }, x), (",", y)]);
    }
    points
}

/// `up`, `down` or `flat`, for style sheets: where a spark line ends, seen from its beginning.
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
    fn a_candle_is_hollow_when_it_rose_and_full_when_it_fell() {
        let candles = [candle(0, 10, 30, 10, 20), candle(1, 20, 20, 0, 10)];
        let range = Range::of(&candles);
        let shapes = shapes(&candles, 0, 2, &range);
        assert_eq!((range.low, range.high), (0, 30));
        assert_eq!(shapes.rise, "M885 0V100M885 200V200M882 100h6v100h-6z");
        assert_eq!(shapes.fall, "M895 100V100M895 200V300M892 100h6v100h-6z");
        assert_eq!(shapes.volume_fall, "M892 60v-60h6v60z");
        assert_eq!(range.lines(), [30, 23, 15, 8, 0]);
    }

    #[test]
    fn the_newest_price_moves_the_newest_candle_or_begins_one() {
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
            let shown = live(old.into_iter(), Interval::Minute, Some(&tick(at, last)));
            shown.iter().map(|candle| candle.close).collect::<Vec<_>>()
        };
        assert_eq!(closes(61_000, 9), [5, 9]);
        assert_eq!(closes(121_000, 9), [5, 5, 9]);
        assert_eq!(closes(59_000, 9), [5, 5]);
        assert_eq!(live(old.into_iter(), Interval::Minute, None), old);
    }

    #[test]
    fn the_pointer_finds_the_candle_under_it() {
        assert_eq!(candle_at(1.0, KEPT), Some(KEPT - 1));
        assert_eq!(candle_at(0.0, KEPT), Some(0));
        assert_eq!(candle_at(0.0, 2), None);
        assert_eq!(candle_at(0.999, 2), Some(1));
        assert_eq!(candle_at(0.5, 0), None);
    }

    #[test]
    fn a_spark_line_fills_its_box() {
        assert_eq!(spark(&[10, 20, 15]), "0,26 48,2 96,14");
        assert_eq!(spark(&[5, 5]), "0,14 96,14");
        assert_eq!(spark(&[]), "");
    }

    proptest! {
        #[test]
        fn a_number_is_written_as_everywhere(number: i64) {
            let mut path = String::new();
            push_number(&mut path, number);
            prop_assert_eq!(path, number.to_string());
        }

        #[test]
        fn everything_is_drawn_within_its_frame(prices in prop::collection::vec((any::<u64>(), any::<u64>()), 1..KEPT)) {
            let candles: Vec<_> = prices.iter().map(|(a, b)| candle(0, *a, *a.max(b), *a.min(b), *b)).collect();
            let range = Range::of(&candles);
            for (low, high) in candles.iter().map(|candle| (candle.low, candle.high)) {
                prop_assert!(range.y(high) >= 0 && range.y(low) <= HEIGHT && range.y(high) <= range.y(low));
            }
            let drawn = shapes(&candles, 0, candles.len(), &range);
            prop_assert!(!drawn.rise.is_empty() || !drawn.fall.is_empty());
            let points: Vec<u64> = prices.iter().map(|(a, _)| *a).collect();
            prop_assert_eq!(spark(&points).split(' ').count(), points.len());
        }
    }
}
