//! Compressed messages: permessage-deflate (RFC 7692), with the server's context takeover unless it declines it.

use crate::Result;
use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF},
};
use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
};

/// The value of `Sec-WebSocket-Extensions` in a handshake.
pub const OFFER: &str = "permessage-deflate; client_no_context_takeover";
/// What the sender removed from the end of the message (RFC 7692 section 7.2.1), then an empty final block.
const TAIL: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];
const WINDOW: usize = 1 << 15;
const MAX_MESSAGE: usize = 1 << 20;
const MAX_REMEMBERED: usize = 1024;

/// The end of what a connection has received in compressed messages.
#[derive(Default)]
pub struct Window {
    /// Identifies the content; 0 if it is empty.
    id: u64,
    bytes: Vec<u8>,
}

/// A message that was inflated after this window, and the window after it.
type Inflated = (Vec<u8>, Rc<Window>);
/// A window's id and a compressed message.
type Key = (u64, Vec<u8>);

/// Inflates each distinct message after each distinct window only once: most servers send the same bytes to every member of a room.
#[derive(Default)]
pub struct Inflater {
    inflated: HashMap<Key, Inflated>,
    /// Oldest first.
    keys: VecDeque<Key>,
    last_window: u64,
}

impl Inflater {
    /// Inflates a message and moves the connection's window.
    pub fn inflate(&mut self, window: &mut Rc<Window>, compressed: &[u8]) -> Result<&[u8]> {
        let key = (window.id, compressed.to_vec());
        if !self.inflated.contains_key(&key) {
            if self.keys.len() == MAX_REMEMBERED
                && let Some(oldest) = self.keys.pop_front()
            {
                self.inflated.remove(&oldest);
            }
            let mut bytes = inflate_after(&window.bytes, &[compressed, &TAIL].concat())?;
            let message = bytes.split_off(window.bytes.len());
            bytes.extend(&message);
            bytes.drain(..bytes.len().saturating_sub(WINDOW));
            self.last_window += 1;
            let next = Window {
                id: self.last_window,
                bytes,
            };
            self.keys.push_back(key.clone());
            self.inflated.insert(key.clone(), (message, Rc::new(next)));
        }
        let (message, next) = &self.inflated[&key];
        *window = Rc::clone(next);
        Ok(message)
    }
}

/// The window followed by the message.
fn inflate_after(window: &[u8], stream: &[u8]) -> Result<Vec<u8>> {
    let mut out = window.to_vec();
    let (mut read, mut end) = (0, window.len());
    let mut state = DecompressorOxide::new();
    loop {
        out.resize(end + 4 * stream.len() + 1024, 0);
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, consumed, written) = decompress(&mut state, &stream[read..], &mut out, end, flags);
        (read, end) = (read + consumed, end + written);
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput if end < window.len() + MAX_MESSAGE => {}
            other => return Err(format!("a message could not be inflated: {other:?}").into()),
        }
    }
    out.truncate(end);
    Ok(out)
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
            let window = &mut Rc::default();
            assert_eq!(
                inflater.inflate(window, compressed).unwrap(),
                b"Hello",
                "{compressed:02x?}"
            );
            assert_eq!(window.bytes, b"Hello");
        }
        assert!(inflater.inflate(&mut Rc::default(), &[0x07]).is_err());
    }

    #[test]
    fn a_message_refers_to_the_one_before() {
        let mut inflater = Inflater::default();
        // RFC 7692 section 7.2.3.2: "Hello" twice, the second with context takeover.
        let (first, second): (&[u8], &[u8]) = (
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
        );
        let mut windows = [Rc::default(), Rc::default()];
        for window in &mut windows {
            assert_eq!(inflater.inflate(window, first).unwrap(), b"Hello");
            assert_eq!(inflater.inflate(window, second).unwrap(), b"Hello");
        }
        assert_eq!(windows[0].id, windows[1].id, "inflated once");
        assert_eq!(windows[0].bytes, b"HelloHello");
        assert!(
            inflater.inflate(&mut Rc::default(), second).is_err(),
            "nothing is before it"
        );
    }

    #[test]
    fn remembered_messages_are_limited() {
        let mut inflater = Inflater::default();
        let mut window = Rc::default();
        for number in 0..=MAX_REMEMBERED as u16 {
            let [high, low] = number.to_be_bytes();
            let stored = [0x00, 0x02, 0x00, 0xfd, 0xff, high, low, 0x00];
            assert_eq!(inflater.inflate(&mut window, &stored).unwrap(), [high, low]);
        }
        assert_eq!(inflater.inflated.len(), MAX_REMEMBERED);
    }
}
