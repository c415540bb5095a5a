//! Times as a chart and a list of trades say them: in the visitor's zone where that is known, else in UTC.

use super::super::wire::{Interval, Millis};
use crate::ui::calendar;

/// Only in the browser may it be `local`.
fn zone(at: Millis, local: bool) -> i32 {
    if local { calendar::utc_offset(at) } else { 0 }
}

/// `09:05:07`.
pub fn clock(at: Millis, local: bool) -> String {
    calendar::time_with_seconds(at, zone(at, local))
}

/// As short as the interval allows: `09:05`, `11-22 09:00`, `11-22`. A day's candle is UTC's day everywhere.
pub fn of_candle(at: Millis, interval: Interval, local: bool) -> String {
    let zone = zone(at, local && interval != Interval::Day);
    let date = || {
        let date = calendar::date(calendar::day(at, zone));
        date.split_once('-')
            .map_or_else(String::new, |(_, date)| date.to_owned())
    };
    match interval {
        Interval::Minute | Interval::FiveMinutes => calendar::time_of_day(at, zone),
        Interval::Quarter | Interval::Hour => [date(), calendar::time_of_day(at, zone)].join(" "),
        Interval::Day => date(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_the_calendar_says() {
        let at = 1_795_387_507_000;
        assert_eq!(clock(at, false), "22:45:07");
        assert_eq!(of_candle(at, Interval::Minute, false), "22:45");
        assert_eq!(of_candle(at, Interval::Hour, false), "11-22 22:45");
        assert_eq!(of_candle(951_782_400_000, Interval::Day, false), "02-29");
    }
}
