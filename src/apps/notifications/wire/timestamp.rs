//! Converts between RFC 3339 timestamps and milliseconds since 1970. Pure; reads no clock.

use super::Millis;
use crate::wire::civil::{civil_from_days, days_from_civil};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The last millisecond of the year 9999, the last year with four digits.
const MAX_MILLIS: i64 = 253_402_300_799_999;

/// Parses `2026-11-22T22:45:07Z`, with an optional fraction of a second or offset from UTC (RFC 3339). Times before 1970 are
/// rejected.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    let mut parser = Parser(text.as_bytes());
    let (year, month, day) = (parser.number(4)?, parser.two_digits(b"-")?, parser.two_digits(b"-")?);
    let (hour, minute, second) = (
        parser.two_digits(b"Tt ")?,
        parser.two_digits(b":")?,
        parser.two_digits(b":")?,
    );
    let fraction = parser.fraction();
    let offset = parser.offset()?;
    // A leap second becomes the first second of the next minute.
    let in_range = (1..=12).contains(&month) && hour < 24 && minute < 60 && second <= 60;
    let days = days_from_civil(year, month, day);
    if !parser.0.is_empty() || !in_range || civil_from_days(days) != (year, month, day) {
        return None;
    }
    let at = days * DAY + hour * HOUR + minute * MINUTE + second * SECOND + fraction - offset;
    Millis::try_from(at).ok()
}

/// Formats as `2026-11-22T22:45:07Z`.
pub fn to_rfc3339(at: Millis) -> String {
    let (date, hour, minute, second) = date_and_time(at);
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Formats as `2026-11-22 22:45 UTC`, for readers whose time zone is unknown.
pub fn to_utc(at: Millis) -> String {
    let (date, hour, minute, _) = date_and_time(at);
    format!("{date} {hour:02}:{minute:02} UTC")
}

fn date_and_time(at: Millis) -> (String, i64, i64, i64) {
    let at = i64::try_from(at).unwrap_or(MAX_MILLIS).min(MAX_MILLIS);
    let (year, month, day) = civil_from_days(at.div_euclid(DAY));
    let rest = at.rem_euclid(DAY);
    let date = format!("{year:04}-{month:02}-{day:02}");
    (date, rest / HOUR, rest % HOUR / MINUTE, rest % MINUTE / SECOND)
}

/// The unparsed input.
struct Parser<'a>(&'a [u8]);

impl Parser<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(digits)?;
        let number = head.iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
        })?;
        self.0 = tail;
        Some(number)
    }

    /// Consumes one byte if it is one of `bytes`.
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, tail) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = tail;
            *first
        })
    }

    /// Consumes two digits after one of `separators`.
    fn two_digits(&mut self, separators: &[u8]) -> Option<i64> {
        self.one_of(separators)?;
        self.number(2)
    }

    /// The fraction in milliseconds; further digits are truncated.
    fn fraction(&mut self) -> i64 {
        if self.one_of(b".").is_none() {
            return 0;
        }
        let (mut millis, mut unit) = (0, 100);
        while let Some(digit) = self.number(1) {
            millis += digit * unit;
            unit /= 10;
        }
        millis
    }

    /// The offset in milliseconds, positive east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let (hours, minutes) = (self.number(2)?, self.two_digits(b":")?);
        (hours < 24 && minutes < 60).then_some(sign * (hours * HOUR + minutes * MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_3339_timestamps_are_parsed() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2026-11-23T07:45:07+09:00", 1_795_387_507_000),
            ("2026-11-22 22:45:07.1239z", 1_795_387_507_123),
            ("2026-11-22t19:45:07-03:00", 1_795_387_507_000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(at), "{text}");
        }
        for wrong in [
            "",
            "2026-11-22",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T22:45:07",
            "2026-11-22T22:45:07Zx",
            "2026-11-22T22:45:07+9:00",
            "1969-12-31T23:59:59Z",
            "내일",
        ] {
            assert_eq!(parse_rfc3339(wrong), None, "{wrong}");
        }
        assert_eq!(to_utc(1_795_387_507_000), "2026-11-22 22:45 UTC");
        assert_eq!(to_utc(Millis::MAX), "9999-12-31 23:59 UTC");
    }

    proptest! {
        #[test]
        fn timestamps_round_trip(seconds in 0..(MAX_MILLIS as u64 / 1000)) {
            let at = seconds * 1000;
            prop_assert_eq!(parse_rfc3339(&to_rfc3339(at)), Some(at));
        }

        #[test]
        fn parsing_never_panics(text in "[0-9TZ:+. -]{0,40}|.*") {
            let _ = parse_rfc3339(&text);
        }
    }
}
