//! Times as a chart and a list of trades say them: in the visitor's zone where that is known, else in UTC.

use super::super::wire::{Interval, Millis};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Milliseconds of the day and the day, where the visitor is if `local`. Only in the browser may it be.
fn place(at: Millis, local: bool) -> (i64, i64) {
    let zone = match local {
        true => -(js_sys::Date::new(&(at as f64).into()).get_timezone_offset() as i64),
        false => 0,
    };
    let shifted = i64::try_from(at).unwrap_or(0).saturating_add(zone * MINUTE);
    (shifted.rem_euclid(DAY), shifted.div_euclid(DAY))
}

/// `09:05:07`.
pub fn clock(at: Millis, local: bool) -> String {
    let (of_day, _) = place(at, local);
    [
        two(of_day / 3_600_000),
        two(of_day / MINUTE % 60),
        two(of_day / 1000 % 60),
    ]
    .join(":")
}

/// As short as the interval allows: `09:05`, `11-22 09:00`, `11-22`. A day's candle is UTC's day everywhere.
pub fn of_candle(at: Millis, interval: Interval, local: bool) -> String {
    let (of_day, day) = place(at, local && interval != Interval::Day);
    let date = || {
        let (month, day) = month_and_day(day);
        [two(month), two(day)].join("-")
    };
    let time = || [two(of_day / 3_600_000), two(of_day / MINUTE % 60)].join(":");
    match interval {
        Interval::Minute | Interval::FiveMinutes => time(),
        Interval::Quarter | Interval::Hour => [date(), time()].join(" "),
        Interval::Day => date(),
    }
}

fn two(number: i64) -> String {
    let digits = number.to_string();
    if digits.len() < 2 {
        ["0", &digits].concat()
    } else {
        digits
    }
}

/// Of days since 1970: the proleptic Gregorian calendar, its years counted from March.
fn month_and_day(days: i64) -> (i64, i64) {
    let in_cycle = (days + 719_468).rem_euclid(146_097);
    let year = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (month, in_year - (153 * from_march + 2) / 5 + 1)
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
