//! Parses the peer's close frame alongside tungstenite, which rejects the registered code 1014 with 1002.

use std::ops::ControlFlow;

const CLOSE: u8 = 8;
/// The mask bit in a header's second byte (RFC 6455 section 5.2).
const MASKED: u8 = 0x80;
const MAX_HEADER: usize = 14;

/// Registered codes that tungstenite does not know.
const REGISTERED: [u16; 1] = [1014];

/// A parser of the received frames, up to the close frame.
#[derive(Debug, Default)]
pub(crate) struct CloseFrameParser {
    header: [u8; MAX_HEADER],
    /// Received bytes of the current header.
    header_len: u8,
    /// Missing bytes of the current frame's payload.
    payload_left: u64,
    /// The received part of the close frame. Bytes after it are ignored.
    close: Option<Box<PartialCloseFrame>>,
}

#[derive(Debug)]
struct PartialCloseFrame {
    mask: [u8; 4],
    payload: Vec<u8>,
}

impl CloseFrameParser {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.parse(bytes) {
                ControlFlow::Continue(rest) => rest,
                ControlFlow::Break(()) => return,
            };
        }
    }

    fn parse<'a>(&mut self, bytes: &'a [u8]) -> ControlFlow<(), &'a [u8]> {
        if self.payload_left > 0 {
            let count = usize::try_from(self.payload_left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (payload, rest) = bytes.split_at(count);
            if let Some(close) = &mut self.close {
                close.payload.extend_from_slice(payload);
            }
            self.payload_left -= count as u64;
            return ControlFlow::Continue(rest);
        }
        if self.close.is_some() {
            return ControlFlow::Break(());
        }
        let received = usize::from(self.header_len);
        let expected = header_len(&self.header[..received]);
        let count = (expected - received).min(bytes.len());
        let (more, rest) = bytes.split_at(count);
        self.header[received..received + count].copy_from_slice(more);
        self.header_len += count as u8;
        // The second byte determines the header's length.
        let received = received + count;
        if received == header_len(&self.header[..received]) && received >= 2 {
            self.on_header(received);
        }
        ControlFlow::Continue(rest)
    }

    /// Handles a complete header.
    fn on_header(&mut self, length: usize) {
        let header = &self.header[..length];
        self.header_len = 0;
        self.payload_left = match header[1] & !MASKED {
            126 => header[2..4].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            127 => header[2..10].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            short => short.into(),
        };
        if header[0] & 0x0f == CLOSE {
            let mask = match header[1] & MASKED {
                0 => [0; 4],
                _ => header[length - 4..].try_into().unwrap_or_default(),
            };
            self.close = Some(Box::new(PartialCloseFrame {
                mask,
                payload: Vec::new(),
            }));
        }
    }

    /// The code and the reason of a close frame whose code is registered but unknown to tungstenite.
    pub(crate) fn unsupported_close(&self) -> Option<(u16, String)> {
        let PartialCloseFrame { mask, payload } = &**self.close.as_ref().filter(|_| self.payload_left == 0)?;
        let payload: Vec<_> = payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        let (code, reason) = payload.split_first_chunk()?;
        let code = u16::from_be_bytes(*code);
        let reason = str::from_utf8(reason).ok()?.to_owned();
        REGISTERED.contains(&code).then_some((code, reason))
    }
}

/// The length of a header that starts with these bytes, or of the part that determines it.
fn header_len(header: &[u8]) -> usize {
    let Some(second) = header.get(1) else { return 2 };
    let length = match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED == 0 { 0 } else { 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ ..126 => frame.push(MASKED | short as u8),
            medium @ ..65_536 => {
                frame.push(MASKED | 126);
                frame.extend((medium as u16).to_be_bytes());
            }
            long => {
                frame.push(MASKED | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn close(code: u16, reason: &str) -> Vec<u8> {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        frame(0x88, [1, 2, 3, 4], &payload)
    }

    #[test]
    fn a_code_is_found_in_every_split_of_the_bytes() {
        let sizes = [0, 1, 125, 126, 65_535, 65_536];
        let mut bytes: Vec<u8> = sizes
            .iter()
            .flat_map(|size| frame(0x82, [9; 4], &vec![0x88; *size]))
            .collect();
        bytes.extend(frame(0x89, [0; 4], b"ping"));
        bytes.extend([0x81, 2, 0x88, 0x82]);
        bytes.extend(close(1014, "bad 게이트웨이"));
        bytes.extend(close(1000, "after it"));
        for size in [1, 2, 3, 7, 4_096, bytes.len()] {
            let mut peer = CloseFrameParser::default();
            bytes.chunks(size).for_each(|bytes| peer.feed(bytes));
            assert_eq!(
                peer.unsupported_close(),
                Some((1014, "bad 게이트웨이".to_owned())),
                "{size}"
            );
        }
    }

    #[test]
    fn other_frames_have_no_registered_code() {
        let registered = |bytes: &[u8]| {
            let mut peer = CloseFrameParser::default();
            peer.feed(bytes);
            peer.unsupported_close()
        };
        let whole = close(1014, "reason");
        assert_eq!(registered(&whole), Some((1014, "reason".to_owned())));
        assert_eq!(registered(&whole[..whole.len() - 1]), None);
        assert_eq!(registered(&close(1000, "")), None);
        assert_eq!(registered(&close(1015, "")), None);
        assert_eq!(registered(&frame(0x88, [0; 4], &[])), None);
        assert_eq!(registered(&frame(0x88, [0; 4], &[3])), None);
        assert_eq!(registered(&frame(0x88, [0; 4], &[3, 246, 0xff])), None);
        assert_eq!(registered(&frame(0x82, [0; 4], &whole)), None);
    }
}
