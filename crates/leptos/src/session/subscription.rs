//! One topic of the tab's session: the cursor of its state, and whether the next event may be applied. Knows neither the
//! meaning of an event nor a transport.

use crate::status::TopicStatus;
use duplex_protocol::cursor::{Check, Cursor, Seq};
use duplex_protocol::session::{Denied, Verdict};
use duplex_protocol::topic::Delivery;

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Apply,
    /// It is in the state already, or its subscription was requested again.
    Skip,
    /// Events before it are missing: the topic is requested again from its cursor.
    Gap,
}

/// What a verdict means for the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The state stays, and events follow it.
    Resumed,
    /// The verdict's state replaces it.
    Reset,
    Denied,
    /// The verdict contradicts the request: request again, without a cursor.
    Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not requested on the present connection, or not answered yet.
    Asked,
    /// Answered; events up to this seq are still to come.
    CatchingUp(Seq),
    Live,
    Denied(Denied),
    /// The page cannot decode it; it is not requested again.
    Outdated,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    delivery: Delivery,
    /// How many components use it.
    users: usize,
    /// The place in the log up to which the state is current; `None` without a state.
    cursor: Option<Cursor>,
    phase: Phase,
    /// Requested over the present connection.
    pub asked: bool,
    /// Protocol faults: repeated events, and holes.
    pub duplicates: u64,
    pub gaps: u64,
    /// When a temporary denial is retried.
    pub retry_at: Option<u64>,
    /// The status that was reported last.
    pub reported: Option<TopicStatus>,
}

impl Subscription {
    pub(crate) fn new(delivery: Delivery, cursor: Option<Cursor>) -> Self {
        Self {
            delivery,
            users: 0,
            cursor,
            phase: Phase::Asked,
            asked: false,
            duplicates: 0,
            gaps: 0,
            retry_at: None,
            reported: None,
        }
    }

    pub(crate) fn join(&mut self) {
        self.users += 1;
    }

    /// Whether that was the last.
    pub(crate) fn leave(&mut self) -> bool {
        self.users = self.users.saturating_sub(1);
        self.users == 0
    }

    pub(crate) const fn delivery(&self) -> Delivery {
        self.delivery
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The connection is gone or asks anew: what comes next begins with a verdict.
    pub(crate) fn restart(&mut self) {
        self.retry_at = None;
        if !matches!(self.phase, Phase::Outdated) {
            self.phase = Phase::Asked;
            self.asked = false;
        }
    }

    /// Whether a connection should carry it.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.phase, Phase::Asked | Phase::CatchingUp(_) | Phase::Live)
    }

    /// Wanted, and not yet asked for over the present connection.
    pub(crate) fn is_due(&self) -> bool {
        self.is_wanted() && !self.asked
    }

    /// Each event of it comes here sooner or later, or a state that contains it.
    pub(crate) fn shows_every(&self) -> bool {
        self.is_wanted() && self.delivery == Delivery::Every
    }

    /// The server had no update for the cursor that it was asked with.
    pub(crate) fn nothing_new(&mut self) {
        if self.phase == Phase::Asked && self.cursor.is_some() {
            self.phase = Phase::Live;
        }
    }

    pub(crate) fn outdate(&mut self) {
        self.phase = Phase::Outdated;
        self.retry_at = None;
    }

    pub(crate) fn verdict(&mut self, verdict: &Verdict) -> Outcome {
        if self.phase == Phase::Outdated {
            return Outcome::Denied;
        }
        match verdict {
            Verdict::Resumed { head, .. } => self.resume(*head),
            Verdict::Reset { cursor, .. } => {
                self.cursor = Some(*cursor);
                self.phase = Phase::Live;
                Outcome::Reset
            }
            Verdict::Denied { reason } => {
                self.phase = Phase::Denied(*reason);
                Outcome::Denied
            }
        }
    }

    fn resume(&mut self, head: Cursor) -> Outcome {
        match self.cursor {
            Some(cursor) if cursor.epoch == head.epoch => {
                let behind = self.delivery == Delivery::Every && cursor.seq < head.seq;
                self.phase = if behind {
                    Phase::CatchingUp(head.seq)
                } else {
                    Phase::Live
                };
                if cursor.seq == head.seq {
                    self.cursor = Some(head);
                }
                Outcome::Resumed
            }
            _ => {
                self.cursor = None;
                self.phase = Phase::Asked;
                self.asked = false;
                Outcome::Fault
            }
        }
    }

    /// Moves the cursor only over what is applied.
    pub(crate) fn event(&mut self, seq: Seq, check: Option<Check>) -> Step {
        let (true, Some(cursor)) = (self.is_wanted() && self.phase != Phase::Asked, &mut self.cursor) else {
            return Step::Skip;
        };
        if seq <= cursor.seq {
            self.duplicates += 1;
            return Step::Skip;
        }
        if self.delivery == Delivery::Every && seq != cursor.seq + 1 {
            self.gaps += 1;
            self.phase = Phase::Asked;
            self.asked = false;
            return Step::Gap;
        }
        (cursor.seq, cursor.check) = (seq, check);
        if matches!(self.phase, Phase::CatchingUp(head) if seq >= head) {
            self.phase = Phase::Live;
        }
        Step::Apply
    }

    /// `connected`: there is a connection, open or being opened.
    pub(crate) fn status(&self, connected: bool) -> TopicStatus {
        match (self.phase, self.cursor) {
            (Phase::Denied(reason), _) => TopicStatus::Denied(reason),
            (Phase::Outdated, _) => TopicStatus::Outdated,
            (_, None) => TopicStatus::Loading,
            (Phase::Live, Some(_)) => TopicStatus::Live,
            (_, Some(_)) if connected => TopicStatus::Resuming,
            (_, Some(_)) => TopicStatus::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::codec::Blob;
    use duplex_protocol::cursor::Epoch;
    use duplex_protocol::session::ResetReason;

    fn at(epoch: u64, seq: Seq) -> Cursor {
        Cursor::new(Epoch::new(epoch), seq)
    }

    fn resumed(head: Cursor) -> Verdict {
        Verdict::Resumed { replayed: 0, head }
    }

    fn reset(cursor: Cursor) -> Verdict {
        let (reason, state) = (ResetReason::New, Blob(Vec::new()));
        Verdict::Reset { reason, cursor, state }
    }

    #[test]
    fn a_reader_goes_from_loading_to_live() {
        let mut topic = Subscription::new(Delivery::Every, None);
        assert_eq!(topic.status(true), TopicStatus::Loading);
        assert_eq!(topic.event(1, None), Step::Skip, "before the verdict nothing is shown");
        assert_eq!(topic.verdict(&reset(at(1, 4))), Outcome::Reset);
        assert_eq!(
            (topic.status(true), topic.cursor()),
            (TopicStatus::Live, Some(at(1, 4)))
        );
        assert_eq!(topic.event(5, None), Step::Apply);
    }

    #[test]
    fn a_resumed_reader_is_live_when_it_has_caught_up() {
        let mut topic = Subscription::new(Delivery::Every, Some(at(1, 4)));
        assert_eq!(
            (topic.status(true), topic.status(false)),
            (TopicStatus::Resuming, TopicStatus::Waiting)
        );
        assert_eq!(topic.verdict(&resumed(at(1, 6))), Outcome::Resumed);
        assert_eq!(topic.event(5, None), Step::Apply);
        assert_eq!(topic.status(true), TopicStatus::Resuming);
        assert_eq!(topic.event(6, None), Step::Apply);
        assert_eq!(topic.status(true), TopicStatus::Live);
    }

    #[test]
    fn a_hole_is_never_shown_and_the_last_good_cursor_stays() {
        let mut topic = Subscription::new(Delivery::Every, Some(at(1, 4)));
        topic.verdict(&resumed(at(1, 4)));
        assert_eq!(topic.event(6, None), Step::Gap);
        assert_eq!(
            (topic.event(7, None), topic.gaps, topic.cursor()),
            (Step::Skip, 1, Some(at(1, 4)))
        );
        topic.verdict(&resumed(at(1, 7)));
        assert_eq!(
            (topic.event(5, None), topic.event(5, None), topic.duplicates),
            (Step::Apply, Step::Skip, 1)
        );
    }

    #[test]
    fn newest_values_may_leap_but_not_go_back() {
        let mut topic = Subscription::new(Delivery::Latest, Some(at(1, 4)));
        topic.verdict(&resumed(at(1, 9)));
        assert_eq!(topic.status(true), TopicStatus::Live);
        assert_eq!(
            (topic.event(8, None), topic.event(7, None), topic.gaps),
            (Step::Apply, Step::Skip, 0)
        );
    }

    #[test]
    fn a_verdict_of_another_epoch_is_a_fault() {
        let mut topic = Subscription::new(Delivery::Every, Some(at(1, 4)));
        assert_eq!(topic.verdict(&resumed(at(2, 4))), Outcome::Fault);
        assert_eq!(topic.cursor(), None);
    }

    #[test]
    fn a_denied_topic_says_so_until_it_is_asked_anew() {
        let mut topic = Subscription::new(Delivery::Every, None);
        let reason = Denied::Unavailable;
        topic.verdict(&Verdict::Denied { reason });
        assert_eq!(
            (topic.status(true), topic.is_wanted()),
            (TopicStatus::Denied(reason), false)
        );
        topic.restart();
        assert!(topic.is_wanted());
        topic.outdate();
        topic.restart();
        assert!(!topic.is_wanted(), "what cannot be read is not asked for again");
    }
}
