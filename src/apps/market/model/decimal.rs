//! Fixed-point decimals, integers in units of `10^-scale`: parsing, formatting and comparison without floats. Pure.

use std::cmp::Ordering;

/// Maximum digits of a number; longer input is rejected.
const MAX_DIGITS: usize = 40;

/// Parses a plain or scientific decimal, such as `0.001`, `1500` or `1.5e3`. `None` if it is negative, not a number, too large, or
/// has more decimals than `scale`.
pub fn parse(text: &str, scale: u8) -> Option<u64> {
    let (units, exact) = parse_digits(text, scale)?;
    exact.then_some(units)
}

/// Whether `text` is a valid number with more decimals than `scale`.
pub fn has_excess_decimals(text: &str, scale: u8) -> bool {
    matches!(parse_digits(text, scale), Some((units, false)) if units < u64::MAX)
}

/// Like [`parse`], but truncates extra decimals and saturates at [`u64::MAX`]; a positive number yields at least 1.
pub fn parse_saturating(text: &str, scale: u8) -> Option<u64> {
    let (units, exact) = parse_digits(text, scale)?;
    Some(if exact { units } else { units.max(1) })
}

/// As [`parse`], and whether the result is exact.
fn parse_digits(text: &str, scale: u8) -> Option<(u64, bool)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 64)?),
        None => (text, 0),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [integer, fraction].concat();
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // How many leading digits are at or above the unit.
    let kept = integer.len() as i32 + exponent + i32::from(scale);
    let mut units = Some(0_u64);
    let mut exact = true;
    let append = |units: u64, digit: u8| units.checked_mul(10)?.checked_add(u64::from(digit));
    for (position, digit) in (0..).zip(digits.bytes()) {
        let digit = digit - b'0';
        if position < kept {
            units = units.and_then(|units| append(units, digit));
        } else {
            exact &= digit == 0;
        }
    }
    for _ in (digits.len() as i32)..kept {
        units = units.and_then(|units| append(units, 0));
    }
    Some(units.map_or((u64::MAX, false), |units| (units, exact)))
}

/// Formats with thousands separators and at least `min_decimals` decimals, without further trailing zeros.
pub fn format(units: u64, scale: u8, min_decimals: u8) -> String {
    let (integer, fraction) = parts(units, scale, min_decimals);
    let groups: Vec<&str> = integer
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    join(&groups.join(","), &fraction)
}

/// Formats without separators, as for an input field: [`parse`] accepts it.
pub fn format_plain(units: u64, scale: u8, min_decimals: u8) -> String {
    let (integer, fraction) = parts(units, scale, min_decimals);
    join(&integer, &fraction)
}

fn join(integer: &str, fraction: &str) -> String {
    match fraction {
        "" => integer.to_owned(),
        fraction => [integer, ".", fraction].concat(),
    }
}

fn parts(units: u64, scale: u8, min_decimals: u8) -> (String, String) {
    let scale = usize::from(scale.min(19));
    let mut digits = units.to_string();
    if digits.len() <= scale {
        digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
    }
    let fraction = digits.split_off(digits.len() - scale);
    let significant = fraction.trim_end_matches('0').len();
    let shown = significant.max(usize::from(min_decimals).min(scale));
    (digits, fraction[..shown].to_owned())
}

/// Compares two numbers, which may have different scales.
pub fn compare((a, a_scale): (u64, u8), (b, b_scale): (u64, u8)) -> Ordering {
    let widen = |units: u64, by: u8| u128::from(units).saturating_mul(10_u128.saturating_pow(by.into()));
    let scale = a_scale.max(b_scale);
    widen(a, scale - a_scale).cmp(&widen(b, scale - b_scale))
}

/// Converts to another scale; digits beyond the new scale are dropped.
pub fn rescale(units: u64, from: u8, to: u8) -> Option<u64> {
    let power = 10_u64.checked_pow(from.abs_diff(to).into())?;
    if to >= from {
        units.checked_mul(power)
    } else {
        Some(units / power)
    }
}

/// The change from `open` to `last` in basis points (hundredths of a percent).
pub fn basis_points(last: u64, open: u64) -> i64 {
    if open == 0 {
        return 0;
    }
    let difference = i128::from(last) - i128::from(open);
    i64::try_from(difference * 10_000 / i128::from(open)).unwrap_or(i64::MAX)
}

/// Formats as `3.14%`, without a sign.
pub fn percent(basis_points: i64) -> String {
    [&format(basis_points.unsigned_abs(), 2, 2), "%"].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_in_the_formats_of_exchanges_are_parsed() {
        for (text, units) in [
            ("149000000.0", 14_900_000_000_000_000),
            ("0.00100000", 100_000),
            ("1.0E-5", 1_000),
            ("1.49E8", 14_900_000_000_000_000),
            ("7", 700_000_000),
            (".5", 50_000_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text, 8), Some(units), "{text}");
        }
        for invalid in [
            "",
            ".",
            "-1",
            "+1",
            "1e",
            "1e999",
            "NaN",
            "1.2.3",
            "0x1",
            "1,000",
            " 1",
            "null",
            "0.000000001",
            "999999999999999999999",
        ] {
            assert_eq!(parse(invalid, 8), None, "{invalid}");
        }
        for (text, near) in [
            ("0.0000019", 1),
            ("0.0000001", 1),
            ("0", 0),
            ("0e-9", 0),
            ("18446744073709551616", u64::MAX),
            ("1e60", u64::MAX),
        ] {
            assert_eq!(parse_saturating(text, 6), Some(near), "{text}");
        }
        assert_eq!(parse_saturating("-1", 6), None);
        assert_eq!(parse("1.10", 1), Some(11), "trailing zeros are exact");
    }

    #[test]
    fn numbers_are_formatted_with_separators_and_decimals() {
        assert_eq!(format(14_900_000_000_000_000, 8, 0), "149,000,000");
        assert_eq!(format(100_000, 8, 2), "0.001");
        assert_eq!(format(1_234_500, 2, 2), "12,345.00");
        assert_eq!(format(5, 0, 2), "5");
        assert_eq!(format_plain(1_234_500, 2, 0), "12345");
        assert_eq!(percent(-314), "3.14%");
    }

    #[test]
    fn changes_are_relative_to_the_reference() {
        assert_eq!(basis_points(103, 100), 300);
        assert_eq!(basis_points(97, 100), -300);
        assert_eq!(basis_points(5, 0), 0);
        assert_eq!(basis_points(u64::MAX, 1), i64::MAX);
    }

    proptest! {
        #[test]
        fn formatted_numbers_parse_back(units: u64, scale in 0..=12_u8, min_decimals in 0..=12_u8) {
            prop_assert_eq!(parse(&format_plain(units, scale, min_decimals), scale), Some(units));
            prop_assert_eq!(parse(&format(units, scale, min_decimals).replace(',', ""), scale), Some(units));
        }

        #[test]
        fn parsing_never_panics(text in "[-+0-9.eE]{0,50}", scale in 0..=12_u8) {
            let exact = parse(&text, scale);
            prop_assert!(exact.is_none() || exact == parse_saturating(&text, scale));
        }

        #[test]
        fn rescaling_keeps_the_order(a in 0..1_u64 << 40, b in 0..1_u64 << 40, more in 0..=6_u8) {
            let wide = rescale(a, 2, 2 + more).unwrap();
            prop_assert_eq!(compare((a, 2), (b, 2)), compare((wide, 2 + more), (b, 2)));
            prop_assert_eq!(rescale(wide, 2 + more, 2), Some(a));
        }
    }
}
