//! What a reader gets who comes with a cursor: what came since, or the state and why. Pure: knows no ring, no log, no task.

use crate::limits;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::ResetReason;

/// Both resumptions look the same to the reader: `replayed` events follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    Ring { replayed: u64 },
    Log { replayed: u64 },
    Reset(ResetReason),
}

impl Recovery {
    /// As far as epoch and seq say, the cursor's events are those of this log: its check may say otherwise.
    pub(super) const fn is_of_this_log(self) -> bool {
        matches!(
            self,
            Self::Ring { .. } | Self::Log { .. } | Self::Reset(ResetReason::TooOld | ResetReason::TooFar)
        )
    }
}

/// `kept`: the oldest event in the log, or `head + 1`. `ring`: the frames that the ring has for a reader who saw everything up
/// to a seq, if it has them.
pub(super) fn recover(
    cursor: Option<Cursor>,
    head: Cursor,
    kept: Seq,
    ring: impl FnOnce(Seq) -> Option<u64>,
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
    if let Some(replayed) = ring(cursor.seq) {
        return Recovery::Ring { replayed };
    }
    if cursor.seq.saturating_add(1) < kept {
        Recovery::Reset(ResetReason::TooOld)
    } else if behind > limits::TOO_FAR {
        Recovery::Reset(ResetReason::TooFar)
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

    /// The log keeps 20 and later, the ring 90 and later; the head is 100.
    fn from(cursor: Option<Cursor>) -> Recovery {
        recover(cursor, at(1, 100), 20, |after| (after >= 89).then(|| 100 - after))
    }

    #[test]
    fn each_reader_gets_what_it_can_use() {
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
            assert_eq!(from(cursor), recovery, "{cursor:?}");
        }
    }

    #[test]
    fn a_reader_too_far_behind_gets_the_state() {
        let head = at(1, limits::TOO_FAR + 1);
        let far = |seq| recover(Some(at(1, seq)), head, 1, |_| None);
        assert_eq!(far(0), Recovery::Reset(ResetReason::TooFar));
        assert_eq!(
            far(1),
            Recovery::Log {
                replayed: limits::TOO_FAR
            }
        );
    }

    proptest! {
        /// Whoever is resumed can be given every event after the cursor, and the count is right.
        #[test]
        fn a_resumption_leaves_no_gap(head in 0u64..10_000, kept in 1u64..10_000, ring in 1u64..10_000, seq: u64, near in 0u64..10_000, any: bool) {
            let seq = if any { seq } else { near };
            let ring = ring.max(kept);
            let recovery = recover(Some(at(1, seq)), at(1, head), kept, |after| (after + 1 >= ring).then(|| head - after));
            match recovery {
                Recovery::Ring { replayed } => {
                    prop_assert!(replayed == 0 || seq + 1 >= ring);
                    prop_assert_eq!(seq + replayed, head);
                }
                Recovery::Log { replayed } => {
                    prop_assert!(seq + 1 >= kept && replayed <= limits::TOO_FAR);
                    prop_assert_eq!(seq + replayed, head);
                }
                Recovery::Reset(ResetReason::Ahead) => prop_assert!(seq > head),
                Recovery::Reset(ResetReason::TooOld) => prop_assert!(seq + 1 < kept),
                Recovery::Reset(reason) => prop_assert_eq!(reason, ResetReason::TooFar),
            }
        }
    }
}
