//! Fuzz tests of frames.

use duplex_fuzz::fuzz;

use super::*;

/// Arbitrary bytes give the same messages however they are split. [`decode_pieces`] checks the bounds.
#[test]
fn frames_are_bounded() {
    fuzz("websocket-frames", |bytes| {
        let limit = 5000;
        for decoder in [plain_decoder, deflate_decoder] {
            let at_once = decode_pieces(&mut decoder(limit), [bytes], limit);
            for size in [1, 7, 1500] {
                let in_pieces = decode_pieces(&mut decoder(limit), bytes.chunks(size), limit);
                assert_eq!(at_once.0, in_pieces.0);
                // Parts of a frame fail before the whole frame does.
                assert_eq!(at_once.1.map(DecodeError::code), in_pieces.1.map(DecodeError::code));
            }
            for message in at_once.0 {
                let max = if matches!(message, Incoming::Text(_) | Incoming::Binary(_)) {
                    limit
                } else {
                    125
                };
                assert!(message.payload_len() <= max, "{message:?}");
            }
        }
    });
}
