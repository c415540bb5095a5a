//! What a reader takes from a topic at once: whole frames, up to a bound. Pure.

use bytes::Bytes;

use duplex_protocol::cursor::Seq;

/// How much a reader takes at once.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    pub frames: usize,
    /// The first frame is taken whatever its size.
    pub bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBatch {
    Nothing,
    /// At least one frame. `last`: the reader has now seen everything up to it. `conflated`: events left out as needless.
    Frames {
        frames: Vec<Bytes>,
        last: Seq,
        conflated: u64,
    },
    /// From `TopicHandle::read`: not in the ring any more, ask `TopicHandle::read_log`. From that: not in the log any more,
    /// ask for a `TopicHandle::verdict`.
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
