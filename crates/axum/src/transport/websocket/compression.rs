//! Which messages are compressed, and how hard (RFC 7692).

use bytes::Bytes;
use duplex_hub::topic::{Frame, FrameId};
use flate2::Compression;

use super::codec::{DeflateParams, deflate, deflate_after};
use crate::limits;
use crate::transport::handler::Message;

/// The largest window, in bits. A shared frame is compressed with it.
const MAX_WINDOW_BITS: u8 = 15;

/// The last compressed message of a client, with which its window ends, if that was a shared frame.
pub(super) type Context = Option<FrameId>;

/// The compressed payload of a message; `None` if it is sent as it is.
pub(super) fn compress(message: &Message, params: DeflateParams, context: &mut Context) -> Option<Bytes> {
    match message {
        Message::Frame(_, frame) => compress_shared(frame, params, context).cloned(),
        Message::Text(_) | Message::Binary(_) => {
            let payload = message.as_bytes();
            let level = Compression::new(limits::MESSAGE_DEFLATE_LEVEL);
            let compressed = is_compressible(payload)
                .then(|| deflate(payload, params.server_max_window_bits, level))
                .flatten();
            context.take_if(|_| compressed.is_some());
            compressed
        }
    }
}

/// The compressed form of a frame for this client. One with a small window gets a frame that exceeds it as it is.
pub(super) fn compress_shared<'f>(frame: &'f Frame, params: DeflateParams, context: &mut Context) -> Option<&'f Bytes> {
    let bits = params.server_max_window_bits;
    let fits = bits == MAX_WINDOW_BITS || frame.len() <= 1 << bits;
    let continued = context.filter(|_| params.takes_over_context());
    let continued = continued.and_then(|last| continued_form(frame, last));
    let compressed = continued.or_else(|| fits.then(|| compressed_form(frame)).flatten());
    if compressed.is_some() {
        *context = Some(frame.id());
    }
    compressed
}

/// The compressed form of a frame with references to the topic's previous frame, for all clients whose last compressed message that was.
/// Consecutive events resemble each other, so that it is a fraction of [`compressed_form`].
fn continued_form(frame: &Frame, last: FrameId) -> Option<&Bytes> {
    let fits =
        |previous: &Bytes| previous.len() <= limits::BEST_DEFLATE_BYTES && frame.len() <= limits::BEST_DEFLATE_BYTES;
    let compress = |previous: &Bytes, bytes: &Bytes| {
        fits(previous)
            .then(|| deflate_after(previous, bytes, Compression::best()))
            .flatten()
    };
    is_compressible(frame)
        .then(|| frame.continued(last, compress))
        .flatten()
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
