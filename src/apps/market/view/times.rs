//! Formats the times of charts and trades: in the visitor's time zone if it is known, else in UTC.

use super::super::wire::{Interval, Millis};
use crate::ui::calendar;

/// The UTC offset at a time; `use_local` only in the browser.
fn offset(at: Millis, use_local: bool) -> i32 {
    if use_local { calendar::utc_offset(at) } else { 0 }
}

/// `09:05:07`.
pub fn time_of_day(at: Millis, use_local: bool) -> String {
    calendar::time_with_seconds(at, offset(at, use_local))
}

/// As short as the interval allows: `09:05`, `11-22 09:00`, `11-22`. The candle of a day is always a UTC day.
pub fn candle_time(at: Millis, interval: Interval, use_local: bool) -> String {
    let offset = offset(at, use_local && interval != Interval::Day);
    let date = || {
        let date = calendar::date(calendar::day(at, offset));
        date.split_once('-')
            .map_or_else(String::new, |(_, date)| date.to_owned())
    };
    match interval {
        Interval::Minute | Interval::FiveMinutes => calendar::time_of_day(at, offset),
        Interval::FifteenMinutes | Interval::Hour => [date(), calendar::time_of_day(at, offset)].join(" "),
        Interval::Day => date(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_by_interval() {
        let at = 1_795_387_507_000;
        assert_eq!(time_of_day(at, false), "22:45:07");
        assert_eq!(candle_time(at, Interval::Minute, false), "22:45");
        assert_eq!(candle_time(at, Interval::Hour, false), "11-22 22:45");
        assert_eq!(candle_time(951_782_400_000, Interval::Day, false), "02-29");
    }
}
