//! [`Frame`]: an encoded frame that readers share.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// An encoded frame of the session protocol, with its compressed form. Clones share both.
#[derive(Clone)]
pub struct Frame(Arc<Inner>);

struct Inner {
    bytes: Bytes,
    compressed: OnceLock<Option<Bytes>>,
}

impl Frame {
    /// The encoded frame.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The compressed form, which `compress` makes for the first reader that needs it. `None` if it is not smaller. All readers
    /// must compress in the same way.
    pub fn compressed(&self, compress: impl FnOnce(&Bytes) -> Option<Bytes>) -> Option<&Bytes> {
        self.0.compressed.get_or_init(|| compress(&self.0.bytes)).as_ref()
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Self(Arc::new(Inner {
            bytes,
            compressed: OnceLock::new(),
        }))
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.bytes, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_compressed_once_for_all_clones() {
        let frame = Frame::from(b"aaaa".to_vec());
        let compressed = frame.clone().compressed(|_| Some(Bytes::from_static(b"a4"))).cloned();
        assert_eq!(compressed.as_deref(), Some(&b"a4"[..]));
        assert_eq!(frame.compressed(|_| panic!("compressed twice")), compressed.as_ref());
    }
}
