//! The round trips found among the messages of a connection that echoes, and their figures. Pure: the caller brings the clock.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::model::Content;

/// Pairs what was sent with what came back, in order. A message that no later answer matches is passed over.
#[derive(Debug, Default)]
pub struct RoundTrips {
    pending: VecDeque<(f64, Fingerprint)>,
    recent: VecDeque<f64>,
    count: u64,
}

impl RoundTrips {
    /// Sent messages that wait for their answer; the oldest gives way.
    const MAX_PENDING: usize = 1_000;
    /// The measurements that the chart and the figures are made of.
    pub const RECENT: usize = 120;

    pub fn sent(&mut self, at: f64, content: &Content) {
        if self.pending.len() == Self::MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back((at, fingerprint(content, "")));
    }

    /// The milliseconds since the message was sent that `content` answers: its echo, with or without `prefix`.
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

    /// A new connection answers nothing that the old one was sent.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
    }

    pub fn recent(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.recent.iter().copied()
    }

    pub fn figures(&self) -> Option<Figures> {
        let mut sorted: Vec<f64> = self.recent().collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let last = *self.recent.back()?;
        Some(Figures {
            count: self.count,
            last,
            min,
            median: nearest_rank(&sorted, 0.5),
            p95: nearest_rank(&sorted, 0.95),
            max,
        })
    }
}

/// Of the recent round trips, in milliseconds; `count` is of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    pub count: u64,
    pub last: f64,
    pub min: f64,
    pub median: f64,
    pub p95: f64,
    pub max: f64,
}

/// The nearest-rank percentile of a sorted, non-empty list.
fn nearest_rank(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Stands for a content that may be large: nothing but equality is asked of it.
type Fingerprint = (usize, u64);

/// Of the content without `prefix`, where it has it.
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
    fn a_round_trip_is_found_through_the_prefix_and_past_unanswered_messages() {
        let mut trips = RoundTrips::default();
        trips.sent(0.0, &text("lost"));
        trips.sent(10.0, &text("hello"));
        assert_eq!(trips.received(14.0, &text("pushed by the server"), "re: "), None);
        assert_eq!(trips.received(15.0, &text("re: hello"), "re: "), Some(5.0));
        assert_eq!(trips.received(16.0, &text("re: lost"), "re: "), None);
        trips.sent(20.0, &Content::Binary(vec![1]));
        assert_eq!(trips.received(23.0, &Content::Binary(vec![1]), "re: "), Some(3.0));
        let figures = trips.figures().unwrap();
        assert_eq!(
            (figures.count, figures.last, figures.min, figures.max),
            (2, 3.0, 3.0, 5.0)
        );
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(nearest_rank(&sorted, 0.5), 50.0);
        assert_eq!(nearest_rank(&sorted, 0.95), 95.0);
        assert_eq!(nearest_rank(&sorted[..1], 0.95), 1.0);
    }
}
