//! What a broker kept while the server was away. MQTT 3.1.1 says of no message when it was published, but a broker brings first what
//! it kept, without pauses: until then a message that says no time may be as old as the server's absence. Pure but for the clock.

use std::time::Duration;

use tokio::time::Instant;

/// An absence below this matters to no device: what waited meanwhile is of now.
pub const AWAY: Duration = Duration::from_secs(60);
/// So long without a message, and the queue is empty.
pub const QUIET: Duration = Duration::from_secs(1);
/// Where there is never a pause: a broker keeps some thousand messages, which take no longer.
const LONGEST: Duration = Duration::from_secs(10);

/// From the connection on, as long as messages come that may have waited.
pub struct Queue {
    began: Instant,
    last: Instant,
}

impl Queue {
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, last: now }
    }

    /// Whether the message that came now may have waited.
    pub fn has_more(&mut self) -> bool {
        let more = self.last.elapsed() < QUIET && self.began.elapsed() < LONGEST;
        self.last = Instant::now();
        more
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_ends_with_a_pause_or_after_a_while() {
        let mut queue = Queue::begin();
        advance(QUIET / 2).await;
        assert!(queue.has_more());
        advance(QUIET).await;
        assert!(!queue.has_more());
        let (mut endless, start) = (Queue::begin(), Instant::now());
        while endless.has_more() {
            advance(QUIET / 4).await;
        }
        assert_eq!(start.elapsed(), LONGEST);
    }
}
