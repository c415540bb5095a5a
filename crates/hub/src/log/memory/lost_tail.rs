//! Loss of a log's newest events, as after its journal was deleted, for tests.

use super::Memory;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

impl Memory {
    /// Removes the topic's events after `seq` and the answers to their commands, as if the log had lost its tail.
    pub fn lose_tail(&self, topic: &TopicName, seq: Seq) {
        if let Some(kept) = self.lock().get_mut(topic) {
            kept.check = kept.check(seq);
            kept.last = kept.last.min(seq);
            kept.events.retain(|record| record.seq <= seq);
            kept.commands.retain(|(answered, _)| answered.seq <= seq);
            if kept.snapshot.as_ref().is_some_and(|(at, _)| *at > seq) {
                kept.snapshot = None;
            }
        }
    }
}
