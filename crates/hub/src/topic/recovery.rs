//! Decides how a returning subscriber catches up: replay from its cursor, or the full state with a reason. Pure.

use crate::limits;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::ResetReason;

/// `Ring` and `Log` look the same to the reader: `replayed` events follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    Ring { replayed: u64 },
    Log { replayed: u64 },
    Reset(ResetReason),
}

impl Recovery {
    /// Whether epoch and seq are consistent with this log; the checksum may still differ.
    pub(super) const fn is_of_this_log(self) -> bool {
        matches!(
            self,
            Self::Ring { .. } | Self::Log { .. } | Self::Reset(ResetReason::TooOld | ResetReason::TooManyEvents)
        )
    }
}

/// `oldest`: the oldest event in the log, or `head + 1`. `count_in_ring`: the number of frames in the ring after a seq, if it has
/// all of them.
pub(super) fn recover(
    cursor: Option<Cursor>,
    head: Cursor,
    oldest: Seq,
    count_in_ring: impl FnOnce(Seq) -> Option<u64>,
) -> Recovery {
    let Some(cursor) = cursor else {
        return Recovery::Reset(ResetReason::New);
    };
    if cursor.epoch != head.epoch {
        return Recovery::Reset(ResetReason::OtherEpoch);
    }
    let Some(behind) = head.seq.checked_sub(cursor.seq) else {
        return Recovery::Reset(ResetReason::Ahead);
    };
    if behind == 0 {
        return Recovery::Ring { replayed: 0 };
    }
    if let Some(replayed) = count_in_ring(cursor.seq) {
        return Recovery::Ring { replayed };
    }
    if cursor.seq.saturating_add(1) < oldest {
        Recovery::Reset(ResetReason::TooOld)
    } else if behind > limits::MAX_REPLAY {
        Recovery::Reset(ResetReason::TooManyEvents)
    } else {
        Recovery::Log { replayed: behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::cursor::Epoch;
    use proptest::prelude::*;

    const fn at(epoch: u64, seq: Seq) -> Cursor {
        Cursor::new(Epoch::new(epoch), seq)
    }

    /// The log begins at 20, the ring at 90; the head is 100.
    fn recover_from(cursor: Option<Cursor>) -> Recovery {
        recover(cursor, at(1, 100), 20, |after| (after >= 89).then(|| 100 - after))
    }

    #[test]
    fn each_reader_gets_the_cheapest_complete_recovery() {
        for (cursor, recovery) in [
            (None, Recovery::Reset(ResetReason::New)),
            (Some(at(2, 100)), Recovery::Reset(ResetReason::OtherEpoch)),
            (Some(at(1, 101)), Recovery::Reset(ResetReason::Ahead)),
            (Some(at(1, 100)), Recovery::Ring { replayed: 0 }),
            (Some(at(1, 89)), Recovery::Ring { replayed: 11 }),
            (Some(at(1, 88)), Recovery::Log { replayed: 12 }),
            (Some(at(1, 19)), Recovery::Log { replayed: 81 }),
            (Some(at(1, 18)), Recovery::Reset(ResetReason::TooOld)),
            (Some(at(1, 0)), Recovery::Reset(ResetReason::TooOld)),
        ] {
            assert_eq!(recover_from(cursor), recovery, "{cursor:?}");
        }
    }

    #[test]
    fn a_reader_too_far_behind_gets_the_state() {
        let head = at(1, limits::MAX_REPLAY + 1);
        let far = |seq| recover(Some(at(1, seq)), head, 1, |_| None);
        assert_eq!(far(0), Recovery::Reset(ResetReason::TooManyEvents));
        assert_eq!(
            far(1),
            Recovery::Log {
                replayed: limits::MAX_REPLAY
            }
        );
    }

    proptest! {
        /// A resumed reader gets every event after its cursor, and the count is right.
        #[test]
        fn a_resumption_leaves_no_gap(head in 0u64..10_000, oldest in 1u64..10_000, ring in 1u64..10_000, seq: u64, near in 0u64..10_000, any: bool) {
            let seq = if any { seq } else { near };
            let ring = ring.max(oldest);
            let recovery = recover(Some(at(1, seq)), at(1, head), oldest, |after| (after + 1 >= ring).then(|| head - after));
            match recovery {
                Recovery::Ring { replayed } => {
                    prop_assert!(replayed == 0 || seq + 1 >= ring);
                    prop_assert_eq!(seq + replayed, head);
                }
                Recovery::Log { replayed } => {
                    prop_assert!(seq + 1 >= oldest && replayed <= limits::MAX_REPLAY);
                    prop_assert_eq!(seq + replayed, head);
                }
                Recovery::Reset(ResetReason::Ahead) => prop_assert!(seq > head),
                Recovery::Reset(ResetReason::TooOld) => prop_assert!(seq + 1 < oldest),
                Recovery::Reset(reason) => prop_assert_eq!(reason, ResetReason::TooManyEvents),
            }
        }
    }
}
