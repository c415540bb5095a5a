//! Client-side keepalive of one connection: when to probe it, and when to consider it dead.

use crate::session::transport_policy::Millis;
use crate::status::Transport;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::CloseReason;

/// The keepalive interval until the server announces its own.
const KEEPALIVE: Millis = 25_000;
/// Bounds of the announced interval: a shorter one would flood the server, a longer one would detect a dead connection too late.
const KEEPALIVE_RANGE: std::ops::RangeInclusive<Millis> = 1_000..=300_000;
/// A fallback that is silent for this long is requested again. The server sends a keepalive at least twice as often.
const FALLBACK_KEEPALIVE: Millis = 45_000;
/// Timeout of a probe after the network or the page's visibility changed.
const PROBE_TIMEOUT: Millis = 3_000;
/// The connection is closed after this many answers that violate the protocol.
const MAX_PROTOCOL_ERRORS: u32 = 8;

/// The action that a liveness check requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Nothing.
    Wait,
    /// Send a ping with this nonce; over a fallback, request again.
    Probe(u32),
    /// Close it: nothing arrived in time.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub id: u32,
    pub transport: Transport,
    /// `None` until it is open.
    pub encoding: Option<Encoding>,
    /// Whether frames can be sent.
    pub open: bool,
    /// When the first frame arrived.
    live_since: Option<Millis>,
    last_frame_at: Millis,
    /// The unanswered probe (initially the opening): when it started, and its timeout.
    probed: Option<(Millis, Millis)>,
    /// Whether the current probe was already repeated after a suspension.
    extended: bool,
    /// The newest ping: its number and when it was sent.
    nonce: u32,
    pinged_at: Millis,
    keepalive: Millis,
    /// The server announced a close, with the delay after which to reconnect.
    pub closing: Option<(CloseReason, Millis)>,
    protocol_errors: u32,
}

impl Connection {
    pub(crate) fn new(id: u32, transport: Transport, now: Millis) -> Self {
        let fallback = transport != Transport::WebSocket;
        Self {
            id,
            transport,
            encoding: fallback.then_some(Encoding::Json),
            open: fallback,
            live_since: None,
            last_frame_at: now,
            probed: Some((now, transport.timeout())),
            extended: false,
            nonce: 0,
            pinged_at: now,
            keepalive: KEEPALIVE,
            closing: None,
            protocol_errors: 0,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live_since.is_some()
    }

    pub(crate) fn is_fallback(&self) -> bool {
        self.transport != Transport::WebSocket
    }

    /// Milliseconds since the first frame.
    pub(crate) fn uptime(&self, now: Millis) -> Millis {
        self.live_since.map_or(0, |since| now.saturating_sub(since))
    }

    /// Records a frame. Returns whether it was the first.
    pub(crate) fn on_frame(&mut self, now: Millis) -> bool {
        self.last_frame_at = now;
        self.probed = None;
        self.extended = false;
        self.live_since.replace(self.live_since.unwrap_or(now)).is_none()
    }

    pub(crate) fn set_keepalive(&mut self, keepalive: Millis) {
        self.keepalive = keepalive.clamp(*KEEPALIVE_RANGE.start(), *KEEPALIVE_RANGE.end());
    }

    /// The round trip of the ping with this nonce, if it is the newest.
    pub(crate) fn round_trip(&self, nonce: u32, now: Millis) -> Option<Millis> {
        (nonce == self.nonce && nonce > 0).then(|| now.saturating_sub(self.pinged_at))
    }

    /// Starts measuring the round trip of a new connection.
    pub(crate) fn start_round_trip(&mut self, now: Millis) -> Liveness {
        if self.is_fallback() {
            return Liveness::Wait;
        }
        self.start_probe(now, self.keepalive)
    }

    /// Counts an answer that violates the protocol. Returns whether the limit is reached.
    pub(crate) fn count_protocol_error(&mut self) -> bool {
        self.protocol_errors += 1;
        self.protocol_errors >= MAX_PROTOCOL_ERRORS
    }

    /// When [`check`](Self::check) is due.
    pub(crate) fn deadline(&self) -> Millis {
        match (self.probed, self.is_fallback()) {
            (Some((at, timeout)), _) => at + timeout,
            (None, false) => self.last_frame_at + self.keepalive,
            (None, true) => self.last_frame_at + FALLBACK_KEEPALIVE,
        }
    }

    pub(crate) fn check(&mut self, now: Millis) -> Liveness {
        if now < self.deadline() {
            return Liveness::Wait;
        }
        if self.probed.is_some() {
            return Liveness::Dead;
        }
        let timeout = if self.is_fallback() {
            self.transport.timeout()
        } else {
            self.keepalive
        };
        self.start_probe(now, timeout)
    }

    /// Probes at once, because the network or the page changed; with `force` even if a frame arrived recently.
    pub(crate) fn probe_now(&mut self, now: Millis, force: bool) -> Liveness {
        if !self.is_live() || (!force && now < self.last_frame_at + PROBE_TIMEOUT) {
            return Liveness::Wait;
        }
        let timeout = if self.is_fallback() {
            self.transport.timeout()
        } else {
            PROBE_TIMEOUT
        };
        self.start_probe(now, timeout)
    }

    /// Restarts the probe after a suspension: frames may have arrived but not been dispatched. At most once per probe, so that a
    /// page that is suspended again and again still detects a dead connection.
    pub(crate) fn extend_deadline(&mut self, now: Millis) -> Liveness {
        if self.probed.is_none() || std::mem::replace(&mut self.extended, true) {
            return Liveness::Wait;
        }
        if self.is_live() {
            return self.probe_now(now, true);
        }
        self.probed = Some((now, self.transport.timeout()));
        Liveness::Wait
    }

    fn start_probe(&mut self, now: Millis, timeout: Millis) -> Liveness {
        self.probed = Some((now, timeout));
        self.pinged_at = now;
        self.nonce = self.nonce.wrapping_add(1);
        Liveness::Probe(self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_frame_is_dead_at_its_timeout() {
        let mut connection = Connection::new(1, Transport::WebSocket, 100);
        assert_eq!(
            (connection.deadline(), connection.check(4_099)),
            (4_100, Liveness::Wait)
        );
        assert_eq!(connection.check(4_100), Liveness::Dead);
    }

    #[test]
    fn a_silent_connection_is_probed_once_and_then_dead() {
        let mut connection = Connection::new(1, Transport::WebSocket, 0);
        assert!(connection.on_frame(10));
        connection.set_keepalive(2_000);
        assert_eq!(connection.check(2_010), Liveness::Probe(1));
        assert_eq!(connection.check(3_000), Liveness::Wait);
        assert_eq!(
            (connection.round_trip(1, 3_000), connection.round_trip(2, 3_000)),
            (Some(990), None)
        );
        assert!(!connection.on_frame(3_000));
        assert_eq!(connection.check(5_000), Liveness::Probe(2));
        assert_eq!(
            (connection.check(7_000), connection.uptime(7_000)),
            (Liveness::Dead, 6_990)
        );
    }

    #[test]
    fn a_probe_interrupted_by_a_suspension_is_repeated_once() {
        let mut connection = Connection::new(1, Transport::WebSocket, 0);
        connection.on_frame(0);
        connection.set_keepalive(2_000);
        assert_eq!(connection.extend_deadline(100), Liveness::Wait, "no probe is pending");
        assert_eq!(connection.check(2_000), Liveness::Probe(1));
        assert_eq!(
            (connection.extend_deadline(60_000), connection.check(60_000)),
            (Liveness::Probe(2), Liveness::Wait)
        );
        assert_eq!(
            (connection.extend_deadline(120_000), connection.check(120_000)),
            (Liveness::Wait, Liveness::Dead)
        );
        let mut opening = Connection::new(2, Transport::WebSocket, 0);
        assert_eq!(
            (opening.extend_deadline(60_000), opening.check(63_999)),
            (Liveness::Wait, Liveness::Wait)
        );
        assert_eq!(opening.check(64_000), Liveness::Dead);
    }

    #[test]
    fn the_announced_keepalive_has_a_minimum() {
        let mut connection = Connection::new(1, Transport::WebSocket, 0);
        connection.on_frame(0);
        connection.set_keepalive(0);
        assert_eq!(connection.deadline(), 1_000);
    }
}
