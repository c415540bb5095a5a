//! The two encodings of frames: JSON, which every client can read, and postcard, which is smaller. Both encode any serde type.

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The encoding of a session, negotiated by the WebSocket subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON; each frame is a text message.
    Json,
    /// The [postcard format](https://postcard.jamesmunns.com/wire-format); each frame is a binary message.
    Postcard,
}

impl Encoding {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Postcard, Self::Json];

    /// The WebSocket subprotocol (RFC 6455 section 1.9) of the protocol's newest version.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "duplex.v2.json",
            Self::Postcard => "duplex.v2.postcard",
        }
    }

    /// The encoding of a subprotocol of the newest version; `None` for any other name.
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.subprotocol() == name)
    }

    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// If the value's `Serialize` fails, or the encoding cannot express it, such as a JSON map whose keys are not strings.
    pub fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, CodecError> {
        match self {
            Self::Json => serde_json::to_vec(value).map_err(|error| CodecError(error.to_string())),
            Self::Postcard => postcard::to_allocvec(value).map_err(|error| CodecError(error.to_string())),
        }
    }

    /// Decodes a value. In JSON nothing may follow the value; in postcard trailing bytes are ignored.
    ///
    /// # Errors
    ///
    /// If the bytes are not a value of this type in this encoding.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, CodecError> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|error| CodecError(error.to_string())),
            Self::Postcard => postcard::from_bytes(bytes).map_err(|error| CodecError(error.to_string())),
        }
    }
}

/// A value could not be encoded or decoded; the text is serde's and meant for a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

/// An application's value inside a frame, already in the frame's encoding: servers and clients forward it without decoding it.
/// In JSON it is embedded verbatim; in postcard it is a byte string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedValue(pub Vec<u8>);

impl EncodedValue {
    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// As [`Encoding::encode`].
    pub fn encode<T: Serialize>(encoding: Encoding, value: &T) -> Result<Self, CodecError> {
        encoding.encode(value).map(Self)
    }

    /// Decodes the value; `encoding` must be the encoding of the frame that contained it.
    ///
    /// # Errors
    ///
    /// As [`Encoding::decode`].
    pub fn decode<T: DeserializeOwned>(&self, encoding: Encoding) -> Result<T, CodecError> {
        encoding.decode(&self.0)
    }
}

impl Serialize for EncodedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.0);
        }
        let text = std::str::from_utf8(&self.0).map_err(S::Error::custom)?;
        serde_json::from_str::<&RawValue>(text)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EncodedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let raw = Box::<RawValue>::deserialize(deserializer)?;
            return Ok(Self(Box::<str>::from(raw).into_boxed_bytes().into_vec()));
        }
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl de::Visitor<'_> for BytesVisitor {
    type Value = EncodedValue;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<EncodedValue, E> {
        Ok(EncodedValue(bytes.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<EncodedValue, E> {
        Ok(EncodedValue(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Frame {
        Data { name: String, value: EncodedValue },
    }

    #[test]
    fn an_encoded_value_round_trips_in_both_encodings() {
        for encoding in Encoding::ALL {
            let value = EncodedValue::encode(encoding, &vec![Some("가\"}".to_owned()), None]).unwrap();
            let frame = Frame::Data {
                name: "n".to_owned(),
                value,
            };
            let bytes = encoding.encode(&frame).unwrap();
            let Frame::Data { value, .. } = encoding.decode(&bytes).unwrap();
            assert_eq!(
                value.decode::<Vec<Option<String>>>(encoding).unwrap(),
                [Some("가\"}".to_owned()), None]
            );
        }
        let bytes = Encoding::Json
            .encode(&Frame::Data {
                name: String::new(),
                value: EncodedValue(b"{\"a\":1}".to_vec()),
            })
            .unwrap();
        assert_eq!(bytes, br#"{"Data":{"name":"","value":{"a":1}}}"#);
    }

    #[test]
    fn invalid_json_does_not_encode() {
        for wrong in [&b"\xff"[..], b"{", b"1,2"] {
            assert!(Encoding::Json.encode(&EncodedValue(wrong.to_vec())).is_err());
        }
    }

    #[test]
    fn a_subprotocol_names_its_encoding() {
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::from_subprotocol(encoding.subprotocol()), Some(encoding));
        }
        assert_eq!(Encoding::from_subprotocol("duplex.v3.json"), None);
    }
}
