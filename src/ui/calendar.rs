//! Dates and times of day from Unix milliseconds and a UTC offset. Pure, except for [`utc_offset`].

use crate::wire::civil::civil_from_days;

type Millis = u64;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The visitor's UTC offset at the Unix time `at`, in minutes east of UTC. Browser only.
pub fn utc_offset(at: Millis) -> i32 {
    -(js_sys::Date::new(&(at as f64).into()).get_timezone_offset() as i32)
}

/// Days since 1970-01-01, `offset` minutes east of UTC.
pub fn day(at: Millis, offset: i32) -> i64 {
    local(at, offset).div_euclid(DAY)
}

/// `09:05`.
pub fn time_of_day(at: Millis, offset: i32) -> String {
    let minutes = local(at, offset).rem_euclid(DAY) / MINUTE;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `09:05:07`.
pub fn time_with_seconds(at: Millis, offset: i32) -> String {
    let seconds = local(at, 0).rem_euclid(MINUTE) / 1000;
    format!("{}:{seconds:02}", time_of_day(at, offset))
}

/// `2026-11-22`.
pub fn date(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-22T09:05:07Z`.
pub fn iso(at: Millis) -> String {
    format!("{}T{}Z", date(day(at, 0)), time_with_seconds(at, 0))
}

/// Milliseconds in local time. Clamped to the range of JavaScript's `Date`, so that no event's time can break a page.
fn local(at: Millis, offset: i32) -> i64 {
    const MAX_DATE: Millis = 8_640_000_000_000_000;
    i64::try_from(at.min(MAX_DATE)).unwrap_or_default() + i64::from(offset) * MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_match_the_calendar() {
        for (at, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_078_012_800_000, "2004-02-29T00:00:00Z"),
            (1_795_387_507_000, "2026-11-22T22:45:07Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso(at), expected);
        }
        assert_eq!(date(day(Millis::MAX, 840)), "275760-09-13");
    }

    #[test]
    fn the_utc_offset_moves_the_day() {
        let at = 1_795_387_507_000;
        assert_eq!(
            (date(day(at, 540)), time_of_day(at, 540)),
            ("2026-11-23".to_owned(), "07:45".to_owned())
        );
        assert_eq!(time_of_day(at, -180), "19:45");
    }
}
