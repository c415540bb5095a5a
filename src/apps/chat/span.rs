//! Which of a room's messages stand in the document: at most [`ROWS`], whatever the room holds. Pure.

use duplex_protocol::cursor::Seq;

/// Rows of the document. Rows are as high as their texts, so they are not placed by arithmetic: the document holds a
/// stretch of them, long enough that one does not notice its ends, short enough that layout stays quick.
pub const ROWS: usize = 300;
/// The stretch grows and moves by so many rows.
pub const STEP: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The last row; none follows the end.
    pub to: Option<Seq>,
    rows: usize,
}

impl Default for Span {
    fn default() -> Self {
        Self { to: None, rows: STEP }
    }
}

/// Places in a sorted list of seqs: the first row's, and the one after the last row's.
pub type Places = (usize, usize);

impl Span {
    pub fn places(&self, seqs: &[Seq]) -> Places {
        let end = self.to.map_or(seqs.len(), |to| seqs.partition_point(|seq| *seq <= to));
        (end.saturating_sub(self.rows), end)
    }

    /// A step towards the oldest; the newest rows go when there are too many.
    pub fn older(&self, seqs: &[Seq]) -> Self {
        let (start, end) = self.places(seqs);
        let more = STEP.min(start);
        let rows = end - start + more;
        let kept = rows.min(ROWS);
        Self {
            to: match rows - kept {
                0 => self.to,
                surplus => seqs.get(end - surplus - 1).copied(),
            },
            rows: kept.max(STEP),
        }
    }

    /// A step towards the newest; the oldest rows go when there are too many.
    pub fn newer(&self, seqs: &[Seq]) -> Self {
        let (start, end) = self.places(seqs);
        let end_then = (end + STEP).min(seqs.len());
        Self {
            to: end_then.checked_sub(1).and_then(|last| seqs.get(last)).copied(),
            rows: (end_then - start).clamp(STEP, ROWS),
        }
    }

    /// Around a message that is held.
    pub fn around(seqs: &[Seq], seq: Seq) -> Self {
        let end = seqs.partition_point(|other| *other <= seq) + STEP;
        Self {
            to: (end < seqs.len()).then(|| seqs[end - 1]),
            rows: 2 * STEP,
        }
    }

    /// Stays as it is while others write.
    pub fn hold(&self, seqs: &[Seq]) -> Self {
        Self {
            to: self.to.or(seqs.last().copied()),
            ..*self
        }
    }

    /// Follows the end, if it has it.
    pub fn follow(&self, seqs: &[Seq]) -> Self {
        let to = self.to.filter(|to| seqs.last().is_some_and(|last| to < last));
        Self { to, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seqs(count: usize) -> Vec<Seq> {
        (1..=count as Seq).map(|number| number * 3).collect()
    }

    #[test]
    fn it_walks_to_the_oldest_and_back() {
        let seqs = seqs(1_000);
        let mut span = Span::default();
        assert_eq!(span.places(&seqs), (900, 1_000));
        for expected in [(800, 1_000), (700, 1_000), (600, 900), (500, 800)] {
            span = span.older(&seqs);
            assert_eq!(span.places(&seqs), expected);
        }
        for expected in [(600, 900), (700, 1_000), (700, 1_000)] {
            span = span.newer(&seqs);
            assert_eq!(span.places(&seqs), expected);
        }
        assert_eq!(span.follow(&seqs).to, None);
    }

    #[test]
    fn held_it_does_not_move_when_others_write() {
        let held = Span::default().hold(&seqs(200));
        assert_eq!(held.places(&seqs(250)), (100, 200));
        assert_eq!(held.follow(&seqs(250)), held);
        assert_eq!(Span::around(&seqs(1_000), 1_500).places(&seqs(1_000)), (400, 600));
        assert_eq!(Span::around(&seqs(1_000), 2_997).places(&seqs(1_000)), (800, 1_000));
    }

    proptest! {
        #[test]
        fn there_are_never_too_many_rows(count in 0..900_usize, steps in prop::collection::vec(0..5_u8, 0..30)) {
            let seqs = seqs(count);
            let mut span = Span::default();
            for step in steps {
                span = match step {
                    0 => span.older(&seqs),
                    1 => span.newer(&seqs),
                    2 => span.hold(&seqs),
                    3 => Span::around(&seqs, count as Seq),
                    _ => span.follow(&seqs),
                };
                let (start, end) = span.places(&seqs);
                prop_assert!(start <= end && end <= count && end - start <= ROWS);
                prop_assert!(end - start >= STEP.min(end));
            }
        }
    }
}
