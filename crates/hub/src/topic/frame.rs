//! [`Frame`]: an encoded frame that readers share.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// An encoded frame of the session protocol, with its compressed forms. Clones share them.
#[derive(Clone)]
pub struct Frame(Arc<Inner>);

/// Identifies a frame and its clones while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameId(NonZeroU64);

struct Inner {
    id: FrameId,
    bytes: Bytes,
    compressed: OnceLock<Option<Bytes>>,
    /// The topic's previous frame.
    previous: Option<(FrameId, Bytes)>,
    /// The form that refers to the previous frame.
    continued: OnceLock<Option<Bytes>>,
}

impl Frame {
    /// A frame that most readers receive directly after `previous`.
    pub fn following(previous: Option<&Self>, bytes: impl Into<Bytes>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Inner {
            id: FrameId(NonZeroU64::MIN.saturating_add(COUNT.fetch_add(1, Relaxed))),
            bytes: bytes.into(),
            compressed: OnceLock::new(),
            previous: previous.map(|previous| (previous.0.id, previous.0.bytes.clone())),
            continued: OnceLock::new(),
        }))
    }

    /// The frame's identity.
    pub fn id(&self) -> FrameId {
        self.0.id
    }

    /// Whether this frame follows that one.
    pub fn follows(&self, id: FrameId) -> bool {
        matches!(&self.0.previous, Some((previous, _)) if *previous == id)
    }

    /// The compressed form for a reader that has the previous frame, which `compress` gets first. `None` if the frame does not follow
    /// `id`, or if the form is not smaller. It is made once, like [`Self::compressed`].
    pub fn continued(&self, id: FrameId, compress: impl FnOnce(&Bytes, &Bytes) -> Option<Bytes>) -> Option<&Bytes> {
        let (_, previous) = self.0.previous.as_ref().filter(|_| self.follows(id))?;
        let compress = || compress(previous, &self.0.bytes);
        self.0.continued.get_or_init(compress).as_ref()
    }

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
        Self::following(None, bytes)
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self::following(None, bytes)
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

    #[test]
    fn a_frame_continues_only_its_previous_frame() {
        let (other, first) = (Frame::from(b"a".to_vec()), Frame::from(b"ab".to_vec()));
        let second = Frame::following(Some(&first), b"abc".to_vec());
        assert_eq!(second.continued(other.id(), |_, _| panic!("another frame")), None);
        let suffix = |previous: &Bytes, bytes: &Bytes| bytes.strip_prefix(&previous[..]).map(Bytes::copy_from_slice);
        let continued = second.clone().continued(first.clone().id(), suffix).cloned();
        assert_eq!(continued.as_deref(), Some(&b"c"[..]));
        assert_eq!(
            second.continued(first.id(), |_, _| panic!("compressed twice")),
            continued.as_ref()
        );
        assert_eq!(first.continued(first.id(), |_, _| panic!("no previous frame")), None);
    }
}
