//! The server's frames, which are not masked (RFC 6455 section 5.1).

use bytes::{BufMut, Bytes};
use duplex_protocol::code::{self, MAX_REASON};
use duplex_protocol::frame::{FIN, header_len};

use super::header::{Opcode, RSV1};

/// Appends the header of a message in one frame. `rsv1` marks a compressed message (RFC 7692 section 6).
pub(crate) fn encode_header(out: &mut impl BufMut, opcode: Opcode, rsv1: bool, len: usize) {
    let compressed = if rsv1 { RSV1 } else { 0 };
    out.put_u8(FIN | compressed | opcode as u8);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..=125), _) => out.put_u8(short),
        (_, Ok(medium)) => {
            out.put_u8(126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(len as u64);
        }
    }
}

/// A message in one uncompressed frame.
pub(crate) fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(header_len(payload.len() as u64, false) as usize + payload.len());
    encode_header(&mut out, opcode, false, payload.len());
    out.extend_from_slice(payload);
    out.into()
}

/// A close frame. A reason of more than 123 bytes is cut off; with the code 1005, which stands for no code, the frame is empty.
pub(crate) fn close_frame(code: u16, reason: &str) -> Bytes {
    if code == code::NO_STATUS {
        return frame(Opcode::Close, &[]);
    }
    let (reason, _) = reason.split_at(reason.floor_char_boundary(MAX_REASON));
    frame(Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}
