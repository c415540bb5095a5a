//! Human-friendly number parsing and formatting, by the same rules on the server and in the browser.
//!
//! [`normalize`] accepts digits of several scripts, a decimal point or comma, thousands separators (comma, point, space,
//! apostrophe), signs and exponents. The last of two different separators is the decimal one. A single separator is decimal,
//! except for a comma before exactly three digits, `1,234`: both page languages use the comma as thousands separator. Other text
//! is rejected. A field shows the parsed number if it differs from the typed text ([`parse`]).
//!
//! [`format()`] writes exactly the digits of a number: a non-zero number is never shown as zero.

use super::text::{is_bidi_control, is_invisible};

/// Maximum input length in characters.
const MAX_CHARS: usize = 60;
/// The zeros of the supported sets of digits.
const ZEROS: [char; 7] = ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}', '\u{ff10}'];

/// The result of parsing a typed number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedNumber {
    Empty,
    /// In the form of [`normalize`].
    Number(String),
    /// Not a number.
    Invalid,
}

impl ParsedNumber {
    /// The normalized number, if it differs from the typed text; the field displays it to the visitor.
    pub fn reformatted(&self, typed: &str) -> Option<&str> {
        match self {
            Self::Number(number) if number != typed.trim() => Some(number),
            _ => None,
        }
    }
}

pub fn parse(typed: &str) -> ParsedNumber {
    if typed.trim().is_empty() {
        return ParsedNumber::Empty;
    }
    normalize(typed).map_or(ParsedNumber::Invalid, ParsedNumber::Number)
}

/// Normalizes to Rust's float syntax, such as `-1234.5e-3`; `None` if the text is not a number or is ambiguous.
pub fn normalize(typed: &str) -> Option<String> {
    if typed.chars().count() > MAX_CHARS {
        return None;
    }
    let visible = typed.chars().filter(|c| !is_bidi_control(*c) && !is_invisible(*c));
    let text = visible.map(to_ascii).collect::<Option<String>>()?;
    let text = text.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (integer, fraction) = split_decimal(mantissa.trim_start())?;
    let mut normal = [sign, if integer.is_empty() { "0" } else { &integer }].concat();
    if !fraction.is_empty() {
        normal.push('.');
        normal.push_str(fraction);
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if !is_digits(digits) || digits.len() > 3 {
            return None;
        }
        normal.push('e');
        normal.push_str(exponent.trim_start_matches('+'));
    }
    Some(normal)
}

/// Parses a finite number.
pub fn parse_f64(typed: &str) -> Option<f64> {
    normalize(typed)?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Parses a non-negative whole number: `12`, `1,200` or `12.0`.
pub fn parse_u32(typed: &str) -> Option<u32> {
    let normal = normalize(typed)?;
    let (integer, fraction) = normal.split_once('.').unwrap_or((&normal, ""));
    if fraction.bytes().any(|digit| digit != b'0') {
        return None;
    }
    integer.parse().ok()
}

/// Maps a sign, digit or separator to ASCII: `'` for every separator used only for grouping, a space for every kind of space.
fn to_ascii(c: char) -> Option<char> {
    let value = |zero: &char| u32::from(c).checked_sub(u32::from(*zero)).filter(|value| *value < 10);
    if let Some(value) = ZEROS.iter().find_map(value) {
        return char::from_digit(value, 10);
    }
    match c {
        '.' | '\u{ff0e}' | '\u{3002}' | '\u{ff61}' | '\u{66b}' => Some('.'),
        ',' | '\u{ff0c}' => Some(','),
        '\'' | '\u{2019}' | '\u{66c}' => Some('\''),
        '-' | '\u{2212}' | '\u{ff0d}' | '\u{fe63}' | '\u{2010}'..='\u{2013}' => Some('-'),
        '+' | '\u{ff0b}' => Some('+'),
        'e' | 'E' | '\u{ff45}' | '\u{ff25}' => Some('e'),
        c if c.is_whitespace() => Some(' '),
        _ => None,
    }
}

/// The digits before and after the decimal separator.
fn split_decimal(text: &str) -> Option<(String, &str)> {
    let separator = |c: char| !c.is_ascii_digit();
    let Some(last) = text.rfind(separator) else {
        return is_digits(text).then(|| (text.to_owned(), ""));
    };
    let (before, after) = (text.get(..last)?, text.get(last + 1..)?);
    let mark = text.get(last..=last)?;
    let is_decimal = match (mark, before.find(separator)) {
        ("." | ",", Some(_)) => !before.contains(mark),
        (",", None) => !(after.len() == 3 && (1..=3).contains(&before.len()) && !before.starts_with('0')),
        (".", None) => true,
        _ => false,
    };
    match is_decimal {
        true if before.is_empty() && after.is_empty() => None,
        true if before.is_empty() => Some((String::new(), after)),
        true => Some((remove_grouping(before)?, after)),
        false => Some((remove_grouping(text)?, "")),
    }
}

/// The digits of a whole number without separators, or with one kind of separator between groups of three.
fn remove_grouping(text: &str) -> Option<String> {
    let Some(separator) = text.chars().find(|c| !c.is_ascii_digit()) else {
        return is_digits(text).then(|| text.to_owned());
    };
    if !matches!(separator, '.' | ',' | '\'' | ' ') {
        return None;
    }
    let mut groups = text.split(separator);
    let first = groups.next()?;
    let starts_valid = is_digits(first) && first.len() <= 3 && !first.starts_with('0');
    let is_grouped = starts_valid && groups.all(|group| is_digits(group) && group.len() == 3);
    is_grouped.then(|| text.chars().filter(char::is_ascii_digit).collect())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The shortest digits that identify the number. Very small and very large numbers have an exponent: `1e-9`.
pub fn format(value: f64) -> String {
    Digits::new(value).map_or_else(|| "–".to_owned(), |digits| digits.to_text())
}

/// Rounds to at most `digits` significant digits, and at least one, so that a non-zero number stays non-zero.
pub fn rounded(value: f64, digits: i32) -> String {
    Digits::new(value).map_or_else(|| "–".to_owned(), |all| all.round(digits).to_text())
}

/// The number of digits after the decimal point.
pub fn decimal_places(value: f64) -> i32 {
    Digits::new(value)
        .map_or(0, |digits| digits.digits.len() as i32 - 1 - digits.exponent)
        .max(0)
}

/// The decimal exponent of the first digit: 0 for the digit before the point, −1 for the one after it; 0 for zero.
pub fn decimal_exponent(value: f64) -> i32 {
    Digits::new(value).map_or(0, |digits| digits.exponent)
}

/// A number in scientific notation: `d.ddd` times ten to the power of `exponent`, without leading or trailing zeros; zero has no digits.
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

impl Digits {
    fn new(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let text = value.abs().to_string();
        let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let all = [integer, fraction].concat().into_bytes();
        let zeros = all.iter().take_while(|digit| **digit == b'0').count();
        let mut digits: Vec<u8> = all.into_iter().skip(zeros).collect();
        trim(&mut digits);
        let exponent = if digits.is_empty() {
            0
        } else {
            integer.len() as i32 - 1 - zeros as i32
        };
        Some(Self {
            negative: value < 0.0,
            digits,
            exponent,
        })
    }

    fn round(mut self, digits: i32) -> Self {
        let keep = digits.max(1) as usize;
        let up = self.digits.get(keep).is_some_and(|digit| *digit >= b'5');
        self.digits.truncate(keep);
        if up {
            let nines = self.digits.iter().rev().take_while(|digit| **digit == b'9').count();
            self.digits.truncate(self.digits.len() - nines);
            match self.digits.last_mut() {
                Some(last) => *last += 1,
                None => {
                    self.digits.push(b'1');
                    self.exponent += 1;
                }
            }
        }
        trim(&mut self.digits);
        self
    }

    fn to_text(&self) -> String {
        let digits = String::from_utf8_lossy(&self.digits);
        let sign = if self.negative && !digits.is_empty() { "-" } else { "" };
        let point = self.exponent + 1;
        let zeros = |count: i32| "0".repeat(count.max(0) as usize);
        let number = match (digits.len() as i32, self.exponent) {
            (0, _) => "0".to_owned(),
            (count, 0..=14) if count <= point => [&digits, &*zeros(point - count)].concat(),
            (_, 0..=14) => {
                let (integer, fraction) = digits.split_at(point as usize);
                [integer, ".", fraction].concat()
            }
            (_, -6..=-1) => ["0.", &zeros(-point), &digits].concat(),
            (_, exponent) => {
                let (first, rest) = digits.split_at(1);
                let point = if rest.is_empty() { "" } else { "." };
                [first, point, rest, "e", &exponent.to_string()].concat()
            }
        };
        [sign, &number].concat()
    }
}

fn trim(digits: &mut Vec<u8>) {
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn typed_numbers_are_normalized() {
        for (typed, number) in [
            ("12", "12"),
            (" 007 ", "007"),
            ("1.5", "1.5"),
            ("1,5", "1.5"),
            ("12,34", "12.34"),
            ("0,123", "0.123"),
            ("1234,567", "1234.567"),
            ("1,2345", "1.2345"),
            (",5", "0.5"),
            ("5.", "5"),
            ("1.234", "1.234"),
            ("1,234", "1234"),
            ("84,300", "84300"),
            ("1,234.5", "1234.5"),
            ("1.234,5", "1234.5"),
            ("1,234,567", "1234567"),
            ("1.234.567", "1234567"),
            ("1,234,567.89", "1234567.89"),
            ("1.234.567,89", "1234567.89"),
            ("1 234,5", "1234.5"),
            ("1\u{a0}234\u{a0}567,5", "1234567.5"),
            ("1\u{202f}234", "1234"),
            ("1\u{2009}234.5", "1234.5"),
            ("1'234.5", "1234.5"),
            ("1’234’567", "1234567"),
            ("-1,5", "-1.5"),
            ("−1.5", "-1.5"),
            ("－１．５", "-1.5"),
            ("１，２３４", "1234"),
            ("１。５", "1.5"),
            ("- 5", "-5"),
            ("+5", "5"),
            ("١٬٢٣٤٫٥", "1234.5"),
            ("۱٫۵", "1.5"),
            ("१.५", "1.5"),
            ("1e-9", "1e-9"),
            ("1,5E+3", "1.5e3"),
            ("\u{200e}12\u{200f}", "12"),
        ] {
            assert_eq!(normalize(typed).as_deref(), Some(number), "{typed}");
        }
    }

    #[test]
    fn invalid_and_ambiguous_numbers_are_rejected() {
        for wrong in [
            "",
            " ",
            "abc",
            "1,2,3",
            "1.2.3",
            "1,23,456",
            "12,34,5",
            "0,123,456",
            "1 2",
            "1  234",
            "1.234,567,8",
            "1,234.567.8",
            "1,5 000",
            "1.5.",
            ".",
            ",",
            "-",
            "--5",
            "5-",
            "+-5",
            "1e",
            "e5",
            "1e1.5",
            "1e5000",
            "0x10",
            "1_000",
            "NaN",
            "nan",
            "inf",
            "Infinity",
            "5%",
            "$5",
            "₩5",
            "5 kg",
            "1/2",
            "½",
            "5만",
            "1e5e5",
            "1-2",
            "1:30",
            "1;5",
            "1111111111111111111111111111111111111111111111111111111111111",
        ] {
            assert_eq!(normalize(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn typed_numbers_are_parsed() {
        assert_eq!(parse(" "), ParsedNumber::Empty);
        assert_eq!(parse("x"), ParsedNumber::Invalid);
        assert_eq!(parse("1,5").reformatted("1,5"), Some("1.5"));
        assert_eq!(parse(" 1.5 ").reformatted(" 1.5 "), None);
        assert_eq!(
            (parse_f64("1,5"), parse_f64("1e999"), parse_f64("1e-9")),
            (Some(1.5), None, Some(1e-9))
        );
        assert_eq!((parse_f64("inf"), parse_f64("nan")), (None, None));
        assert_eq!(
            ["1,200", "12.0", "１２"].map(parse_u32),
            [Some(1_200), Some(12), Some(12)]
        );
        assert_eq!(["1.5", "-1", "4294967296", "1e3", ""].map(parse_u32), [None; 5]);
    }

    #[test]
    fn numbers_are_formatted_with_their_digits() {
        for (value, shown) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1e-9, "1e-9"),
            (0.000_123, "0.000123"),
            (-0.004, "-0.004"),
            (123_456_789.123, "123456789.123"),
            (1234.5, "1234.5"),
            (1e14, "100000000000000"),
            (1e21, "1e21"),
            (1.5e-300, "1.5e-300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(format(value), shown);
        }
    }

    #[test]
    fn rounding_keeps_the_first_digit() {
        for (value, digits, shown) in [
            (21.4637, 3, "21.5"),
            (0.000_123_4, 2, "0.00012"),
            (9.996, 3, "10"),
            (99.5, 2, "100"),
            (0.5, 1, "0.5"),
            (1234.5, 2, "1200"),
            (-2.0e-9, -3, "-2e-9"),
            (0.0, 3, "0"),
        ] {
            assert_eq!(rounded(value, digits), shown);
        }
        assert_eq!([0.0, 5.0, 12.5, 0.001, 1e-9].map(decimal_places), [0, 0, 1, 3, 9]);
        assert_eq!([0.0, 5.0, 12.5, 0.001, 1e-9].map(decimal_exponent), [0, 0, 1, -3, -9]);
    }

    proptest! {
        #[test]
        fn formatted_numbers_round_trip(value in any::<f64>().prop_filter("a number", |value| value.is_finite())) {
            prop_assert_eq!(parse_f64(&format(value)), Some(value));
            prop_assert_eq!(format(value) == "0", value == 0.0);
            prop_assert_eq!(rounded(value, 1) == "0", value == 0.0);
            let near: f64 = rounded(value, 3).parse().unwrap();
            prop_assert!((near - value).abs() <= value.abs() * 0.006 || !near.is_finite());
        }

        /// Any grouping and decimal separator.
        #[test]
        fn every_notation_of_a_number_is_normalized(
            integer in 1000..u64::MAX, fraction in "[0-9]{0,9}", way in prop::sample::select(vec![(",", "."), (".", ","), (" ", ","), ("'", "."), ("\u{202f}", ",")]),
        ) {
            let digits = integer.to_string();
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
            let (group, point) = way;
            let tail = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
            let mut typed = groups.join(group);
            if !fraction.is_empty() {
                typed = format!("{typed}{point}{fraction}");
            }
            let one_point = group == "." && groups.len() == 2 && fraction.is_empty();
            let expected = if one_point { typed.clone() } else { format!("{digits}{tail}") };
            prop_assert_eq!(normalize(&typed), Some(expected));
        }

        #[test]
        fn normalized_text_is_always_a_number(typed in "[-+0-9.,' eE\u{660}-\u{669}\u{ff10}-\u{ff19}a-f]{0,12}") {
            if let Some(normal) = normalize(&typed) {
                prop_assert!(normal.parse::<f64>().is_ok(), "{} {}", typed, normal);
            }
        }
    }
}
