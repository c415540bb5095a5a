//! Round-trip times measured from echoed messages, and their statistics. Pure: the caller passes the times.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::journal::Content;

/// Pairs sent messages with their echoes, in order. A message whose echo never arrives is skipped.
#[derive(Debug, Default)]
pub struct RoundTrips {
    pending: VecDeque<(f64, Fingerprint)>,
    recent: VecDeque<f64>,
    count: u64,
}

impl RoundTrips {
    /// Maximum number of sent messages without an echo; the oldest is dropped.
    const MAX_PENDING: usize = 1_000;
    /// The number of recent measurements for the chart and the statistics.
    pub const RECENT: usize = 120;

    pub fn sent(&mut self, at: f64, content: &Content) {
        if self.pending.len() == Self::MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back((at, fingerprint(content, "")));
    }

    /// Records a received message; returns the milliseconds since its original was sent, if it is an echo, with or without `prefix`.
    pub fn received(&mut self, at: f64, content: &Content, prefix: &str) -> Option<f64> {
        let plain = fingerprint(content, "");
        let stripped = fingerprint(content, prefix);
        let index = self
            .pending
            .iter()
            .position(|(_, sent)| *sent == plain || *sent == stripped)?;
        let (sent_at, _) = self.pending.drain(..=index).next_back()?;
        let elapsed = at - sent_at;
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(elapsed);
        self.count += 1;
        Some(elapsed)
    }

    /// Clears the pending messages, because a new connection does not echo messages sent on the previous one.
    pub fn clear_pending(&mut self) {
        self.pending.clear();
    }

    pub fn recent(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.recent.iter().copied()
    }

    pub fn stats(&self) -> Option<RoundTripStats> {
        let mut sorted: Vec<f64> = self.recent().collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let last = *self.recent.back()?;
        Some(RoundTripStats {
            count: self.count,
            last,
            min,
            median: nearest_rank(&sorted, 0.5),
            p95: nearest_rank(&sorted, 0.95),
            max,
        })
    }
}

/// Statistics of the recent round trips, in milliseconds; `count` is the total number of measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundTripStats {
    pub count: u64,
    pub last: f64,
    pub min: f64,
    pub median: f64,
    pub p95: f64,
    pub max: f64,
}

/// The nearest-rank percentile of a sorted, non-empty list.
fn nearest_rank(sorted: &[f64], quantile: f64) -> f64 {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The length and hash of a content, which may be large, to compare it for equality.
type Fingerprint = (usize, u64);

/// The fingerprint of the content without `prefix`.
fn fingerprint(content: &Content, prefix: &str) -> Fingerprint {
    let (opcode, bytes) = match content {
        Content::Text(text) | Content::Note(text) => (1, text.strip_prefix(prefix).unwrap_or(text).as_bytes()),
        Content::Binary(bytes) => (2, bytes.as_slice()),
    };
    let mut hasher = DefaultHasher::new();
    (opcode, bytes).hash(&mut hasher);
    (bytes.len(), hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Content {
        Content::Text(text.to_owned())
    }

    #[test]
    fn echoes_are_matched_with_a_prefix_and_past_lost_messages() {
        let mut trips = RoundTrips::default();
        trips.sent(0.0, &text("lost"));
        trips.sent(10.0, &text("hello"));
        assert_eq!(trips.received(14.0, &text("pushed by the server"), "re: "), None);
        assert_eq!(trips.received(15.0, &text("re: hello"), "re: "), Some(5.0));
        assert_eq!(trips.received(16.0, &text("re: lost"), "re: "), None);
        trips.sent(20.0, &Content::Binary(vec![1]));
        assert_eq!(trips.received(23.0, &Content::Binary(vec![1]), "re: "), Some(3.0));
        let stats = trips.stats().unwrap();
        assert_eq!((stats.count, stats.last, stats.min, stats.max), (2, 3.0, 3.0, 5.0));
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(nearest_rank(&sorted, 0.5), 50.0);
        assert_eq!(nearest_rank(&sorted, 0.95), 95.0);
        assert_eq!(nearest_rank(&sorted[..1], 0.95), 1.0);
    }
}
