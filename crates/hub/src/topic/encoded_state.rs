//! A topic's encoded state, shared by all subscribers: encoded once per seq and encoding.

use std::sync::OnceLock;

use bytes::Bytes;

use super::frame::Frame;

use duplex_protocol::codec::{CodecError, EncodedValue, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ResetReason, ServerFrame, Verdict};
use duplex_protocol::subprotocol::{Subprotocol, Version};
use duplex_protocol::topic::TopicName;

#[derive(Debug)]
pub(crate) struct EncodedState {
    topic: TopicName,
    encoding: Encoding,
    cursor: Cursor,
    state: Bytes,
    /// The frame for subscribers without a cursor, the most frequent case.
    new_frame: OnceLock<Frame>,
    /// The same in the protocol's version 1.
    new_frame_v1: OnceLock<Frame>,
}

/// The result of a recovery.
#[derive(Debug, Clone)]
pub(crate) enum Recovered {
    Resumed {
        replayed: u64,
        head: Cursor,
    },
    Reset {
        reason: ResetReason,
        state: std::sync::Arc<EncodedState>,
    },
}

impl EncodedState {
    pub(crate) fn new(topic: TopicName, encoding: Encoding, cursor: Cursor, state: EncodedValue) -> Self {
        Self {
            topic,
            encoding,
            cursor,
            state: state.0.into(),
            new_frame: OnceLock::new(),
            new_frame_v1: OnceLock::new(),
        }
    }

    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.state
    }

    /// The complete frame of a reset. The encoded state is inserted unchanged, because encoding it again would traverse all of
    /// it.
    pub(crate) fn reset_frame(&self, reason: ResetReason, version: Version) -> Result<Frame, CodecError> {
        if reason != ResetReason::New {
            return self.encode(reason, version);
        }
        let new = match version {
            Version::V1 => &self.new_frame_v1,
            Version::V2 => &self.new_frame,
        };
        if let Some(frame) = new.get() {
            return Ok(frame.clone());
        }
        let frame = self.encode(reason, version)?;
        Ok(new.get_or_init(|| frame).clone())
    }

    fn encode(&self, reason: ResetReason, version: Version) -> Result<Frame, CodecError> {
        // A placeholder for the state: the smallest value of the encoding. It is the frame's last value, before closing braces.
        const PLACEHOLDER: &[u8] = b"0";
        let placeholder = match self.encoding {
            Encoding::Json => EncodedValue(PLACEHOLDER.to_vec()),
            Encoding::Postcard => EncodedValue(Vec::new()),
        };
        let verdict = Verdict::Reset {
            reason,
            cursor: self.cursor,
            state: placeholder,
        };
        let topic = self.topic.clone();
        let protocol = Subprotocol::new(version, self.encoding);
        let mut frame = protocol.encode(&ServerFrame::Verdict { topic, verdict })?;
        frame.reserve_exact(self.state.len() + 8);
        match self.encoding {
            Encoding::Json => {
                let braces = frame.iter().rev().take_while(|byte| **byte == b'}').count();
                frame.truncate(frame.len() - braces - PLACEHOLDER.len());
                frame.extend_from_slice(&self.state);
                frame.resize(frame.len() + braces, b'}');
            }
            Encoding::Postcard => {
                // Removes the length of the empty placeholder; the state's length replaces it.
                frame.pop();
                frame.extend(self.encoding.encode(&self.state.len())?);
                frame.extend_from_slice(&self.state);
            }
        }
        Ok(frame.into())
    }
}

impl Recovered {
    /// The verdict, with a copy of the state.
    pub(crate) fn to_verdict(&self) -> Verdict {
        match self {
            Self::Resumed { replayed, head } => Verdict::Resumed {
                replayed: *replayed,
                head: *head,
            },
            Self::Reset { reason, state } => Verdict::Reset {
                reason: *reason,
                cursor: state.cursor,
                state: EncodedValue(state.state.to_vec()),
            },
        }
    }

    /// The complete frame of the verdict.
    pub(crate) fn frame(&self, topic: &TopicName, protocol: Subprotocol) -> Result<Frame, CodecError> {
        match self {
            Self::Reset { reason, state } => state.reset_frame(*reason, protocol.version),
            Self::Resumed { .. } => {
                let (topic, verdict) = (topic.clone(), self.to_verdict());
                protocol
                    .encode(&ServerFrame::Verdict { topic, verdict })
                    .map(Frame::from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::cursor::{Checksum, Epoch};

    #[test]
    fn the_frame_equals_that_of_the_codec() {
        let topic: TopicName = "chat/lobby".parse().unwrap();
        let cursor = Cursor::new(Epoch::new(7), 300).with_checksum(Checksum::new(99));
        for protocol in Subprotocol::ALL {
            let Subprotocol { version, encoding } = protocol;
            for value in [Vec::new(), vec!["}}\"가".to_owned()], vec!["x".repeat(100); 100]] {
                let state = EncodedValue::encode(encoding, &value).unwrap();
                let shared = EncodedState::new(topic.clone(), encoding, cursor, state.clone());
                for reason in [ResetReason::New, ResetReason::TooManyEvents, ResetReason::Diverged] {
                    let verdict = Verdict::Reset {
                        reason,
                        cursor,
                        state: state.clone(),
                    };
                    let topic = topic.clone();
                    let expected = protocol.encode(&ServerFrame::Verdict { topic, verdict }).unwrap();
                    assert_eq!(*shared.reset_frame(reason, version).unwrap(), *expected);
                }
                let again = shared.reset_frame(ResetReason::New, version).unwrap();
                assert_eq!(
                    again.as_ptr(),
                    shared.reset_frame(ResetReason::New, version).unwrap().as_ptr(),
                    "encoded once"
                );
            }
        }
    }
}
