//! A size in bytes, parsed from and displayed as text: `10GiB`, `500MB`, `4096`.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a size is a whole number of bytes, or one with a unit such as GiB or MB")]
pub struct ParseSizeError;

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.get(number.len()..).unwrap_or_default();
        let factor = match unit {
            "" => Some(1),
            unit => UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .map(|(_, factor)| *factor),
        };
        let number: u64 = number.trim_end().parse().map_err(|_| ParseSizeError)?;
        factor
            .and_then(|factor| number.checked_mul(factor))
            .map(Self)
            .ok_or(ParseSizeError)
    }
}

/// Uses the largest binary unit that divides the size.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().filter(|(name, _)| name.ends_with("iB"));
        match binary
            .clone()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor))
        {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_and_displayed() {
        for (text, bytes) in [
            ("10GiB", 10 << 30),
            ("4096", 4096),
            ("5 mb", 5_000_000),
            ("1KiB", 1024),
            ("7B", 7),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for wrong in ["", "GiB", "-1", "1.5GiB", "10 GiX", "99999999999TiB", "1GiBGiB", "0x10"] {
            assert_eq!(wrong.parse::<Size>(), Err(ParseSizeError), "{wrong}");
        }
        for (bytes, text) in [(10 << 30, "10GiB"), (1536, "1536"), (0, "0"), (2 << 20, "2MiB")] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
