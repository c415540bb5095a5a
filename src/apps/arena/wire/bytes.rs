//! The primitives of the arena's binary encoding: LEB128 varints, fixed-width integers and texts. [`Reader`] checks every bound.

/// The bytes are not a valid message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid encoding")]
pub struct DecodeError;

#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// LEB128: seven bits per byte, least significant first.
    pub fn varint(&mut self, value: u32) {
        let mut rest = value;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// A zigzag varint: numbers close to zero of either sign are short.
    pub fn signed_varint(&mut self, value: i32) {
        self.varint(((value << 1) ^ (value >> 31)) as u32);
    }

    pub fn u16_le(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn u64_le(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.varint(text.len() as u32);
        self.0.extend(text.as_bytes());
    }
}

#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(DecodeError)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            let part = u32::from(byte & 0x7f);
            let shifted = part << shift;
            if shifted >> shift != part {
                return Err(DecodeError);
            }
            value |= shifted;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError)
    }

    pub fn signed_varint(&mut self) -> Result<i32, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    pub fn varint_u16(&mut self) -> Result<u16, DecodeError> {
        u16::try_from(self.varint()?).map_err(|_| DecodeError)
    }

    pub fn u16_le(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u64_le(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a list length; rejects more than `max` or more than the remaining bytes (each item takes at least one).
    pub fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        let count = self.varint()? as usize;
        if count <= max && count <= self.0.len() {
            Ok(count)
        } else {
            Err(DecodeError)
        }
    }

    pub fn text(&mut self, max_bytes: usize) -> Result<&'a str, DecodeError> {
        let length = self.count(max_bytes)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(DecodeError)?;
        self.0 = rest;
        str::from_utf8(text).map_err(|_| DecodeError)
    }

    /// Fails if bytes are left over.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_round_trip(varint: u32, signed_varint: i32, u16_le: u16, u64_le: u64, text: String) {
            let mut writer = Writer::default();
            writer.varint(varint);
            writer.signed_varint(signed_varint);
            writer.u16_le(u16_le);
            writer.u64_le(u64_le);
            writer.text(&text);
            let mut reader = Reader(&writer.0);
            prop_assert_eq!((reader.varint(), reader.signed_varint()), (Ok(varint), Ok(signed_varint)));
            prop_assert_eq!((reader.u16_le(), reader.u64_le()), (Ok(u16_le), Ok(u64_le)));
            prop_assert_eq!(reader.text(text.len()), Ok(&*text));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn invalid_bytes_do_not_panic(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while reader.varint().is_ok() {}
            let _ = (Reader(&bytes).text(100), Reader(&bytes).u64_le(), Reader(&bytes).count(9));
        }
    }
}
