//! Which version of the session protocol a client speaks, and in which encoding. Knows the frames, and no transport.

use super::codec::{CodecError, Encoding};
use super::session::{ClientFrame, ServerFrame};
use super::v1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// Cursors have no check. Served until the next version.
    V1,
    V2,
}

/// A subprotocol of the session's WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol {
    pub version: Version,
    pub encoding: Encoding,
}

impl Protocol {
    pub const JSON: Self = Self::of(Version::V2, Encoding::Json);
    pub const POSTCARD: Self = Self::of(Version::V2, Encoding::Postcard);
    pub const ALL: [Self; 4] = [
        Self::POSTCARD,
        Self::JSON,
        Self::of(Version::V1, Encoding::Postcard),
        Self::of(Version::V1, Encoding::Json),
    ];

    pub const fn of(version: Version, encoding: Encoding) -> Self {
        Self { version, encoding }
    }

    pub const fn subprotocol(self) -> &'static str {
        match self.version {
            Version::V1 => v1::subprotocol(self.encoding),
            Version::V2 => self.encoding.subprotocol(),
        }
    }

    pub fn of_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.subprotocol() == name)
    }

    pub fn encode(self, frame: &ServerFrame) -> Result<Vec<u8>, CodecError> {
        match self.version {
            Version::V1 => v1::encode(self.encoding, frame),
            Version::V2 => self.encoding.encode(frame),
        }
    }

    pub fn decode(self, bytes: &[u8]) -> Result<ClientFrame, CodecError> {
        match self.version {
            Version::V1 => v1::decode(self.encoding, bytes),
            Version::V2 => self.encoding.decode(bytes),
        }
    }
}

impl From<Encoding> for Protocol {
    fn from(encoding: Encoding) -> Self {
        Self::of(Version::V2, encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subprotocol_names_its_version_and_its_encoding() {
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::of_subprotocol(protocol.subprotocol()), Some(protocol));
        }
        for unknown in ["duplex.v3.json", "duplex.v2", "duplex.v1.xml", ""] {
            assert_eq!(Protocol::of_subprotocol(unknown), None, "{unknown}");
        }
    }
}
