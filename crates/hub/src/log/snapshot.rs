//! The snapshot of a topic's state that a log is asked to store.

use super::{Millis, Retention};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// The arguments of [`Log::snapshot`](super::Log::snapshot).
pub(super) struct Snapshot {
    pub topic: TopicName,
    pub seq: Seq,
    pub state: Vec<u8>,
    pub retention: Retention,
    pub now: Millis,
}
