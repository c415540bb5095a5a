//! A batch of frames for a reader, limited in frames and bytes. Pure.

use super::frame::Frame;
use duplex_protocol::cursor::Seq;

/// The limit of one read.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// The most frames.
    pub frames: usize,
    /// The most bytes; the first frame is included regardless of its size.
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
        frames: Vec<Frame>,
        /// The reader's new position.
        last: Seq,
        /// The number of events superseded by a newer event of the same key.
        conflated: u64,
    },
    /// From [`TopicHandle::read`](crate::TopicHandle::read): the events are no longer in the ring; read them with
    /// [`TopicHandle::read_log`](crate::TopicHandle::read_log). From `read_log`: they are no longer in the log either, and the
    /// reader must be reset.
    Behind,
}

/// Collects frames up to the limit. Returns [`ReadBatch::Behind`] if the first event could not be encoded.
pub(crate) fn collect_frames(after: Seq, frames: impl Iterator<Item = (Seq, Frame)>, limit: ReadLimit) -> ReadBatch {
    let (mut batch, mut bytes, mut last) = (Vec::new(), 0, after);
    for (seq, frame) in frames {
        bytes += frame.len();
        if bytes > limit.bytes && !batch.is_empty() {
            break;
        }
        batch.push(frame);
        last = seq;
    }
    if batch.is_empty() {
        return ReadBatch::Behind;
    }
    ReadBatch::Frames {
        conflated: last - after - batch.len() as u64,
        frames: batch,
        last,
    }
}
