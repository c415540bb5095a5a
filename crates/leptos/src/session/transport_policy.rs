//! Chooses the session's transport: WebSocket, then server-sent events, then long polling; retries WebSocket in the background.

use crate::reconnect::STABLE_AFTER;
pub(crate) use crate::runtime::clock::Millis;
use crate::status::Transport;

/// A WebSocket without a first frame within this time is considered blocked.
const WEBSOCKET_TIMEOUT: Millis = 4_000;
/// A stream without a first event within this time is considered buffered by a proxy.
const SSE_TIMEOUT: Millis = 5_000;
/// The server answers the first poll at once, so this only allows for a slow network.
const POLL_TIMEOUT: Millis = 15_000;
/// This many short connections within [`DROP_WINDOW`] mean that an intermediary closes them.
const MAX_DROPS: usize = 3;
const DROP_WINDOW: Millis = 30_000;
/// On a fallback, the delay before the first attempt to upgrade to a WebSocket. It doubles after each failure.
const MIN_UPGRADE_DELAY: Millis = 60_000;
/// Maximum delay between attempts to upgrade.
const MAX_UPGRADE_DELAY: Millis = 600_000;

impl Transport {
    /// The timeout for the first frame.
    pub(crate) const fn timeout(self) -> Millis {
        match self {
            Self::WebSocket => WEBSOCKET_TIMEOUT,
            Self::Sse => SSE_TIMEOUT,
            Self::Poll => POLL_TIMEOUT,
        }
    }
}

/// The step after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Try the next transport at once.
    Fallback,
    /// Try later: the network or the server is unreachable.
    Wait,
}

#[derive(Debug)]
pub(crate) struct TransportPolicy {
    /// The transport of the next attempt.
    transport: Transport,
    /// The first transport of a series of attempts: the last one that worked, or a WebSocket.
    preferred: Transport,
    /// Whether a WebSocket has worked in this tab; then a failure is more likely due to the network than to a proxy.
    websocket_worked: bool,
    drops: Vec<Millis>,
    upgrade_at: Option<Millis>,
    upgrade_delay: Millis,
}

impl Default for TransportPolicy {
    fn default() -> Self {
        Self {
            transport: Transport::WebSocket,
            preferred: Transport::WebSocket,
            websocket_worked: false,
            drops: Vec::new(),
            upgrade_at: None,
            upgrade_delay: MIN_UPGRADE_DELAY,
        }
    }
}

impl TransportPolicy {
    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// When to try a WebSocket alongside the working fallback.
    pub(crate) fn upgrade_at(&self) -> Option<Millis> {
        self.upgrade_at
    }

    /// The next attempt uses the transport that worked last.
    pub(crate) fn reset_to_preferred(&mut self) {
        self.transport = self.preferred;
    }

    /// Called when a connection receives its first frame.
    pub(crate) fn on_first_frame(&mut self, now: Millis, transport: Transport) {
        (self.transport, self.preferred) = (transport, transport);
        if transport == Transport::WebSocket {
            self.websocket_worked = true;
            self.upgrade_at = None;
        } else {
            self.upgrade_at = Some(now + self.upgrade_delay);
        }
    }

    /// Called when a connection ends before its first frame; `timed_out`: because none arrived in time.
    pub(crate) fn on_connect_failed(&mut self, now: Millis, timed_out: bool) -> AfterFailure {
        let stay =
            self.transport == Transport::WebSocket && self.websocket_worked && !timed_out && !self.count_drop(now);
        match next_fallback(self.transport) {
            Some(fallback) if !stay => {
                self.transport = fallback;
                AfterFailure::Fallback
            }
            _ => {
                self.transport = self.preferred;
                AfterFailure::Wait
            }
        }
    }

    /// Called when a connection ends after its first frame.
    pub(crate) fn on_disconnect(&mut self, now: Millis, uptime: Millis) {
        if uptime >= MIN_UPGRADE_DELAY && self.transport == Transport::WebSocket {
            self.upgrade_delay = MIN_UPGRADE_DELAY;
        }
        if uptime < STABLE_AFTER
            && self.count_drop(now)
            && let Some(fallback) = next_fallback(self.transport)
        {
            (self.transport, self.preferred) = (fallback, fallback);
        }
    }

    /// Called when an attempt to upgrade from the working fallback failed.
    pub(crate) fn on_upgrade_failed(&mut self, now: Millis) {
        self.upgrade_delay = (self.upgrade_delay * 2).min(MAX_UPGRADE_DELAY);
        self.upgrade_at = Some(now + self.upgrade_delay);
    }

    /// Records a drop. Returns whether there were too many within [`DROP_WINDOW`].
    fn count_drop(&mut self, now: Millis) -> bool {
        self.drops.retain(|at| now - at < DROP_WINDOW);
        self.drops.push(now);
        let enough = self.drops.len() >= MAX_DROPS;
        if enough {
            self.drops.clear();
            // Each one worked and was then closed, so the next attempt to upgrade comes later.
            self.upgrade_delay = (self.upgrade_delay * 2).min(MAX_UPGRADE_DELAY);
        }
        enough
    }
}

const fn next_fallback(transport: Transport) -> Option<Transport> {
    match transport {
        Transport::WebSocket => Some(Transport::Sse),
        Transport::Sse => Some(Transport::Poll),
        Transport::Poll => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_websocket_falls_back_step_by_step_and_an_unreachable_server_resets() {
        let mut policy = TransportPolicy::default();
        assert_eq!(
            (policy.on_connect_failed(0, true), policy.transport()),
            (AfterFailure::Fallback, Transport::Sse)
        );
        assert_eq!(
            (policy.on_connect_failed(1, true), policy.transport()),
            (AfterFailure::Fallback, Transport::Poll)
        );
        assert_eq!(
            (policy.on_connect_failed(2, false), policy.transport()),
            (AfterFailure::Wait, Transport::WebSocket)
        );
    }

    #[test]
    fn a_websocket_that_worked_is_tried_three_times() {
        let mut policy = TransportPolicy::default();
        policy.on_first_frame(0, Transport::WebSocket);
        assert_eq!(policy.on_connect_failed(1_000, false), AfterFailure::Wait);
        assert_eq!(policy.on_connect_failed(2_000, false), AfterFailure::Wait);
        assert_eq!(
            (policy.on_connect_failed(3_000, false), policy.transport()),
            (AfterFailure::Fallback, Transport::Sse)
        );
        policy.on_first_frame(3_100, Transport::WebSocket);
        assert_eq!(policy.on_connect_failed(100_000, false), AfterFailure::Wait);
        assert_eq!(policy.on_connect_failed(140_000, false), AfterFailure::Wait);
        assert_eq!(
            policy.on_connect_failed(180_000, false),
            AfterFailure::Wait,
            "failures far apart do not count"
        );
    }

    #[test]
    fn short_connections_cause_a_fallback_and_long_ones_do_not() {
        let mut policy = TransportPolicy::default();
        for now in [1_000, 2_000, 3_000] {
            assert_eq!(policy.transport(), Transport::WebSocket);
            policy.on_first_frame(now, Transport::WebSocket);
            policy.on_disconnect(now + 500, 500);
        }
        assert_eq!(policy.transport(), Transport::Sse);
        let mut policy = TransportPolicy::default();
        for now in [1_000, 2_000, 3_000, 4_000] {
            policy.on_first_frame(now, Transport::WebSocket);
            policy.on_disconnect(now + 500, STABLE_AFTER);
        }
        assert_eq!(policy.transport(), Transport::WebSocket);
    }

    #[test]
    fn upgrade_delays_double_and_end_when_a_websocket_works() {
        let mut policy = TransportPolicy::default();
        policy.on_connect_failed(0, true);
        policy.on_first_frame(0, Transport::Sse);
        let mut delays = Vec::new();
        for _ in 0..6 {
            let at = policy.upgrade_at().unwrap();
            policy.on_upgrade_failed(at);
            delays.push((policy.upgrade_at().unwrap() - at) / 1000);
        }
        assert_eq!(delays, [120, 240, 480, 600, 600, 600]);
        policy.on_first_frame(0, Transport::WebSocket);
        assert_eq!(policy.upgrade_at(), None);
    }
}
