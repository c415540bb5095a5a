//! The server's frames, which are not masked (RFC 6455 section 5.1).

use bytes::{BufMut, Bytes};
use duplex_protocol::code::{self, MAX_REASON};
use duplex_protocol::frame::FIN;

use super::header::{Opcode, RSV1};

/// Appends the header of a message in one frame. `rsv1` marks a compressed message (RFC 7692 section 6).
pub(super) fn encode_header(out: &mut impl BufMut, opcode: Opcode, rsv1: bool, len: usize) {
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

/// Appends a message in one frame. `rsv1` marks a compressed payload.
pub(crate) fn encode_frame(out: &mut impl BufMut, opcode: Opcode, rsv1: bool, payload: &[u8]) {
    encode_header(out, opcode, rsv1, payload.len());
    out.put_slice(payload);
}

/// A close frame. A reason of more than 123 bytes is cut off; with the code 1005, which stands for no code, the frame is empty.
pub(crate) fn close_frame(code: u16, reason: &str) -> Bytes {
    let (reason, _) = reason.split_at(reason.floor_char_boundary(MAX_REASON));
    let payload = match code {
        code::NO_STATUS => Vec::new(),
        code => [&code.to_be_bytes(), reason.as_bytes()].concat(),
    };
    let mut frame = Vec::new();
    encode_frame(&mut frame, Opcode::Close, false, &payload);
    frame.into()
}
