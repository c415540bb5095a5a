//! Compressed messages: permessage-deflate (RFC 7692) without context takeover, so that each message is compressed independently.

use crate::Result;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::collections::HashMap;

/// The value of `Sec-WebSocket-Extensions` in a handshake.
pub const OFFER: &str = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
/// What the sender removed from the end of the message (RFC 7692 section 7.2.1), then an empty final block.
const TAIL: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];
const MAX_MESSAGE: usize = 1 << 20;
const MAX_REMEMBERED: usize = 1024;

/// Inflates each distinct message only once: most servers send the same bytes to every member of a room.
#[derive(Default)]
pub struct Inflater(HashMap<Vec<u8>, Vec<u8>>);

impl Inflater {
    pub fn inflate(&mut self, compressed: &[u8]) -> Result<&[u8]> {
        if !self.0.contains_key(compressed) {
            if self.0.len() == MAX_REMEMBERED {
                self.0.clear();
            }
            let stream = [compressed, &TAIL].concat();
            let message = decompress_to_vec_with_limit(&stream, MAX_MESSAGE)
                .map_err(|error| format!("a message could not be inflated: {error}"))?;
            self.0.insert(compressed.to_vec(), message);
        }
        Ok(&self.0[compressed])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_inflated() {
        let mut inflater = Inflater::default();
        // RFC 7692 section 7.2.3: one block, a block without compression, and a block with BFINAL.
        let one_block: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let stored: &[u8] = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        let last: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        for compressed in [one_block, stored, last, one_block] {
            assert_eq!(inflater.inflate(compressed).unwrap(), b"Hello", "{compressed:02x?}");
        }
        assert!(inflater.inflate(&[0x07]).is_err());
    }

    #[test]
    fn remembered_messages_are_limited() {
        let mut inflater = Inflater::default();
        for number in 0..=MAX_REMEMBERED as u16 {
            let [high, low] = number.to_be_bytes();
            let stored = [0x00, 0x02, 0x00, 0xfd, 0xff, high, low, 0x00];
            assert_eq!(inflater.inflate(&stored).unwrap(), [high, low]);
        }
        assert_eq!(inflater.0.len(), 1);
    }
}
