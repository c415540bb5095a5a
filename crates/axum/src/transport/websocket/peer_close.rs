//! A reader of the peer's close frame beside the engine, which takes code 1014 for invalid and answers 1002, although IANA's registry
//! of close codes lists it.

use std::ops::ControlFlow;

const CLOSE: u8 = 8;
/// The mask bit in a header's second byte (RFC 6455 section 5.2).
const MASKED: u8 = 0x80;
const MAX_HEADER: usize = 14;

/// Registered codes that the engine does not know.
const REGISTERED: [u16; 1] = [1014];

/// A reader of the frames that come in, up to the close frame.
#[derive(Debug, Default)]
pub(crate) struct PeerClose {
    header: [u8; MAX_HEADER],
    /// Bytes of the current header that have come.
    have: u8,
    /// Bytes of the current frame's payload that are still to come.
    left: u64,
    /// The close frame's payload as far as it has come. Nothing after it is read.
    close: Option<Box<Closing>>,
}

#[derive(Debug)]
struct Closing {
    mask: [u8; 4],
    payload: Vec<u8>,
}

impl PeerClose {
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.take(bytes) {
                ControlFlow::Continue(rest) => rest,
                ControlFlow::Break(()) => return,
            };
        }
    }

    fn take<'a>(&mut self, bytes: &'a [u8]) -> ControlFlow<(), &'a [u8]> {
        if self.left > 0 {
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at(count);
            if let Some(close) = &mut self.close {
                close.payload.extend_from_slice(payload);
            }
            self.left -= count as u64;
            return ControlFlow::Continue(rest);
        }
        if self.close.is_some() {
            return ControlFlow::Break(());
        }
        let have = usize::from(self.have);
        let need = need(&self.header[..have]);
        let count = (need - have).min(bytes.len());
        let (more, rest) = bytes.split_at(count);
        self.header[have..have + count].copy_from_slice(more);
        self.have += count as u8;
        // The second byte tells the header's length.
        let have = have + count;
        if have == self::need(&self.header[..have]) && have >= 2 {
            self.begin(have);
        }
        ControlFlow::Continue(rest)
    }

    /// A header is complete.
    fn begin(&mut self, length: usize) {
        let header = &self.header[..length];
        self.have = 0;
        self.left = match header[1] & !MASKED {
            126 => header[2..4].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            127 => header[2..10].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            short => short.into(),
        };
        if header[0] & 0x0f == CLOSE {
            let mask = match header[1] & MASKED {
                0 => [0; 4],
                _ => header[length - 4..].try_into().unwrap_or_default(),
            };
            self.close = Some(Box::new(Closing {
                mask,
                payload: Vec::new(),
            }));
        }
    }

    /// The code and the reason of a close frame whose code is registered but unknown to the engine.
    pub(crate) fn registered(&self) -> Option<(u16, String)> {
        let Closing { mask, payload } = &**self.close.as_ref().filter(|_| self.left == 0)?;
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

/// The length of a header that begins so, or of the part that tells it.
fn need(header: &[u8]) -> usize {
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
    fn a_code_is_found_however_the_bytes_come() {
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
            let mut peer = PeerClose::default();
            bytes.chunks(size).for_each(|bytes| peer.read(bytes));
            assert_eq!(peer.registered(), Some((1014, "bad 게이트웨이".to_owned())), "{size}");
        }
    }

    #[test]
    fn nothing_else_is_one() {
        let told = |bytes: &[u8]| {
            let mut peer = PeerClose::default();
            peer.read(bytes);
            peer.registered()
        };
        let whole = close(1014, "reason");
        assert_eq!(told(&whole), Some((1014, "reason".to_owned())));
        assert_eq!(told(&whole[..whole.len() - 1]), None);
        assert_eq!(told(&close(1000, "")), None);
        assert_eq!(told(&close(1015, "")), None);
        assert_eq!(told(&frame(0x88, [0; 4], &[])), None);
        assert_eq!(told(&frame(0x88, [0; 4], &[3])), None);
        assert_eq!(told(&frame(0x88, [0; 4], &[3, 246, 0xff])), None);
        assert_eq!(told(&frame(0x82, [0; 4], &whole)), None);
    }
}
