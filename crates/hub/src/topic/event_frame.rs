//! An event as complete frames, encoded once for all readers.

use std::sync::{OnceLock, Weak};

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
    /// The topic's previous event, if it is in the ring.
    previous: Weak<Self>,
    encoded: Encoded,
    /// For readers of the protocol's version 1, which are rare. Allocated when the first of them reads.
    encoded_v1: OnceLock<Box<Encoded>>,
}

type Encoded = PerEncoding<OnceLock<Option<Frame>>>;

impl EventFrame {
    pub(crate) fn new(seq: Seq, checksum: Option<Checksum>, event: Box<dyn DynEvent>, previous: Weak<Self>) -> Self {
        Self {
            seq,
            checksum,
            event,
            previous,
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
            let bytes = encode_event(topic, (self.seq, self.checksum), self.event.as_ref(), protocol);
            let bytes = bytes.inspect_err(
                |error| tracing::error!(%topic, seq = self.seq, ?protocol, "an event cannot be encoded: {error}"),
            );
            let previous = self.previous.upgrade();
            let previous = previous.and_then(|previous| previous.already_encoded(protocol));
            Some(Frame::following(previous.as_ref(), bytes.ok()?))
        };
        encoded.get(protocol.encoding).get_or_init(encode).clone()
    }

    /// The frame, if a reader needed it before. `None` for the rare version 1.
    fn already_encoded(&self, protocol: Subprotocol) -> Option<Frame> {
        match protocol.version {
            Version::V1 => None,
            Version::V2 => self.encoded.get(protocol.encoding).get()?.clone(),
        }
    }
}

/// Encodes a complete [`ServerFrame::Event`].
pub(crate) fn event_frame(
    topic: &TopicName,
    (seq, checksum): (Seq, Option<Checksum>),
    event: &dyn DynEvent,
    protocol: Subprotocol,
) -> Result<Frame, CodecError> {
    encode_event(topic, (seq, checksum), event, protocol).map(Frame::from)
}

fn encode_event(
    topic: &TopicName,
    (seq, checksum): (Seq, Option<Checksum>),
    event: &dyn DynEvent,
    protocol: Subprotocol,
) -> Result<Vec<u8>, CodecError> {
    let frame = ServerFrame::Event {
        topic: topic.clone(),
        seq,
        checksum,
        event: event.encode(protocol.encoding)?,
    };
    protocol.encode(&frame)
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
        following(None, seq, text)
    }

    /// The same, after another frame of the topic.
    pub(crate) fn following(previous: Option<&Arc<EventFrame>>, seq: Seq, text: &str) -> Arc<EventFrame> {
        let previous = previous.map(Arc::downgrade).unwrap_or_default();
        Arc::new(EventFrame::new(seq, None, Box::new(Text(text.to_owned())), previous))
    }
}
