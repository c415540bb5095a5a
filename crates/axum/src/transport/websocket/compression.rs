//! Which messages are compressed, and how hard (RFC 7692).

use bytes::Bytes;
use duplex_hub::topic::Frame;
use flate2::Compression;

use super::codec::{DeflateParams, deflate};
use crate::limits;
use crate::transport::handler::Message;

/// The largest window, in bits. A shared frame is compressed with it.
const MAX_WINDOW_BITS: u8 = 15;

/// The compressed payload of a message; `None` if it is sent as it is.
pub(super) fn compress(message: &Message, params: DeflateParams) -> Option<Bytes> {
    match message {
        Message::Frame(_, frame) => compress_shared(frame, params).cloned(),
        Message::Text(_) | Message::Binary(_) => {
            let payload = message.as_bytes();
            let level = Compression::new(limits::MESSAGE_DEFLATE_LEVEL);
            is_compressible(payload)
                .then(|| deflate(payload, params.server_max_window_bits, level))
                .flatten()
        }
    }
}

/// The compressed form of a frame for this client. One with a small window gets a frame that exceeds it as it is.
pub(super) fn compress_shared(frame: &Frame, params: DeflateParams) -> Option<&Bytes> {
    let bits = params.server_max_window_bits;
    let fits = bits == MAX_WINDOW_BITS || frame.len() <= 1 << bits;
    fits.then(|| compressed_form(frame)).flatten()
}

/// The compressed form of a frame, made once for all clients: DEFLATE blocks that refer to nothing before them, without the empty
/// stored block at their end. Only the block's type is there (RFC 7692 section 7.2.1). `None` if it is not smaller.
pub(in crate::transport) fn compressed_form(frame: &Frame) -> Option<&Bytes> {
    if !is_compressible(frame) {
        return None;
    }
    let level = match frame.len() <= limits::BEST_DEFLATE_BYTES {
        true => Compression::best(),
        false => Compression::new(limits::DEFLATE_LEVEL),
    };
    frame.compressed(|bytes| deflate(bytes, MAX_WINDOW_BITS, level))
}

fn is_compressible(payload: &[u8]) -> bool {
    limits::DEFLATE_BYTES.contains(&payload.len())
}
