//! The decoder of a client's frames.

use bytes::{Buf as _, Bytes, BytesMut};

use super::error::DecodeError;
use super::extension::DeflateParams;
use super::header::{Header, Opcode};
use super::mask::apply_mask;
use super::partial::{PartialMessage, Progress};
use super::text::Text;

/// A message of at least this size is taken out of the buffer; a smaller one is copied, so that the buffer can be reused.
const MIN_TAKEN: usize = 1024;

/// A message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    Text(Text),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// With the code and the reason, unless the close frame is empty.
    Close(Option<(u16, Text)>),
}

impl Incoming {
    /// Bytes of the payload, after it is inflated.
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
            Self::Close(close) => close.as_ref().map_or(0, |(_, reason)| 2 + reason.len()),
        }
    }
}

/// The limits and the extension of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecoderConfig {
    /// Maximum size of a message, in bytes; that of a compressed message after it is inflated.
    pub(crate) max_message: usize,
    /// The agreed compression.
    pub(crate) deflate: Option<DeflateParams>,
}

/// Decodes the frames of one client. It allocates nothing while no message is partially received.
///
/// A partially received message is held by the decoder, except for an incomplete header or control frame, which stays in the buffer.
#[derive(Debug)]
pub(crate) struct Decoder {
    max_message: usize,
    deflate: bool,
    partial: Option<Box<PartialMessage>>,
}

impl Decoder {
    pub(crate) fn new(config: DecoderConfig) -> Self {
        Self {
            max_message: config.max_message,
            deflate: config.deflate.is_some(),
            partial: None,
        }
    }

    /// Whether no data message is partially received. An incomplete header or control frame may be in the buffer.
    #[cfg(test)]
    pub(crate) fn is_between_messages(&self) -> bool {
        self.partial.is_none()
    }

    /// Bytes held of the partially received message.
    pub(crate) fn partial_len(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.held())
    }

    /// Takes the next message out of the buffer, or returns `None` if bytes are missing. Parts of a data message are taken out as they
    /// arrive.
    ///
    /// # Errors
    ///
    /// The connection must be failed: the decoder must not be used any more.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, DecodeError> {
        loop {
            if let Some(mut partial) = self.partial.take_if(|partial| partial.is_in_frame()) {
                match partial.read(buffer)? {
                    Progress::Message => return partial.finish().map(Some),
                    Progress::Frame => self.partial = Some(partial),
                    Progress::Part => {
                        self.partial = Some(partial);
                        return Ok(None);
                    }
                }
            }
            let Some(header) = Header::parse(buffer)? else {
                return Ok(None);
            };
            if header.rsv1 && !(self.deflate && matches!(header.opcode, Opcode::Text | Opcode::Binary)) {
                return Err(DecodeError::ReservedBits);
            }
            if header.opcode.is_control() {
                return take_control(&header, buffer);
            }
            if let Some(message) = self.start_data(&header, buffer)? {
                return Ok(Some(message));
            }
        }
    }

    /// Returns a message that is complete in the buffer, or starts to receive a frame in parts.
    fn start_data(&mut self, header: &Header, buffer: &mut BytesMut) -> Result<Option<Incoming>, DecodeError> {
        let partial = match (header.opcode, self.partial.as_mut()) {
            (Opcode::Continuation, Some(partial)) => partial,
            (Opcode::Continuation, None) => return Err(DecodeError::UnexpectedContinuation),
            (_, Some(_)) => return Err(DecodeError::ExpectedContinuation),
            (_, None) => {
                if let Some(message) = self.take_whole(header, buffer)? {
                    return Ok(Some(message));
                }
                self.partial
                    .insert(Box::new(PartialMessage::new(header, self.max_message)))
            }
        };
        partial.start_frame(header)?;
        buffer.advance(header.len);
        Ok(None)
    }

    /// Takes out a message that is one uncompressed frame, if it is complete in the buffer.
    fn take_whole(&self, header: &Header, buffer: &mut BytesMut) -> Result<Option<Incoming>, DecodeError> {
        let limit = self.max_message;
        if !header.fin || header.rsv1 {
            return Ok(None);
        }
        let payload = usize::try_from(header.payload).unwrap_or(usize::MAX);
        if payload > limit {
            return Err(DecodeError::TooBig { limit });
        }
        take_payload(header, buffer)
            .map(|payload| match (header.opcode, payload) {
                (Opcode::Text, payload) => Text::try_from(payload)
                    .map(Incoming::Text)
                    .map_err(|_| DecodeError::InvalidUtf8),
                (_, payload) => Ok(Incoming::Binary(payload)),
            })
            .transpose()
    }
}

/// Takes the frame out of the buffer, if it is complete, and unmasks its payload.
fn take_payload(header: &Header, buffer: &mut BytesMut) -> Option<Bytes> {
    let length = usize::try_from(header.payload).ok()?;
    let (_, payload) = buffer.split_at_mut_checked(header.len)?;
    let (payload, _) = payload.split_at_mut_checked(length)?;
    apply_mask(payload, header.mask);
    if length < MIN_TAKEN {
        let payload = Bytes::copy_from_slice(payload);
        buffer.advance(header.len + length);
        return Some(payload);
    }
    buffer.advance(header.len);
    Some(buffer.split_to(length).freeze())
}

fn take_control(header: &Header, buffer: &mut BytesMut) -> Result<Option<Incoming>, DecodeError> {
    let Some(payload) = take_payload(header, buffer) else {
        return Ok(None);
    };
    Ok(Some(match header.opcode {
        Opcode::Ping => Incoming::Ping(payload),
        Opcode::Pong => Incoming::Pong(payload),
        _ => Incoming::Close(parse_close(payload)?),
    }))
}

fn parse_close(mut payload: Bytes) -> Result<Option<(u16, Text)>, DecodeError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let code = payload.try_get_u16().map_err(|_| DecodeError::TruncatedCloseCode)?;
    if !is_valid_on_wire(code) {
        return Err(DecodeError::InvalidCloseCode(code));
    }
    let reason = Text::try_from(payload).map_err(|_| DecodeError::InvalidUtf8)?;
    Ok(Some((code, reason)))
}

/// Whether the code may be sent: it is defined or registered for use in a close frame, or for libraries and applications (RFC 6455
/// section 7.4, and IANA's registry).
fn is_valid_on_wire(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
