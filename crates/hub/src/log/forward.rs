//! The outbox: commands for other topics that follow from events, kept in the commit of their events until they are delivered.

use super::Millis;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

/// A forward of an [`Entry`](super::Entry).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The event that it follows from, by its place in the entry.
    pub event: usize,
    /// Its place among the forwards of that event.
    pub index: u32,
    pub to: TopicName,
    pub command: CommandId,
    /// JSON of the other topic's command.
    pub payload: Vec<u8>,
}

/// Identifies a forward for as long as the log exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardKey {
    /// The topic of the event that it follows from, and the event's seq.
    pub from: TopicName,
    pub seq: Seq,
    pub index: u32,
}

/// A forward whose effect was not answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub key: ForwardKey,
    pub to: TopicName,
    pub command: CommandId,
    /// The time of the event.
    pub at: Millis,
    pub payload: Vec<u8>,
}

impl Forward {
    /// As the log of `from` keeps it; `first` is the seq of its entry's first event.
    pub(super) fn kept(self, from: &TopicName, first: Seq, at: Millis) -> Undelivered {
        let key = ForwardKey {
            from: from.clone(),
            seq: first.saturating_add(self.event as Seq),
            index: self.index,
        };
        Undelivered {
            key,
            to: self.to,
            command: self.command,
            at,
            payload: self.payload,
        }
    }
}
