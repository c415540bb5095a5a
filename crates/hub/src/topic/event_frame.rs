//! An event as complete frames, encoded once for all readers.

use std::sync::OnceLock;

use super::dyn_topic::DynEvent;
use super::frame::Frame;
use duplex_protocol::codec::{CodecError, Encoding};
use duplex_protocol::cursor::{Checksum, Seq};
use duplex_protocol::session::ServerFrame;
use duplex_protocol::subprotocol::{Subprotocol, Version};
use duplex_protocol::topic::TopicName;

/// An event, encoded lazily once per protocol and shared by all readers.
pub(crate) struct EventFrame {
    seq: Seq,
    checksum: Option<Checksum>,
    event: Box<dyn DynEvent>,
    encoded: Encoded,
    /// For readers of the protocol's version 1, which are rare. Allocated when the first of them reads.
    encoded_v1: OnceLock<Box<Encoded>>,
}

type Encoded = PerEncoding<OnceLock<Option<Frame>>>;

impl EventFrame {
    pub(crate) fn new(seq: Seq, checksum: Option<Checksum>, event: Box<dyn DynEvent>) -> Self {
        Self {
            seq,
            checksum,
            event,
            encoded: PerEncoding::default(),
            encoded_v1: OnceLock::new(),
        }
    }

    pub(crate) fn key(&self) -> Option<String> {
        self.event.key()
    }

    pub(crate) const fn checksum(&self) -> Option<Checksum> {
        self.checksum
    }

    /// The frame; `None` if the application's event does not encode.
    pub(crate) fn encoded(&self, topic: &TopicName, protocol: Subprotocol) -> Option<Frame> {
        let encoded = match protocol.version {
            Version::V1 => self.encoded_v1.get_or_init(Box::default),
            Version::V2 => &self.encoded,
        };
        let encode = || {
            let frame = event_frame(topic, (self.seq, self.checksum), self.event.as_ref(), protocol);
            frame
                .inspect_err(
                    |error| tracing::error!(%topic, seq = self.seq, ?protocol, "an event cannot be encoded: {error}"),
                )
                .ok()
        };
        encoded.get(protocol.encoding).get_or_init(encode).clone()
    }
}

/// Encodes a complete [`ServerFrame::Event`].
pub(crate) fn event_frame(
    topic: &TopicName,
    (seq, checksum): (Seq, Option<Checksum>),
    event: &dyn DynEvent,
    protocol: Subprotocol,
) -> Result<Frame, CodecError> {
    let frame = ServerFrame::Event {
        topic: topic.clone(),
        seq,
        checksum,
        event: event.encode(protocol.encoding)?,
    };
    protocol.encode(&frame).map(Frame::from)
}

/// One value for each encoding.
#[derive(Debug, Default)]
pub(crate) struct PerEncoding<T> {
    json: T,
    postcard: T,
}

impl<T> PerEncoding<T> {
    pub(crate) const fn get(&self, encoding: Encoding) -> &T {
        match encoding {
            Encoding::Json => &self.json,
            Encoding::Postcard => &self.postcard,
        }
    }

    pub(crate) const fn get_mut(&mut self, encoding: Encoding) -> &mut T {
        match encoding {
            Encoding::Json => &mut self.json,
            Encoding::Postcard => &mut self.postcard,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use duplex_protocol::codec::EncodedValue;

    struct Text(String);

    impl DynEvent for Text {
        fn encode(&self, encoding: Encoding) -> Result<EncodedValue, CodecError> {
            EncodedValue::encode(encoding, &self.0)
        }

        fn key(&self) -> Option<String> {
            None
        }
    }

    /// The frame of an event that is a text.
    pub(crate) fn frame(seq: Seq, text: &str) -> Arc<EventFrame> {
        Arc::new(EventFrame::new(seq, None, Box::new(Text(text.to_owned()))))
    }
}
