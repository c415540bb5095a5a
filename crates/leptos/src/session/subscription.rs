//! State machine of one subscription: tracks the cursor and decides whether an event is applied. Independent of event types and
//! transports.

use crate::status::TopicStatus;
use duplex_protocol::cursor::{Checksum, Cursor, Seq};
use duplex_protocol::session::{Denial, Verdict};
use duplex_protocol::topic::Delivery;

/// The action for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventAction {
    Apply,
    /// It is already in the state, or the session resubscribed.
    Skip,
    /// Earlier events are missing; the session resubscribes from the cursor.
    Gap,
}

/// The effect of a verdict on the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerdictOutcome {
    /// The state stays, and the events after it follow.
    Resumed,
    /// The verdict's state replaces it.
    Reset,
    Denied,
    /// The verdict violates the protocol; the session resubscribes without a cursor.
    ProtocolError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not requested on the current connection, or not answered yet.
    Requested,
    /// Answered; events up to this seq have not arrived yet.
    CatchingUp(Seq),
    Live,
    Denied(Denial),
    /// The page cannot decode the topic; the session does not resubscribe.
    Undecodable,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    delivery: Delivery,
    /// The number of components that use it.
    users: usize,
    /// The cursor of the state; `None` without a state.
    cursor: Option<Cursor>,
    phase: Phase,
    /// Whether it was requested over the current connection.
    pub requested: bool,
    /// Protocol errors: repeated events, and gaps.
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
            phase: Phase::Requested,
            requested: false,
            duplicates: 0,
            gaps: 0,
            retry_at: None,
            reported: None,
        }
    }

    pub(crate) fn add_user(&mut self) {
        self.users += 1;
    }

    /// Returns whether it was the last.
    pub(crate) fn remove_user(&mut self) -> bool {
        self.users = self.users.saturating_sub(1);
        self.users == 0
    }

    pub(crate) const fn delivery(&self) -> Delivery {
        self.delivery
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Resets it to unrequested, after the connection was lost or a new request was sent: a verdict precedes the next event.
    pub(crate) fn restart(&mut self) {
        self.retry_at = None;
        if !matches!(self.phase, Phase::Undecodable) {
            self.phase = Phase::Requested;
            self.requested = false;
        }
    }

    /// Whether to subscribe on a connection.
    pub(crate) fn should_subscribe(&self) -> bool {
        matches!(self.phase, Phase::Requested | Phase::CatchingUp(_) | Phase::Live)
    }

    /// Whether it still has to be requested over the current connection.
    pub(crate) fn needs_request(&self) -> bool {
        self.should_subscribe() && !self.requested
    }

    /// Whether every event eventually arrives, individually or as part of a state.
    pub(crate) fn is_complete(&self) -> bool {
        self.should_subscribe() && self.delivery == Delivery::Every
    }

    /// The server had nothing newer than the requested cursor.
    pub(crate) fn confirm_current(&mut self) {
        if self.phase == Phase::Requested && self.cursor.is_some() {
            self.phase = Phase::Live;
        }
    }

    pub(crate) fn set_undecodable(&mut self) {
        self.phase = Phase::Undecodable;
        self.retry_at = None;
    }

    pub(crate) fn apply_verdict(&mut self, verdict: &Verdict) -> VerdictOutcome {
        if self.phase == Phase::Undecodable {
            return VerdictOutcome::Denied;
        }
        match verdict {
            Verdict::Resumed { head, .. } => self.resume(*head),
            Verdict::Reset { cursor, .. } => {
                self.cursor = Some(*cursor);
                self.phase = Phase::Live;
                VerdictOutcome::Reset
            }
            Verdict::Denied { reason } => {
                self.phase = Phase::Denied(*reason);
                VerdictOutcome::Denied
            }
        }
    }

    fn resume(&mut self, head: Cursor) -> VerdictOutcome {
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
                VerdictOutcome::Resumed
            }
            _ => {
                self.cursor = None;
                self.phase = Phase::Requested;
                self.requested = false;
                VerdictOutcome::ProtocolError
            }
        }
    }

    /// Advances the cursor only over events that are applied.
    pub(crate) fn apply_event(&mut self, seq: Seq, checksum: Option<Checksum>) -> EventAction {
        let (true, Some(cursor)) = (
            self.should_subscribe() && self.phase != Phase::Requested,
            &mut self.cursor,
        ) else {
            return EventAction::Skip;
        };
        if seq <= cursor.seq {
            self.duplicates += 1;
            return EventAction::Skip;
        }
        if self.delivery == Delivery::Every && seq != cursor.seq + 1 {
            self.gaps += 1;
            self.phase = Phase::Requested;
            self.requested = false;
            return EventAction::Gap;
        }
        (cursor.seq, cursor.checksum) = (seq, checksum);
        if matches!(self.phase, Phase::CatchingUp(head) if seq >= head) {
            self.phase = Phase::Live;
        }
        EventAction::Apply
    }

    /// The status. `connected`: a connection is open or being opened.
    pub(crate) fn status(&self, connected: bool) -> TopicStatus {
        match (self.phase, self.cursor) {
            (Phase::Denied(reason), _) => TopicStatus::Denied(reason),
            (Phase::Undecodable, _) => TopicStatus::Outdated,
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
    use duplex_protocol::codec::EncodedValue;
    use duplex_protocol::cursor::Epoch;
    use duplex_protocol::session::ResetReason;

    fn at(epoch: u64, seq: Seq) -> Cursor {
        Cursor::new(Epoch::new(epoch), seq)
    }

    fn resumed(head: Cursor) -> Verdict {
        Verdict::Resumed { replayed: 0, head }
    }

    fn reset(cursor: Cursor) -> Verdict {
        let (reason, state) = (ResetReason::New, EncodedValue(Vec::new()));
        Verdict::Reset { reason, cursor, state }
    }

    #[test]
    fn a_subscription_goes_from_loading_to_live() {
        let mut topic = Subscription::new(Delivery::Every, None);
        assert_eq!(topic.status(true), TopicStatus::Loading);
        assert_eq!(
            topic.apply_event(1, None),
            EventAction::Skip,
            "no event is applied before the verdict"
        );
        assert_eq!(topic.apply_verdict(&reset(at(1, 4))), VerdictOutcome::Reset);
        assert_eq!(
            (topic.status(true), topic.cursor()),
            (TopicStatus::Live, Some(at(1, 4)))
        );
        assert_eq!(topic.apply_event(5, None), EventAction::Apply);
    }

    #[test]
    fn a_resumed_subscription_is_live_when_it_has_caught_up() {
        let mut topic = Subscription::new(Delivery::Every, Some(at(1, 4)));
        assert_eq!(
            (topic.status(true), topic.status(false)),
            (TopicStatus::Resuming, TopicStatus::Waiting)
        );
        assert_eq!(topic.apply_verdict(&resumed(at(1, 6))), VerdictOutcome::Resumed);
        assert_eq!(topic.apply_event(5, None), EventAction::Apply);
        assert_eq!(topic.status(true), TopicStatus::Resuming);
        assert_eq!(topic.apply_event(6, None), EventAction::Apply);
        assert_eq!(topic.status(true), TopicStatus::Live);
    }

    #[test]
    fn no_event_is_applied_after_a_gap_and_the_cursor_stays() {
        let mut topic = Subscription::new(Delivery::Every, Some(at(1, 4)));
        topic.apply_verdict(&resumed(at(1, 4)));
        assert_eq!(topic.apply_event(6, None), EventAction::Gap);
        assert_eq!(
            (topic.apply_event(7, None), topic.gaps, topic.cursor()),
            (EventAction::Skip, 1, Some(at(1, 4)))
        );
        topic.apply_verdict(&resumed(at(1, 7)));
        assert_eq!(
            (topic.apply_event(5, None), topic.apply_event(5, None), topic.duplicates),
            (EventAction::Apply, EventAction::Skip, 1)
        );
    }

    #[test]
    fn latest_delivery_may_skip_events_but_not_go_back() {
        let mut topic = Subscription::new(Delivery::Latest, Some(at(1, 4)));
        topic.apply_verdict(&resumed(at(1, 9)));
        assert_eq!(topic.status(true), TopicStatus::Live);
        assert_eq!(
            (topic.apply_event(8, None), topic.apply_event(7, None), topic.gaps),
            (EventAction::Apply, EventAction::Skip, 0)
        );
    }

    #[test]
    fn a_verdict_of_another_epoch_is_a_protocol_error() {
        let mut topic = Subscription::new(Delivery::Every, Some(at(1, 4)));
        assert_eq!(topic.apply_verdict(&resumed(at(2, 4))), VerdictOutcome::ProtocolError);
        assert_eq!(topic.cursor(), None);
    }

    #[test]
    fn a_denied_topic_stays_denied_until_it_is_requested_again() {
        let mut topic = Subscription::new(Delivery::Every, None);
        let reason = Denial::Unavailable;
        topic.apply_verdict(&Verdict::Denied { reason });
        assert_eq!(
            (topic.status(true), topic.should_subscribe()),
            (TopicStatus::Denied(reason), false)
        );
        topic.restart();
        assert!(topic.should_subscribe());
        topic.set_undecodable();
        topic.restart();
        assert!(!topic.should_subscribe(), "an undecodable topic is not requested again");
    }
}
