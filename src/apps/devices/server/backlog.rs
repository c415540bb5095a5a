//! Detects the broker's backlog: the messages that it queued while the server was offline. MQTT 3.1.1 messages carry no publication
//! time, but a broker delivers its queue first, without gaps. Until the first gap, a message without timestamps may be as old as
//! the time the server was offline.

use std::time::Duration;

use tokio::time::Instant;

/// Messages queued while the server was offline for less than this count as live.
pub const MIN_OFFLINE: Duration = Duration::from_secs(60);
/// A gap of this length means that the broker's queue is drained.
pub const DRAINED_AFTER: Duration = Duration::from_secs(1);
/// Upper bound if messages never pause: a broker's queue of a few thousand messages arrives within this time.
const MAX_DURATION: Duration = Duration::from_secs(10);

/// The backlog of one connection, from the connection on until the first gap.
pub struct Backlog {
    started: Instant,
    last: Instant,
}

impl Backlog {
    pub fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            last: now,
        }
    }

    /// Records a message, and returns whether it may come from the broker's queue.
    pub fn on_message(&mut self) -> bool {
        let included = self.last.elapsed() < DRAINED_AFTER && self.started.elapsed() < MAX_DURATION;
        self.last = Instant::now();
        included
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_backlog_ends_with_a_gap_or_after_its_maximum() {
        let mut backlog = Backlog::start();
        advance(DRAINED_AFTER / 2).await;
        assert!(backlog.on_message());
        advance(DRAINED_AFTER).await;
        assert!(!backlog.on_message());
        let (mut endless, start) = (Backlog::start(), Instant::now());
        while endless.on_message() {
            advance(DRAINED_AFTER / 4).await;
        }
        assert_eq!(start.elapsed(), MAX_DURATION);
    }
}
