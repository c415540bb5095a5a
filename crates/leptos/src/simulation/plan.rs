//! Which transport carries a simulation, and when it is tried again: a WebSocket first, plain HTTP where that does not open.

use std::time::Duration;

use crate::reconnect::{Backoff, Conditions, ReconnectPolicy, session_may_return};
use crate::runtime::clock::Millis;
use duplex_protocol::code;

/// What carries a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimulationTransport {
    /// A WebSocket, with a binary message in each direction for each frame.
    WebSocket,
    /// A `POST` for each frame, answered by a frame.
    Http,
}

/// A WebSocket without a frame after this is taken for blocked by a proxy.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);
/// After this many posts without a failure HTTP counts as stable.
const STABLE_POSTS: u32 = 10;

const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(400),
    cap: Duration::from_secs(8),
    stable_after: Duration::from_secs(5),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Open(SimulationTransport),
    OpenAfter(SimulationTransport, Duration),
    /// The server refuses this client for good, with this code.
    Stop(u16),
}

#[derive(Debug)]
pub(crate) struct TransportPlan {
    policy: ReconnectPolicy,
    posts: u32,
    /// When the WebSocket brought its first frame.
    opened: Option<Millis>,
}

impl Default for TransportPlan {
    fn default() -> Self {
        Self {
            policy: ReconnectPolicy::new(BACKOFF),
            posts: 0,
            opened: None,
        }
    }
}

impl TransportPlan {
    pub(crate) const fn opened(&mut self, now: Millis) {
        self.opened = Some(now);
    }

    /// A post was answered.
    pub(crate) const fn posted(&mut self) {
        self.posts += 1;
        if self.posts >= STABLE_POSTS {
            self.policy.reset();
        }
    }

    /// The WebSocket closed, or timed out.
    pub(crate) fn closed(&mut self, code: u16, now: Millis, random: f64) -> Next {
        match self.opened.take() {
            None => Next::Open(SimulationTransport::Http),
            Some(_) if !session_may_return(code) => Next::Stop(code),
            Some(opened) => {
                self.policy.lost_after(now.saturating_sub(opened));
                self.retry(random)
            }
        }
    }

    /// A post failed, with this status if there was an answer. A request that the server cannot accept is not repeated.
    pub(crate) fn failed(&mut self, status: Option<u16>, random: f64) -> Next {
        self.posts = 0;
        match status {
            Some(400 | 403 | 404 | 413 | 415 | 422) => Next::Stop(code::MALFORMED),
            _ => self.retry(random),
        }
    }

    fn retry(&mut self, random: f64) -> Next {
        let delay = self.policy.next_delay(random, Conditions::default());
        Next::OpenAfter(SimulationTransport::WebSocket, delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_opened_is_replaced_by_http() {
        let mut plan = TransportPlan::default();
        assert_eq!(
            plan.closed(code::ABNORMAL, 0, 0.5),
            Next::Open(SimulationTransport::Http)
        );
        assert!(matches!(
            plan.failed(None, 0.5),
            Next::OpenAfter(SimulationTransport::WebSocket, _)
        ));
        assert_eq!(plan.failed(Some(422), 0.5), Next::Stop(code::MALFORMED));
    }

    #[test]
    fn what_was_open_is_opened_again_later_each_time_until_it_lasts() {
        let mut plan = TransportPlan::default();
        let mut after = |lasted: Millis| {
            plan.opened(0);
            match plan.closed(code::ABNORMAL, lasted, 1.0) {
                Next::OpenAfter(SimulationTransport::WebSocket, delay) => delay.as_millis(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([after(10), after(10), after(10), after(9000)], [400, 800, 1600, 400]);
    }

    #[test]
    fn who_is_sent_away_for_good_stays_away() {
        let mut plan = TransportPlan::default();
        plan.opened(0);
        assert_eq!(plan.closed(code::MALFORMED, 1, 0.5), Next::Stop(code::MALFORMED));
        plan.opened(0);
        assert!(matches!(plan.closed(code::TRY_AGAIN, 1, 0.5), Next::OpenAfter(..)));
    }
}
