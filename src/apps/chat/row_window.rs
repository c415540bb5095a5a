//! The range of a room's messages that is rendered: at most [`MAX_ROWS`] rows. Pure.

use duplex_protocol::cursor::Seq;

/// Maximum rendered rows. Heights vary, so the list is windowed instead of virtualized: enough rows to scroll smoothly, few
/// enough for fast layout.
pub const MAX_ROWS: usize = 300;
/// The number of rows by which the window grows and moves: few enough to render them within a frame.
pub const STEP: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowWindow {
    /// The last row; `None` follows the newest message.
    pub end: Option<Seq>,
    rows: usize,
}

/// The half-open index range of a window in a sorted list of seqs.
pub type Bounds = (usize, usize);

impl RowWindow {
    /// The newest rows, about as many as a screen shows.
    pub const NEWEST: Self = Self::newest(2 * STEP);

    /// The newest `rows` rows, or fewer if the texts of those have more than `max` bytes together; at least one step. `lengths`: of
    /// the texts, the newest first.
    pub fn newest_within(rows: usize, lengths: impl Iterator<Item = usize>, max: usize) -> Self {
        let mut total = 0_usize;
        let fitting = lengths.take(rows).position(|length| {
            total = total.saturating_add(length);
            total > max
        });
        Self::newest(fitting.unwrap_or(rows).max(STEP))
    }

    /// The newest `rows` rows.
    pub const fn newest(rows: usize) -> Self {
        Self { end: None, rows }
    }

    pub fn bounds(&self, seqs: &[Seq]) -> Bounds {
        let end = self
            .end
            .map_or(seqs.len(), |end| seqs.partition_point(|seq| *seq <= end));
        (end.saturating_sub(self.rows), end)
    }

    /// Moves one step towards the oldest message; drops the newest rows beyond the limit.
    pub fn older(&self, seqs: &[Seq]) -> Self {
        let (start, end) = self.bounds(seqs);
        let more = STEP.min(start);
        let rows = end - start + more;
        let kept = rows.min(MAX_ROWS);
        Self {
            end: match rows - kept {
                0 => self.end,
                surplus => seqs.get(end - surplus - 1).copied(),
            },
            rows: kept.max(STEP),
        }
    }

    /// Moves one step towards the newest message; drops the oldest rows beyond the limit.
    pub fn newer(&self, seqs: &[Seq]) -> Self {
        let (start, end) = self.bounds(seqs);
        let new_end = (end + STEP).min(seqs.len());
        Self {
            end: new_end.checked_sub(1).and_then(|last| seqs.get(last)).copied(),
            rows: (new_end - start).clamp(STEP, MAX_ROWS),
        }
    }

    /// The window around a message of the list.
    pub fn around(seqs: &[Seq], seq: Seq) -> Self {
        let end = seqs.partition_point(|other| *other <= seq) + STEP;
        Self {
            end: (end < seqs.len()).then(|| seqs[end - 1]),
            rows: 2 * STEP,
        }
    }

    /// Pins the window, so that new messages do not move it.
    pub fn pin(&self, seqs: &[Seq]) -> Self {
        Self {
            end: self.end.or(seqs.last().copied()),
            ..*self
        }
    }

    /// Follows the newest message again, if the window contains it.
    pub fn follow(&self, seqs: &[Seq]) -> Self {
        let end = self.end.filter(|end| seqs.last().is_some_and(|last| end < last));
        Self { end, ..*self }
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
    fn the_window_moves_to_the_oldest_and_back() {
        let seqs = seqs(1_000);
        let mut window = RowWindow::newest(MAX_ROWS - 2 * STEP);
        assert_eq!(window.bounds(&seqs), (740, 1_000));
        for expected in [(720, 1_000), (700, 1_000), (680, 980), (660, 960)] {
            window = window.older(&seqs);
            assert_eq!(window.bounds(&seqs), expected);
        }
        for expected in [(680, 980), (700, 1_000), (700, 1_000)] {
            window = window.newer(&seqs);
            assert_eq!(window.bounds(&seqs), expected);
        }
        assert_eq!(window.follow(&seqs).end, None);
    }

    #[test]
    fn the_first_rows_are_limited_by_their_text() {
        let rows = |length, max| {
            let lengths = std::iter::repeat_n(length, 100);
            RowWindow::newest_within(90, lengths, max).bounds(&seqs(100))
        };
        assert_eq!(rows(10, 1_000), (10, 100));
        assert_eq!(rows(10, 500), (50, 100));
        assert_eq!(rows(1_000, 500), (100 - STEP, 100));
        assert_eq!(rows(usize::MAX, 500), (100 - STEP, 100));
        let empty = RowWindow::newest_within(90, std::iter::empty(), 500);
        assert_eq!(empty.bounds(&seqs(100)), (10, 100));
    }

    #[test]
    fn a_pinned_window_does_not_move_with_new_messages() {
        let pinned = RowWindow::newest(100).pin(&seqs(200));
        assert_eq!(pinned.bounds(&seqs(250)), (100, 200));
        assert_eq!(pinned.follow(&seqs(250)), pinned);
        assert_eq!(RowWindow::around(&seqs(1_000), 1_500).bounds(&seqs(1_000)), (480, 520));
        assert_eq!(
            RowWindow::around(&seqs(1_000), 2_997).bounds(&seqs(1_000)),
            (960, 1_000)
        );
    }

    proptest! {
        #[test]
        fn the_number_of_rows_is_bounded(count in 0..900_usize, steps in prop::collection::vec(0..5_u8, 0..30)) {
            let seqs = seqs(count);
            let mut window = RowWindow::NEWEST;
            for step in steps {
                window = match step {
                    0 => window.older(&seqs),
                    1 => window.newer(&seqs),
                    2 => window.pin(&seqs),
                    3 => RowWindow::around(&seqs, count as Seq),
                    _ => window.follow(&seqs),
                };
                let (start, end) = window.bounds(&seqs);
                prop_assert!(start <= end && end <= count && end - start <= MAX_ROWS);
                prop_assert!(end - start >= STEP.min(end));
            }
        }
    }
}
