//! Forwards: commands for other topics that follow from events, stored in the commit of their events until they are delivered.

use super::Millis;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

/// A forward of an [`Entry`](super::Entry).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardRecord {
    /// The index in the entry of the event that causes it.
    pub event: usize,
    /// Its index among the forwards of that event.
    pub index: u32,
    /// The topic that receives the command.
    pub to: TopicName,
    /// The command's id.
    pub command: CommandId,
    /// The command as JSON.
    pub payload: Vec<u8>,
}

/// Identifies a forward for the lifetime of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardKey {
    /// The source topic: that of the event that causes the forward.
    pub from: TopicName,
    /// The seq of that event.
    pub seq: Seq,
    /// Its index among the forwards of that event.
    pub index: u32,
}

/// An undelivered forward: its target has not answered it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingForward {
    /// Identifies the forward.
    pub key: ForwardKey,
    /// The topic that receives the command.
    pub to: TopicName,
    /// The command's id.
    pub command: CommandId,
    /// The time of the event.
    pub at: Millis,
    /// The command as JSON.
    pub payload: Vec<u8>,
}

impl ForwardRecord {
    /// The stored form of the forward in the log of `from`; `first` is the seq of its entry's first event.
    pub(super) fn into_pending(self, from: &TopicName, first: Seq, at: Millis) -> PendingForward {
        let key = ForwardKey {
            from: from.clone(),
            seq: first.saturating_add(self.event as Seq),
            index: self.index,
        };
        PendingForward {
            key,
            to: self.to,
            command: self.command,
            at,
            payload: self.payload,
        }
    }
}
