//! Decimal numbers as whole units of `10^-scale`: read, written and compared without a float in between. Pure.

use std::cmp::Ordering;

/// Digits that any number here may have; what is longer is none of ours.
const MAX_DIGITS: usize = 40;

/// A plain or a scientific decimal, such as `0.001`, `1500`, `1.5e3`; none if it is negative, not a number, too large, or
/// finer than the scale can say.
pub fn parse(text: &str, scale: u8) -> Option<u64> {
    let (units, exact) = read(text, scale)?;
    exact.then_some(units)
}

/// Whether this is a number, but finer than the scale can say.
pub fn is_too_fine(text: &str, scale: u8) -> bool {
    matches!(read(text, scale), Some((units, false)) if units < u64::MAX)
}

/// As [`parse`], but the nearest number that can be said: what is finer than the scale is left out, except that nothing but zero
/// is 0, and what is too large is [`u64::MAX`].
pub fn parse_near(text: &str, scale: u8) -> Option<u64> {
    let (units, exact) = read(text, scale)?;
    Some(if exact { units } else { units.max(1) })
}

/// As [`parse`], and whether that is all of it.
fn read(text: &str, scale: u8) -> Option<(u64, bool)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 64)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // So many of the digits stand before the unit's place.
    let kept = whole.len() as i32 + exponent + i32::from(scale);
    let mut units = Some(0_u64);
    let mut exact = true;
    let append = |units: u64, digit: u8| units.checked_mul(10)?.checked_add(u64::from(digit));
    for (place, digit) in (0..).zip(digits.bytes()) {
        let digit = digit - b'0';
        if place < kept {
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

/// With commas between thousands, and at least `least` digits after the point; zeros beyond are left out.
pub fn show(units: u64, scale: u8, least: u8) -> String {
    let (whole, fraction) = parts(units, scale, least);
    let groups: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    join(&groups.join(","), &fraction)
}

/// As an input has it: [`parse`] reads it back.
pub fn plain(units: u64, scale: u8, least: u8) -> String {
    let (whole, fraction) = parts(units, scale, least);
    join(&whole, &fraction)
}

fn join(whole: &str, fraction: &str) -> String {
    match fraction {
        "" => whole.to_owned(),
        fraction => [whole, ".", fraction].concat(),
    }
}

fn parts(units: u64, scale: u8, least: u8) -> (String, String) {
    let scale = usize::from(scale.min(19));
    let mut digits = units.to_string();
    if digits.len() <= scale {
        digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
    }
    let fraction = digits.split_off(digits.len() - scale);
    let significant = fraction.trim_end_matches('0').len();
    let shown = significant.max(usize::from(least).min(scale));
    (digits, fraction[..shown].to_owned())
}

/// Compares two numbers of different scales.
pub fn compare((a, a_scale): (u64, u8), (b, b_scale): (u64, u8)) -> Ordering {
    let widen = |units: u64, by: u8| u128::from(units).saturating_mul(10_u128.saturating_pow(by.into()));
    let scale = a_scale.max(b_scale);
    widen(a, scale - a_scale).cmp(&widen(b, scale - b_scale))
}

/// The same number in another scale; what the new scale cannot say is left out.
pub fn rescale(units: u64, from: u8, to: u8) -> Option<u64> {
    let power = 10_u64.checked_pow(from.abs_diff(to).into())?;
    if to >= from {
        units.checked_mul(power)
    } else {
        Some(units / power)
    }
}

/// By how much `last` is above `open`, in hundredths of a percent.
pub fn basis_points(last: u64, open: u64) -> i64 {
    if open == 0 {
        return 0;
    }
    let difference = i128::from(last) - i128::from(open);
    i64::try_from(difference * 10_000 / i128::from(open)).unwrap_or(i64::MAX)
}

/// `3.14%`, without a sign.
pub fn percent(basis_points: i64) -> String {
    [&show(basis_points.unsigned_abs(), 2, 2), "%"].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_exchanges_write_them() {
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
        for wrong in [
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
            assert_eq!(parse(wrong, 8), None, "{wrong}");
        }
        for (text, near) in [
            ("0.0000019", 1),
            ("0.0000001", 1),
            ("0", 0),
            ("0e-9", 0),
            ("18446744073709551616", u64::MAX),
            ("1e60", u64::MAX),
        ] {
            assert_eq!(parse_near(text, 6), Some(near), "{text}");
        }
        assert_eq!(parse_near("-1", 6), None);
        assert_eq!(parse("1.10", 1), Some(11), "a zero says nothing");
    }

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        assert_eq!(show(14_900_000_000_000_000, 8, 0), "149,000,000");
        assert_eq!(show(100_000, 8, 2), "0.001");
        assert_eq!(show(1_234_500, 2, 2), "12,345.00");
        assert_eq!(show(5, 0, 2), "5");
        assert_eq!(plain(1_234_500, 2, 0), "12345");
        assert_eq!(percent(-314), "3.14%");
    }

    #[test]
    fn changes_are_counted_from_the_reference() {
        assert_eq!(basis_points(103, 100), 300);
        assert_eq!(basis_points(97, 100), -300);
        assert_eq!(basis_points(5, 0), 0);
        assert_eq!(basis_points(u64::MAX, 1), i64::MAX);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_was_meant(units: u64, scale in 0..=12_u8, least in 0..=12_u8) {
            prop_assert_eq!(parse(&plain(units, scale, least), scale), Some(units));
            prop_assert_eq!(parse(&show(units, scale, least).replace(',', ""), scale), Some(units));
        }

        #[test]
        fn nothing_that_is_read_gives_up(text in "[-+0-9.eE]{0,50}", scale in 0..=12_u8) {
            let exact = parse(&text, scale);
            prop_assert!(exact.is_none() || exact == parse_near(&text, scale));
        }

        #[test]
        fn scales_do_not_change_what_is_greater(a in 0..1_u64 << 40, b in 0..1_u64 << 40, more in 0..=6_u8) {
            let wide = rescale(a, 2, 2 + more).unwrap();
            prop_assert_eq!(compare((a, 2), (b, 2)), compare((wide, 2 + more), (b, 2)));
            prop_assert_eq!(rescale(wide, 2 + more, 2), Some(a));
        }
    }
}
