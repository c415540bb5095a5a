//! Hexadecimal encoding and decoding of bytes. Pure.

use data_encoding::HEXLOWER;

/// Encodes bytes as lower-case hex digits without separators.
pub fn encode(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HexError {
    /// A character is neither a hex digit nor a separator; the position counts characters from 1.
    InvalidCharacter { found: char, position: usize },
    /// The last byte has only one digit.
    OddLength,
}

/// Decodes hex digits; white space, `:`, `-`, `,` and `0x` are allowed between bytes.
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
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
                return Err(HexError::InvalidCharacter {
                    found,
                    position: index + 1,
                });
            }
        }
    }
    if digits.len() % 2 == 1 {
        return Err(HexError::OddLength);
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_hex_notations_are_decoded() {
        let bytes = Ok(vec![0xde, 0xad, 0x00]);
        for text in ["dead00", "DE AD 00", "de:ad:00", "0xde, 0xad, 0x00", "de-ad\n00"] {
            assert_eq!(decode(text), bytes, "{text}");
        }
        assert_eq!(decode(""), Ok(vec![]));
        assert_eq!(decode("abc"), Err(HexError::OddLength));
        assert_eq!(
            decode("ab g"),
            Err(HexError::InvalidCharacter {
                found: 'g',
                position: 4
            })
        );
    }

    proptest! {
        #[test]
        fn hex_round_trips(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
    }
}
