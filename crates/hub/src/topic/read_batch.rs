//! What a reader takes from a topic at once: whole frames, up to a bound. Pure.

use bytes::Bytes;

use duplex_protocol::cursor::Seq;

/// How much a reader takes at once.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// The most frames.
    pub frames: usize,
    /// The most bytes; the first frame is taken whatever its size.
    pub bytes: usize,
}

/// The events after a reader's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBatch {
    /// There are none.
    Nothing,
    /// At least one event.
    Frames {
        /// Complete encoded frames, in order.
        frames: Vec<Bytes>,
        /// The reader's new position.
        last: Seq,
        /// Events that were left out because a newer event of the same key replaces them.
        conflated: u64,
    },
    /// From [`TopicHandle::read`](crate::TopicHandle::read): the events are no longer in the ring; read them with
    /// [`TopicHandle::read_log`](crate::TopicHandle::read_log). From that: they are no longer in the log, and the reader must start
    /// from the state.
    Behind,
}

/// As many frames as may be taken. None at all, though there should be one, means that it cannot be written.
pub(crate) fn gather(after: Seq, frames: impl Iterator<Item = (Seq, Bytes)>, most: ReadLimit) -> ReadBatch {
    let (mut taken, mut bytes, mut last) = (Vec::new(), 0, after);
    for (seq, frame) in frames {
        bytes += frame.len();
        if bytes > most.bytes && !taken.is_empty() {
            break;
        }
        taken.push(frame);
        last = seq;
    }
    if taken.is_empty() {
        return ReadBatch::Behind;
    }
    ReadBatch::Frames {
        conflated: last - after - taken.len() as u64,
        frames: taken,
        last,
    }
}
