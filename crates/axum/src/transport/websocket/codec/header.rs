//! The header of a client's frame (RFC 6455 section 5.2).

use duplex_protocol::codec::Encoding;
use duplex_protocol::frame::{FIN, MASK, MAX_CONTROL_PAYLOAD};

use super::error::DecodeError;

/// The bit of the first byte that marks a message as compressed (RFC 7692 section 6).
pub(super) const RSV1: u8 = 0x40;
/// The bits of the first byte that no extension defines.
const RESERVED: u8 = 0x30;

/// A frame's opcode (RFC 6455 section 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_first_byte(first: u8) -> Result<Self, DecodeError> {
        Ok(match first & 0x0f {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            reserved => return Err(DecodeError::ReservedOpcode(reserved)),
        })
    }

    /// The opcode of messages in an encoding.
    pub(crate) const fn of_encoding(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Json => Self::Text,
            Encoding::Postcard => Self::Binary,
        }
    }

    pub(super) fn is_control(self) -> bool {
        self as u8 & 0x08 != 0
    }
}

/// A complete header. What it says about itself is checked; what depends on the frames before it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Bytes of this header.
    pub(super) len: usize,
    /// Bytes of the payload.
    pub(super) payload: u64,
}

impl Header {
    /// Parses the header at the start of `bytes`, or returns `None` if bytes are missing.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(([first, second], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let (first, second) = (*first, *second);
        if first & RESERVED != 0 {
            return Err(DecodeError::ReservedBits);
        }
        let (fin, opcode) = (first & FIN != 0, Opcode::from_first_byte(first)?);
        if second & MASK == 0 {
            return Err(DecodeError::Unmasked);
        }
        let short = second & !MASK;
        if opcode.is_control() {
            check_control(fin, short)?;
        }
        let Some((payload, rest)) = parse_length(short, rest)? else {
            return Ok(None);
        };
        Ok(rest.split_first_chunk().map(|(mask, rest)| Self {
            fin,
            rsv1: first & RSV1 != 0,
            opcode,
            mask: *mask,
            len: bytes.len() - rest.len(),
            payload,
        }))
    }
}

fn check_control(fin: bool, short: u8) -> Result<(), DecodeError> {
    if !fin {
        return Err(DecodeError::FragmentedControl);
    }
    if usize::from(short) > MAX_CONTROL_PAYLOAD {
        return Err(DecodeError::ControlTooLong);
    }
    Ok(())
}

/// The payload's length and the bytes after it, or `None` if bytes are missing. `short` is the length in the header's second byte.
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, DecodeError> {
    let (length, rest, minimum) = match short {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u16::from_be_bytes(*length).into(), rest, 126)
        }
        127 => {
            let Some((length, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*length), rest, 1 << 16)
        }
        short => (short.into(), rest, 0),
    };
    if length >> 63 != 0 {
        return Err(DecodeError::LengthOverflow);
    }
    if length < minimum {
        return Err(DecodeError::NonMinimalLength);
    }
    Ok(Some((length, rest)))
}
