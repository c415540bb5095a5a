//! The id of a command, and the timestamp that it may contain.

use serde::{Deserialize, Serialize};

/// The id of a command, made by its client: 128 bits, written as 32 lower-case hexadecimal digits.
///
/// It contains the time at which it was made if it is a UUID of version 7 (RFC 9562 section 5.7) from before the year 2109; every
/// other value contains none. Of random bits, one value in 4,096 contains a time by chance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommandId(String);

/// The error of parsing a text that is not a [`CommandId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a command's id has 32 lower-case hexadecimal digits")]
pub struct ParseCommandIdError;

impl CommandId {
    /// The bits of a UUID's version and variant.
    const VERSION_AND_VARIANT: u128 = 0xf << 76 | 0b11 << 62;
    const VERSION_7: u128 = 0x7 << 76 | 0b10 << 62;
    /// Bits of the timestamp: 2^42 milliseconds after 1970 is in the year 2109.
    const TIME_BITS: u32 = 42;

    /// The id with exactly these bits.
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// An id with this time, in milliseconds since the Unix epoch, and 74 of these bits. A time after the year 2109 is left out.
    pub fn at(time: u64, bits: u128) -> Self {
        if time >> Self::TIME_BITS != 0 {
            return Self::without_time(bits);
        }
        let random = bits & (u128::MAX >> 48) & !Self::VERSION_AND_VARIANT;
        Self::from_bits(u128::from(time) << 80 | random | Self::VERSION_7)
    }

    /// An id with these bits. If they happen to form an id with a time, the version bits are changed.
    pub fn without_time(bits: u128) -> Self {
        let id = Self::from_bits(bits);
        match id.time() {
            None => id,
            // Version 8 is for values whose meaning is the application's own.
            Some(_) => Self::from_bits(bits ^ 0xf << 76),
        }
    }

    /// The same random bits with another time: a new id for the same command.
    #[must_use]
    pub fn with_time(&self, time: u64) -> Self {
        Self::at(time, self.bits())
    }

    /// The time at which the id was made, in milliseconds since the Unix epoch; none if it contains no time.
    pub fn time(&self) -> Option<u64> {
        let bits = self.bits();
        let time = u64::try_from(bits >> 80).ok()?;
        (bits & Self::VERSION_AND_VARIANT == Self::VERSION_7 && time >> Self::TIME_BITS == 0).then_some(time)
    }

    /// The first 128 bits of a digest, for an id that is derived from other data and therefore always the same.
    pub fn digest_bits(digest: &[u8]) -> u128 {
        digest
            .iter()
            .take(16)
            .fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }

    /// The 128 bits.
    pub fn bits(&self) -> u128 {
        u128::from_str_radix(&self.0, 16).unwrap_or_default()
    }

    /// The 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CommandId {
    type Error = ParseCommandIdError;

    fn try_from(text: String) -> Result<Self, ParseCommandIdError> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(digit) {
            Ok(Self(text))
        } else {
            Err(ParseCommandIdError)
        }
    }
}

impl From<CommandId> for String {
    fn from(id: CommandId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_contains_a_time_if_it_is_a_uuid_of_version_7() {
        let known = CommandId::try_from("019bfe9f1c007abc8def0123456789ab".to_owned()).unwrap();
        assert_eq!(known.time(), Some(0x019b_fe9f_1c00));
        // Version 4; version 7 with another variant; the year 2109 and later.
        for none in [
            "019bfe9f1c004abc8def0123456789ab",
            "019bfe9f1c007abcedef0123456789ab",
            "04000000000070008000000000000000",
            "ffffffffffff70008000000000000000",
            "00000000000000000000000000000001",
        ] {
            assert_eq!(CommandId::try_from(none.to_owned()).unwrap().time(), None, "{none}");
        }
        for bits in [0, u128::MAX, 1 << 79 | 5] {
            let id = CommandId::at(1_800_000_000_000, bits);
            assert_eq!(id.time(), Some(1_800_000_000_000));
            assert_eq!(id.with_time(7), CommandId::at(7, bits));
            assert_eq!(CommandId::at(1 << 42, bits).time(), None);
            assert_eq!(CommandId::without_time(id.bits()).time(), None);
            assert_ne!(CommandId::without_time(id.bits()), id);
            assert_eq!(CommandId::without_time(bits).time(), None);
        }
        assert_eq!(CommandId::without_time(5), CommandId::from_bits(5));
    }

    #[test]
    fn the_bits_of_a_digest_are_its_first_sixteen_bytes() {
        let digest: Vec<u8> = (1..=32).collect();
        assert_eq!(
            CommandId::digest_bits(&digest),
            0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10
        );
        assert_eq!(CommandId::digest_bits(&[7]), 7);
    }

    #[test]
    fn a_malformed_id_is_refused() {
        for wrong in ["", "0", &"g".repeat(32), &"0".repeat(33)] {
            assert_eq!(CommandId::try_from((*wrong).to_owned()), Err(ParseCommandIdError));
        }
    }
}
