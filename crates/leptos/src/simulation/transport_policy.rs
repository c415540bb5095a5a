//! Chooses a simulation's transport and reconnects: a WebSocket first, plain HTTP if none opens.

use std::time::Duration;

use crate::reconnect::{Backoff, Conditions, ReconnectPolicy, session_may_reconnect};
use crate::runtime::clock::Millis;
use duplex_protocol::code;

/// The transport of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimulationTransport {
    /// A WebSocket, with a binary message in each direction for each frame.
    WebSocket,
    /// A `POST` for each input, with a frame in the response.
    Http,
}

/// A WebSocket without a frame within this time is considered blocked by a proxy.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);
/// HTTP counts as stable after this many posts without a failure.
const STABLE_POSTS: u32 = 10;

const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(400),
    cap: Duration::from_secs(8),
    stable_after: Duration::from_secs(5),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    Open(SimulationTransport),
    OpenAfter(SimulationTransport, Duration),
    /// Stop: the close code is final.
    Stop(u16),
}

#[derive(Debug)]
pub(crate) struct SimulationTransportPolicy {
    policy: ReconnectPolicy,
    posts: u32,
    /// When the WebSocket received its first frame.
    opened: Option<Millis>,
}

impl Default for SimulationTransportPolicy {
    fn default() -> Self {
        Self {
            policy: ReconnectPolicy::new(BACKOFF),
            posts: 0,
            opened: None,
        }
    }
}

impl SimulationTransportPolicy {
    pub(crate) const fn on_open(&mut self, now: Millis) {
        self.opened = Some(now);
    }

    /// A post was answered.
    pub(crate) const fn on_response(&mut self) {
        self.posts += 1;
        if self.posts >= STABLE_POSTS {
            self.policy.reset();
        }
    }

    /// The WebSocket closed, or timed out.
    pub(crate) fn on_close(&mut self, code: u16, now: Millis, random: f64) -> NextStep {
        match self.opened.take() {
            None => NextStep::Open(SimulationTransport::Http),
            Some(_) if !session_may_reconnect(code) => NextStep::Stop(code),
            Some(opened) => {
                self.policy.on_disconnect(now.saturating_sub(opened));
                self.schedule_retry(random)
            }
        }
    }

    /// A post failed, with this status if there was a response. A request that the server cannot accept is not repeated.
    pub(crate) fn on_post_failed(&mut self, status: Option<u16>, random: f64) -> NextStep {
        self.posts = 0;
        match status {
            Some(400 | 403 | 404 | 413 | 415 | 422) => NextStep::Stop(code::MALFORMED),
            _ => self.schedule_retry(random),
        }
    }

    fn schedule_retry(&mut self, random: f64) -> NextStep {
        let delay = self.policy.next_delay(random, Conditions::default());
        NextStep::OpenAfter(SimulationTransport::WebSocket, delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_that_never_opened_is_replaced_by_http() {
        let mut policy = SimulationTransportPolicy::default();
        assert_eq!(
            policy.on_close(code::ABNORMAL, 0, 0.5),
            NextStep::Open(SimulationTransport::Http)
        );
        assert!(matches!(
            policy.on_post_failed(None, 0.5),
            NextStep::OpenAfter(SimulationTransport::WebSocket, _)
        ));
        assert_eq!(policy.on_post_failed(Some(422), 0.5), NextStep::Stop(code::MALFORMED));
    }

    #[test]
    fn a_lost_websocket_is_reopened_with_growing_delays_until_it_is_stable() {
        let mut policy = SimulationTransportPolicy::default();
        let mut after = |lasted: Millis| {
            policy.on_open(0);
            match policy.on_close(code::ABNORMAL, lasted, 1.0) {
                NextStep::OpenAfter(SimulationTransport::WebSocket, delay) => delay.as_millis(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([after(10), after(10), after(10), after(9000)], [400, 800, 1600, 400]);
    }

    #[test]
    fn a_final_close_code_stops_the_connection() {
        let mut policy = SimulationTransportPolicy::default();
        policy.on_open(0);
        assert_eq!(
            policy.on_close(code::MALFORMED, 1, 0.5),
            NextStep::Stop(code::MALFORMED)
        );
        policy.on_open(0);
        assert!(matches!(
            policy.on_close(code::TRY_AGAIN, 1, 0.5),
            NextStep::OpenAfter(..)
        ));
    }
}
