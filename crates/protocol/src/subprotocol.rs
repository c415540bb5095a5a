//! The subprotocols of a session: a version of the session protocol and an encoding.

use super::codec::{CodecError, Encoding};
use super::session::{ClientFrame, ServerFrame};
use super::v1;

/// A version of the session protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// `duplex.v1.…`: cursors have no checksum, the welcome has no server time, and there are fewer reset and rejection reasons.
    /// Supported until the next version.
    V1,
    /// `duplex.v2.…`, the newest.
    V2,
}

/// A subprotocol of the session's WebSocket (RFC 6455 section 1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subprotocol {
    /// The version of the frames.
    pub version: Version,
    /// The encoding of the frames.
    pub encoding: Encoding,
}

impl Subprotocol {
    /// The newest version in JSON: `duplex.v2.json`.
    pub const JSON: Self = Self::new(Version::V2, Encoding::Json);
    /// The newest version in postcard: `duplex.v2.postcard`.
    pub const POSTCARD: Self = Self::new(Version::V2, Encoding::Postcard);
    /// All subprotocols that a server supports, the preferred one first.
    pub const ALL: [Self; 4] = [
        Self::POSTCARD,
        Self::JSON,
        Self::new(Version::V1, Encoding::Postcard),
        Self::new(Version::V1, Encoding::Json),
    ];

    /// Combines a version and an encoding.
    pub const fn new(version: Version, encoding: Encoding) -> Self {
        Self { version, encoding }
    }

    /// The name in `Sec-WebSocket-Protocol`.
    pub const fn subprotocol(self) -> &'static str {
        match self.version {
            Version::V1 => v1::subprotocol(self.encoding),
            Version::V2 => self.encoding.subprotocol(),
        }
    }

    /// The subprotocol with this name in `Sec-WebSocket-Protocol`; `None` for an unknown name.
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.subprotocol() == name)
    }

    /// Encodes a frame for a client of this subprotocol.
    ///
    /// # Errors
    ///
    /// As [`Encoding::encode`]. In JSON, it fails only for a [`EncodedValue`](crate::codec::EncodedValue) that is not valid JSON.
    pub fn encode(self, frame: &ServerFrame) -> Result<Vec<u8>, CodecError> {
        match self.version {
            Version::V1 => v1::encode(self.encoding, frame),
            Version::V2 => self.encoding.encode(frame),
        }
    }

    /// Decodes a frame from a client of this subprotocol.
    ///
    /// # Errors
    ///
    /// If the bytes are not a frame of this version in this encoding.
    pub fn decode(self, bytes: &[u8]) -> Result<ClientFrame, CodecError> {
        match self.version {
            Version::V1 => v1::decode(self.encoding, bytes),
            Version::V2 => self.encoding.decode(bytes),
        }
    }
}

impl From<Encoding> for Subprotocol {
    fn from(encoding: Encoding) -> Self {
        Self::new(Version::V2, encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subprotocol_names_its_version_and_its_encoding() {
        for protocol in Subprotocol::ALL {
            assert_eq!(Subprotocol::from_subprotocol(protocol.subprotocol()), Some(protocol));
        }
        for unknown in ["duplex.v3.json", "duplex.v2", "duplex.v1.xml", ""] {
            assert_eq!(Subprotocol::from_subprotocol(unknown), None, "{unknown}");
        }
    }
}
