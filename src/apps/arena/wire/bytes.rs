//! Small numbers in few bytes, and texts: how the arena's messages are written. A reader trusts nothing.

/// Not a message of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what they should be")]
pub struct Garbled;

#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Seven bits a byte, the lowest first.
    pub fn number(&mut self, number: u32) {
        let mut rest = number;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// Small ones of either sign are short.
    pub fn signed(&mut self, number: i32) {
        self.number(((number << 1) ^ (number >> 31)) as u32);
    }

    pub fn pair(&mut self, pair: u16) {
        self.0.extend(pair.to_le_bytes());
    }

    pub fn wide(&mut self, wide: u64) {
        self.0.extend(wide.to_le_bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
    }
}

#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Garbled)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn byte(&mut self) -> Result<u8, Garbled> {
        self.take().map(|[byte]| byte)
    }

    pub fn number(&mut self) -> Result<u32, Garbled> {
        let mut number = 0_u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            let part = u32::from(byte & 0x7f);
            let placed = part << shift;
            if placed >> shift != part {
                return Err(Garbled);
            }
            number |= placed;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Garbled)
    }

    pub fn signed(&mut self) -> Result<i32, Garbled> {
        let number = self.number()?;
        Ok((number >> 1) as i32 ^ -((number & 1) as i32))
    }

    pub fn small(&mut self) -> Result<u16, Garbled> {
        u16::try_from(self.number()?).map_err(|_| Garbled)
    }

    pub fn pair(&mut self) -> Result<u16, Garbled> {
        self.take().map(u16::from_le_bytes)
    }

    pub fn wide(&mut self) -> Result<u64, Garbled> {
        self.take().map(u64::from_le_bytes)
    }

    /// How many things follow, each of at least one byte, and no more than `most`.
    pub fn count(&mut self, most: usize) -> Result<usize, Garbled> {
        let count = self.number()? as usize;
        if count <= most && count <= self.0.len() {
            Ok(count)
        } else {
            Err(Garbled)
        }
    }

    pub fn text(&mut self, most_bytes: usize) -> Result<&'a str, Garbled> {
        let length = self.count(most_bytes)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Garbled)?;
        self.0 = rest;
        str::from_utf8(text).map_err(|_| Garbled)
    }

    pub fn end(&self) -> Result<(), Garbled> {
        if self.0.is_empty() { Ok(()) } else { Err(Garbled) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u32, signed: i32, pair: u16, wide: u64, text: String) {
            let mut writer = Writer::default();
            writer.number(number);
            writer.signed(signed);
            writer.pair(pair);
            writer.wide(wide);
            writer.text(&text);
            let mut reader = Reader(&writer.0);
            prop_assert_eq!((reader.number(), reader.signed()), (Ok(number), Ok(signed)));
            prop_assert_eq!((reader.pair(), reader.wide()), (Ok(pair), Ok(wide)));
            prop_assert_eq!(reader.text(text.len()), Ok(&*text));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn garbage_is_no_panic(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while reader.number().is_ok() {}
            let _ = (Reader(&bytes).text(100), Reader(&bytes).wide(), Reader(&bytes).count(9));
        }
    }
}
