//! Simulates the loss of a log's newest events, for example by a deleted WAL. For tests.

use super::MemoryLog;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

impl MemoryLog {
    /// Removes the topic's events after `seq` and the answers to their commands, as if the log had lost its tail.
    pub fn truncate_tail(&self, topic: &TopicName, seq: Seq) {
        if let Some(stored) = self.lock().by_name.get_mut(topic) {
            stored.truncate(seq);
        }
    }
}
