//! What the node counts: open connections, messages in and out. A connection is counted as long as its guard lives.
//! Knows no socket and no clock; turning counts into vitals is pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::wire::vitals::Vitals;

#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counters {
    /// Counts a connection if there are fewer than `limit`.
    pub fn open(self: &Arc<Self>, limit: u64) -> Option<Open> {
        self.connections
            .try_update(Relaxed, Relaxed, |open| (open < limit).then_some(open + 1))
            .ok()
            .map(|_| Open(Arc::clone(self)))
    }

    pub fn add(&self, received: u64, sent: u64) {
        self.received.fetch_add(received, Relaxed);
        self.sent.fetch_add(sent, Relaxed);
    }

    pub fn read(&self) -> Reading {
        Reading {
            connections: self.connections.load(Relaxed),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
        }
    }
}

/// A counted connection.
#[derive(Debug)]
pub struct Open(Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// The counters at one moment; messages are totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    pub connections: u64,
    pub received: u64,
    pub sent: u64,
}

impl Reading {
    /// The vitals of the beat from `before` to this reading.
    pub fn since(&self, before: &Self, beat: u64, node: &str, uptime: Duration) -> Vitals {
        Vitals {
            beat,
            node: node.to_owned(),
            connections: self.connections,
            received: self.received.saturating_sub(before.received),
            sent: self.sent.saturating_sub(before.sent),
            uptime_seconds: uptime.as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_as_long_as_its_guard_lives() {
        let counters = Arc::new(Counters::default());
        let first = counters.open(2);
        let second = counters.open(2);
        assert!(first.is_some() && second.is_some());
        assert!(counters.open(2).is_none());
        assert_eq!(counters.read().connections, 2);
        drop(first);
        assert_eq!(counters.read().connections, 1);
        assert!(counters.open(2).is_some());
    }

    #[test]
    fn vitals_show_the_last_beat_and_not_the_total() {
        let counters = Counters::default();
        counters.add(10, 20);
        let before = counters.read();
        counters.add(3, 5);
        let vitals = counters.read().since(&before, 7, "n1", Duration::from_millis(61_900));
        let expected = Vitals {
            beat: 7,
            node: "n1".to_owned(),
            connections: 0,
            received: 3,
            sent: 5,
            uptime_seconds: 61,
        };
        assert_eq!(vitals, expected);
    }
}
