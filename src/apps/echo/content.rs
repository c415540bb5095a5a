//! Bytes as hex digits, written and read. Pure.

use data_encoding::HEXLOWER;

/// Pairs of lower-case digits without a separator.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HexError {
    /// Neither a hex digit nor a separator; its place, in characters from 1.
    NotHex { found: char, place: usize },
    /// The last byte has one digit only.
    Odd,
}

/// Bytes from hex digits; spaces, line ends, `:`, `-`, `,` and `0x` may stand between them.
pub fn parse_hex(text: &str) -> Result<Vec<u8>, HexError> {
    let mut digits = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some((index, found)) = chars.next() {
        if found == '0' && chars.next_if(|(_, next)| *next == 'x').is_some() {
            continue;
        }
        match found.to_digit(16) {
            Some(digit) => digits.push(digit as u8),
            None if found.is_whitespace() || matches!(found, ':' | '-' | ',') => (),
            None => {
                return Err(HexError::NotHex {
                    found,
                    place: index + 1,
                });
            }
        }
    }
    if digits.len() % 2 == 1 {
        return Err(HexError::Odd);
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hex_may_be_written_in_the_usual_ways() {
        let bytes = Ok(vec![0xde, 0xad, 0x00]);
        for text in ["dead00", "DE AD 00", "de:ad:00", "0xde, 0xad, 0x00", "de-ad\n00"] {
            assert_eq!(parse_hex(text), bytes, "{text}");
        }
        assert_eq!(parse_hex(""), Ok(vec![]));
        assert_eq!(parse_hex("abc"), Err(HexError::Odd));
        assert_eq!(parse_hex("ab g"), Err(HexError::NotHex { found: 'g', place: 4 }));
    }

    proptest! {
        #[test]
        fn hex_reads_back(bytes: Vec<u8>) {
            prop_assert_eq!(parse_hex(&hex(&bytes)), Ok(bytes));
        }
    }
}
