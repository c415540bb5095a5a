//! Readable numbers and durations, the same on the server and in the browser. Pure.

use super::text::fill;
use crate::i18n::*;

/// Groups digits: `1,234,567`, in Korean as in English.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// Rounded to one decimal place, or to one significant digit below 0.1. Uses integers: formatting floats with the standard
/// library adds 5 kB to every page.
pub fn tenths(number: f64) -> String {
    if number < 0.0 {
        return ["−", &tenths(-number)].concat();
    }
    let (mut places, mut scale) = (1, 10.0);
    while number > 0.0 && number * scale < 0.5 && places < 9 {
        (places, scale) = (places + 1, scale * 10.0);
    }
    let units = ((number * scale).round() as u64).max(u64::from(number > 0.0));
    let scale = scale as u64;
    format!("{}.{:0places$}", units / scale, units % scale)
}

/// Bytes in binary units, exact below 10 KiB.
pub fn bytes(number: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match number {
        0..10_240 => format!("{} B", grouped(number)),
        10_240..MIB => format!("{} KiB", tenths(number as f64 / KIB as f64)),
        _ => format!("{} MiB", tenths(number as f64 / MIB as f64)),
    }
}

/// Milliseconds with as many digits as are meaningful: browsers round their clocks to 0.1 ms at best.
pub fn millis(locale: Locale, number: f64) -> String {
    match number {
        ..10.0 => format!("{} ms", tenths(number)),
        10.0..10_000.0 => format!("{} ms", number.round() as u64),
        _ => fill(
            td_string!(locale, units.seconds_long),
            &[("n", &tenths(number / 1000.0))],
        ),
    }
}

/// A duration in its largest unit, and the next smaller unit, unless that is zero.
pub fn duration(locale: Locale, seconds: u64) -> String {
    let [(large, text), (small, below)] = units(locale, seconds);
    let large = fill(text, &[("n", &large.to_string())]);
    match small {
        0 => large,
        _ => [&large, " ", &fill(below, &[("n", &small.to_string())])].concat(),
    }
}

/// A duration in its largest unit only, as in "3 min ago".
pub fn duration_in_largest_unit(locale: Locale, seconds: u64) -> String {
    let [(large, text), _] = units(locale, seconds);
    fill(text, &[("n", &large.to_string())])
}

/// The largest non-zero unit and the one below it: each one's count and text.
fn units(locale: Locale, seconds: u64) -> [(u64, &'static str); 2] {
    let days = (seconds / 86_400, td_string!(locale, units.days));
    let hours = (seconds / 3600 % 24, td_string!(locale, units.hours));
    let minutes = (seconds / 60 % 60, td_string!(locale, units.minutes));
    let left = (seconds % 60, td_string!(locale, units.seconds));
    match seconds {
        86_400.. => [days, hours],
        3_600.. => [hours, minutes],
        60.. => [minutes, left],
        _ => [left, (0, "")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 12, 999, 1000, 1_234_567].map(grouped),
            ["0", "12", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn sizes_times_and_durations_are_rounded_to_what_is_meaningful() {
        assert_eq!(
            [5, 1023, 10_240, 1_572_864].map(bytes),
            ["5 B", "1,023 B", "10.0 KiB", "1.5 MiB"]
        );
        assert_eq!(
            [0.34, 9.96, 12.7, 12_340.0].map(|number| millis(Locale::en, number)),
            ["0.3 ms", "10.0 ms", "13 ms", "12.3 s"]
        );
        assert_eq!(
            [0.0, 0.04, 0.0456, 0.000_2, 1e-30].map(|number| millis(Locale::en, number)),
            ["0.0 ms", "0.04 ms", "0.05 ms", "0.0002 ms", "0.000000001 ms"]
        );
        assert_eq!(millis(Locale::ko, 12_340.0), "12.3초");
        let of = |locale, write: fn(Locale, u64) -> String| {
            [0, 5, 65, 120, 3_700, 90_000].map(|seconds| write(locale, seconds))
        };
        assert_eq!(
            of(Locale::en, duration),
            ["0 s", "5 s", "1 min 5 s", "2 min", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!(
            of(Locale::ko, duration),
            ["0초", "5초", "1분 5초", "2분", "1시간 1분", "1일 1시간"]
        );
        assert_eq!(
            of(Locale::ko, duration_in_largest_unit),
            ["0초", "5초", "1분", "2분", "1시간", "1일"]
        );
    }
}
