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
const PROBE_MIN: Millis = 60_000;
/// Maximum delay between attempts to upgrade.
const PROBE_MAX: Millis = 600_000;

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
    proven: bool,
    drops: Vec<Millis>,
    probe_at: Option<Millis>,
    probe_delay: Millis,
}

impl Default for TransportPolicy {
    fn default() -> Self {
        Self {
            transport: Transport::WebSocket,
            preferred: Transport::WebSocket,
            proven: false,
            drops: Vec::new(),
            probe_at: None,
            probe_delay: PROBE_MIN,
        }
    }
}

impl TransportPolicy {
    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// When to try a WebSocket alongside the working fallback.
    pub(crate) fn probe_at(&self) -> Option<Millis> {
        self.probe_at
    }

    /// The next attempt uses the transport that worked last.
    pub(crate) fn restart(&mut self) {
        self.transport = self.preferred;
    }

    /// Called when a connection receives its first frame.
    pub(crate) fn worked(&mut self, now: Millis, transport: Transport) {
        (self.transport, self.preferred) = (transport, transport);
        if transport == Transport::WebSocket {
            self.proven = true;
            self.probe_at = None;
        } else {
            self.probe_at = Some(now + self.probe_delay);
        }
    }

    /// Called when a connection ends before its first frame; `timed_out`: because none arrived in time.
    pub(crate) fn failed(&mut self, now: Millis, silent: bool) -> AfterFailure {
        let stay = self.transport == Transport::WebSocket && self.proven && !silent && !self.is_cut_repeatedly(now);
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
    pub(crate) fn dropped(&mut self, now: Millis, uptime: Millis) {
        if uptime >= PROBE_MIN && self.transport == Transport::WebSocket {
            self.probe_delay = PROBE_MIN;
        }
        if uptime < STABLE_AFTER
            && self.is_cut_repeatedly(now)
            && let Some(fallback) = next_fallback(self.transport)
        {
            (self.transport, self.preferred) = (fallback, fallback);
        }
    }

    /// Called when an attempt to upgrade from the working fallback failed.
    pub(crate) fn probe_failed(&mut self, now: Millis) {
        self.probe_delay = (self.probe_delay * 2).min(PROBE_MAX);
        self.probe_at = Some(now + self.probe_delay);
    }

    fn is_cut_repeatedly(&mut self, now: Millis) -> bool {
        self.drops.retain(|at| now - at < DROP_WINDOW);
        self.drops.push(now);
        let enough = self.drops.len() >= MAX_DROPS;
        if enough {
            self.drops.clear();
            // Each one worked and was then closed, so the next attempt to upgrade comes later.
            self.probe_delay = (self.probe_delay * 2).min(PROBE_MAX);
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
            (policy.failed(0, true), policy.transport()),
            (AfterFailure::Fallback, Transport::Sse)
        );
        assert_eq!(
            (policy.failed(1, true), policy.transport()),
            (AfterFailure::Fallback, Transport::Poll)
        );
        assert_eq!(
            (policy.failed(2, false), policy.transport()),
            (AfterFailure::Wait, Transport::WebSocket)
        );
    }

    #[test]
    fn a_websocket_that_worked_is_tried_three_times() {
        let mut policy = TransportPolicy::default();
        policy.worked(0, Transport::WebSocket);
        assert_eq!(policy.failed(1_000, false), AfterFailure::Wait);
        assert_eq!(policy.failed(2_000, false), AfterFailure::Wait);
        assert_eq!(
            (policy.failed(3_000, false), policy.transport()),
            (AfterFailure::Fallback, Transport::Sse)
        );
        policy.worked(3_100, Transport::WebSocket);
        assert_eq!(policy.failed(100_000, false), AfterFailure::Wait);
        assert_eq!(policy.failed(140_000, false), AfterFailure::Wait);
        assert_eq!(
            policy.failed(180_000, false),
            AfterFailure::Wait,
            "failures far apart do not count"
        );
    }

    #[test]
    fn short_connections_cause_a_fallback_and_long_ones_do_not() {
        let mut policy = TransportPolicy::default();
        for now in [1_000, 2_000, 3_000] {
            assert_eq!(policy.transport(), Transport::WebSocket);
            policy.worked(now, Transport::WebSocket);
            policy.dropped(now + 500, 500);
        }
        assert_eq!(policy.transport(), Transport::Sse);
        let mut policy = TransportPolicy::default();
        for now in [1_000, 2_000, 3_000, 4_000] {
            policy.worked(now, Transport::WebSocket);
            policy.dropped(now + 500, STABLE_AFTER);
        }
        assert_eq!(policy.transport(), Transport::WebSocket);
    }

    #[test]
    fn probe_delays_double_and_probes_end_when_websocket_works() {
        let mut policy = TransportPolicy::default();
        policy.failed(0, true);
        policy.worked(0, Transport::Sse);
        let mut delays = Vec::new();
        for _ in 0..6 {
            let at = policy.probe_at().unwrap();
            policy.probe_failed(at);
            delays.push((policy.probe_at().unwrap() - at) / 1000);
        }
        assert_eq!(delays, [120, 240, 480, 600, 600, 600]);
        policy.worked(0, Transport::WebSocket);
        assert_eq!(policy.probe_at(), None);
    }
}
