//! A data message that is received in parts: fragments, the parts of a frame, and inflated data.

use bytes::{Buf as _, Bytes, BytesMut};

use super::decoder::Incoming;
use super::deflate::{INFLATER_BYTES, Inflater};
use super::error::DecodeError;
use super::header::{Header, Opcode};
use super::mask::apply_mask;
use super::text::Text;

/// The largest allocation for bytes that are announced, but have not arrived.
const MAX_FIRST_ALLOCATION: usize = 4096;

/// A message whose end has not been received.
#[derive(Debug)]
pub(super) struct PartialMessage {
    payload: Payload,
    /// For a compressed message.
    inflater: Option<Inflater>,
    /// The frame whose payload is received next; `None` between two frames.
    frame: Option<Frame>,
    /// Bytes of the payloads of all frames so far, as their headers announce them.
    announced: u64,
    max_message: usize,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    fin: bool,
    /// The mask of the next byte comes first.
    mask: [u8; 4],
    /// Missing bytes of the payload.
    missing: usize,
}

/// What was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// A part of a frame.
    Part,
    /// A frame that does not end the message.
    Frame,
    /// The message.
    Message,
}

impl PartialMessage {
    /// A message that starts with this frame, whose payload has not been read.
    pub(super) fn new(header: &Header, max_message: usize) -> Self {
        Self {
            payload: match header.opcode {
                Opcode::Text => Payload::Text(TextBuffer::default()),
                _ => Payload::Binary(Vec::new()),
            },
            inflater: header.rsv1.then(Inflater::new),
            frame: None,
            announced: 0,
            max_message,
        }
    }

    /// Bytes of the received part, and of the inflater. The memory for the received part is at most twice as large.
    pub(super) fn held(&self) -> usize {
        let inflater = if self.inflater.is_some() { INFLATER_BYTES } else { 0 };
        self.payload.len() + inflater
    }

    pub(super) fn is_in_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// Starts the message's next frame, whose payload follows.
    pub(super) fn start_frame(&mut self, header: &Header) -> Result<(), DecodeError> {
        let limit = self.max_message;
        let announced = self.announced.saturating_add(header.payload);
        let max = match self.inflater {
            Some(_) => max_deflated(limit),
            None => limit,
        };
        let missing = usize::try_from(header.payload).map_err(|_| DecodeError::TooBig { limit })?;
        if announced > max as u64 {
            return Err(DecodeError::TooBig { limit });
        }
        self.announced = announced;
        self.frame = Some(Frame {
            fin: header.fin,
            mask: header.mask,
            missing,
        });
        Ok(())
    }

    /// Takes the frame's payload, or the part that has arrived, out of the buffer.
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> Result<Progress, DecodeError> {
        let Some(mut frame) = self.frame.take() else {
            return Ok(Progress::Frame);
        };
        let length = frame.missing.min(buffer.len());
        let (part, _) = buffer.split_at_mut(length);
        apply_mask(part, frame.mask);
        self.push(part, &frame)?;
        buffer.advance(length);
        frame.missing -= length;
        if frame.missing > 0 {
            frame.mask.rotate_left(length % 4);
            self.frame = Some(frame);
            return Ok(Progress::Part);
        }
        Ok(if frame.fin { Progress::Message } else { Progress::Frame })
    }

    /// Appends an unmasked part of the frame's payload.
    fn push(&mut self, part: &[u8], frame: &Frame) -> Result<(), DecodeError> {
        let Self {
            payload, max_message, ..
        } = self;
        match &mut self.inflater {
            Some(inflater) => inflater.inflate(part, |inflated| payload.push(inflated, None, *max_message)),
            None => {
                let total = frame.fin.then(|| payload.len().saturating_add(frame.missing));
                payload.push(part, total, *max_message)
            }
        }
    }

    /// The complete message.
    pub(super) fn finish(self) -> Result<Incoming, DecodeError> {
        let Self {
            mut payload,
            inflater,
            max_message,
            ..
        } = self;
        if let Some(inflater) = inflater {
            inflater.finish(|inflated| payload.push(inflated, None, max_message))?;
        }
        payload.finish()
    }
}

/// Maximum compressed bytes of a message. Fixed Huffman codes, with which no compressor enlarges data by more than an eighth, are the
/// worst of DEFLATE's encodings; the rest is for the ends of blocks.
fn max_deflated(max_message: usize) -> usize {
    max_message.saturating_add(max_message / 8).saturating_add(64)
}

#[derive(Debug)]
enum Payload {
    Text(TextBuffer),
    Binary(Vec<u8>),
}

impl Payload {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.valid.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Appends `part`, if the payload then has at most `limit` bytes. `total` is its length in the end, if it is known.
    fn push(&mut self, part: &[u8], total: Option<usize>, limit: usize) -> Result<(), DecodeError> {
        let length = self.len().saturating_add(part.len());
        if length > limit {
            return Err(DecodeError::TooBig { limit });
        }
        if length > self.capacity() {
            self.grow(length, total, limit);
        }
        match self {
            Self::Text(text) => text.push(part),
            Self::Binary(bytes) => {
                bytes.extend_from_slice(part);
                Ok(())
            }
        }
    }

    /// Doubles the capacity, within the total or the limit. A peer can announce a total without sending it, so that only a small one is
    /// allocated at once.
    fn grow(&mut self, needed: usize, total: Option<usize>, limit: usize) {
        let doubled = self.capacity().saturating_mul(2);
        let capacity = match total {
            Some(total) => doubled.max(MAX_FIRST_ALLOCATION).min(total),
            None => doubled.min(limit),
        };
        let capacity = capacity.max(needed);
        match self {
            Self::Text(text) => text.valid.reserve_exact(capacity - text.valid.len()),
            Self::Binary(bytes) => bytes.reserve_exact(capacity - bytes.len()),
        }
    }

    fn finish(self) -> Result<Incoming, DecodeError> {
        match self {
            Self::Text(text) => text.finish().map(Incoming::Text),
            Self::Binary(mut bytes) => {
                bytes.shrink_to_fit();
                Ok(Incoming::Binary(Bytes::from(bytes)))
            }
        }
    }
}

/// Text whose UTF-8 is checked as it arrives, so that an invalid sequence fails at its first invalid byte.
#[derive(Debug, Default)]
struct TextBuffer {
    valid: String,
    /// The start of a character whose end is missing.
    start: [u8; 3],
    start_len: u8,
}

impl TextBuffer {
    fn len(&self) -> usize {
        self.valid.len() + usize::from(self.start_len)
    }

    fn push(&mut self, mut part: &[u8]) -> Result<(), DecodeError> {
        while self.start_len > 0 {
            let Some((next, rest)) = part.split_first() else {
                return Ok(());
            };
            self.complete_char(*next)?;
            part = rest;
        }
        match str::from_utf8(part) {
            Ok(text) => self.valid.push_str(text),
            Err(error) if error.error_len().is_none() => {
                let (valid, start) = part.split_at(error.valid_up_to());
                self.valid
                    .push_str(str::from_utf8(valid).map_err(|_| DecodeError::InvalidUtf8)?);
                for byte in start {
                    self.push_start(*byte);
                }
            }
            Err(_) => return Err(DecodeError::InvalidUtf8),
        }
        Ok(())
    }

    /// Appends the next byte of the incomplete character.
    fn complete_char(&mut self, next: u8) -> Result<(), DecodeError> {
        let [a, b, c] = self.start;
        let bytes = match self.start_len {
            1 => [a, next, 0, 0],
            2 => [a, b, next, 0],
            _ => [a, b, c, next],
        };
        let (char, _) = bytes.split_at(usize::from(self.start_len) + 1);
        match str::from_utf8(char) {
            Ok(char) => {
                self.valid.push_str(char);
                self.start_len = 0;
            }
            Err(error) if error.error_len().is_none() => self.push_start(next),
            Err(_) => return Err(DecodeError::InvalidUtf8),
        }
        Ok(())
    }

    /// An incomplete character has at most 3 bytes.
    fn push_start(&mut self, byte: u8) {
        if let Some(next) = self.start.get_mut(usize::from(self.start_len)) {
            *next = byte;
            self.start_len += 1;
        }
    }

    fn finish(mut self) -> Result<Text, DecodeError> {
        if self.start_len > 0 {
            return Err(DecodeError::InvalidUtf8);
        }
        self.valid.shrink_to_fit();
        Ok(self.valid.into())
    }
}
