//! Counters of a node: connections by transport, messages, bytes, responses. A connection is counted as long as its guard lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use duplex_hub::quota::QuotaGuard;

/// The transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportKind {
    /// A WebSocket of an endpoint, which is no session.
    Endpoint,
    /// A session over WebSocket.
    WebSocket,
    /// A session over server-sent events, or an event stream of the app's own.
    Sse,
    /// A request of a session over long polling, while it waits.
    Poll,
    /// A participant of a simulation, over WebSocket or over HTTP.
    Simulation,
    /// A second WebSocket of a page beside its session, such as for signals. It is counted apart from [`CounterSnapshot::connections`].
    Signals,
}

impl TransportKind {
    /// Every transport.
    pub const ALL: [Self; 6] = [
        Self::Endpoint,
        Self::WebSocket,
        Self::Sse,
        Self::Poll,
        Self::Simulation,
        Self::Signals,
    ];

    /// The transport's label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "echo",
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Simulation => "stage",
            Self::Signals => "signals",
        }
    }
}

/// Why the server ended a connection that its peer did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer read nothing of what was sent.
    Slow,
    /// Nothing came from the peer.
    Silent,
    /// The peer broke the protocol spoken on the connection.
    ProtocolError,
    /// The node's buffers were full, and the connection held the most of them.
    Memory,
    /// An operator banned the visitor.
    Banned,
}

impl DisconnectReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Slow,
        Self::Silent,
        Self::ProtocolError,
        Self::Memory,
        Self::Banned,
    ];

    /// The reason's label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::ProtocolError => "breach",
            Self::Memory => "memory",
            Self::Banned => "banned",
        }
    }
}

/// Why a request was refused before any route saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// It names no host, or one under which the node does not answer.
    Host,
    /// It comes from a page of another origin.
    Origin,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Host, Self::Origin];

    /// The reason's label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
        }
    }
}

/// The counters of a node. Counting never blocks.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    /// Open [`TransportKind::Signals`] sockets. Every page has one beside its session, so they are counted and bounded apart.
    signals: AtomicU64,
    /// Open now, by [`TransportKind`]. All arrays are indexed by their enum.
    kinds: [AtomicU64; TransportKind::ALL.len()],
    opened: [AtomicU64; TransportKind::ALL.len()],
    disconnects: [AtomicU64; DisconnectReason::ALL.len()],
    refused: [AtomicU64; RefusalReason::ALL.len()],
    failed_handshakes: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// By the status's first digit.
    responses: [AtomicU64; 5],
}

impl Counters {
    /// Counts a connection if there are fewer than `limit`.
    pub(crate) fn open(self: &Arc<Self>, limit: u64) -> Option<ConnectionGuard> {
        self.open_among(|counters| &counters.connections, limit)
    }

    /// Counts a [`TransportKind::Signals`] socket if there are fewer than `limit`.
    pub(crate) fn open_signals(self: &Arc<Self>, limit: u64) -> Option<ConnectionGuard> {
        self.open_among(|counters| &counters.signals, limit)
    }

    fn open_among(self: &Arc<Self>, among: Among, limit: u64) -> Option<ConnectionGuard> {
        among(self)
            .try_update(Relaxed, Relaxed, |open| (open < limit).then_some(open + 1))
            .ok()
            .map(|_| ConnectionGuard {
                counters: Arc::clone(self),
                among,
                kind: None,
                _held: None,
            })
    }

    /// Counts messages of an app's own transport, in both directions.
    pub fn count_messages(&self, received: u64, sent: u64) {
        self.received.fetch_add(received, Relaxed);
        self.sent.fetch_add(sent, Relaxed);
    }

    /// Counts bytes of TCP connections.
    pub(crate) fn count_bytes(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.fetch_add(bytes_in, Relaxed);
        self.bytes_out.fetch_add(bytes_out, Relaxed);
    }

    /// Counts a connection that the server ended.
    pub fn count_disconnect(&self, why: DisconnectReason) {
        self.disconnects[why as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn count_refusal(&self, why: RefusalReason) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts a failed TLS handshake.
    pub(crate) fn count_failed_handshake(&self) {
        self.failed_handshakes.fetch_add(1, Relaxed);
    }

    /// Counts an HTTP response with this status.
    pub fn count_response(&self, status: u16) {
        if let Some(count) = self.responses.get(usize::from(status / 100).wrapping_sub(1)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// All counters now. Each is read by itself: the sums of two may differ by what happens in between.
    #[must_use]
    pub fn snapshot(&self) -> CounterSnapshot {
        let read = |count: &AtomicU64| count.load(Relaxed);
        CounterSnapshot {
            connections: read(&self.connections),
            open: self.kinds.each_ref().map(read),
            opened: self.opened.each_ref().map(read),
            disconnects: self.disconnects.each_ref().map(read),
            refused: self.refused.each_ref().map(read),
            failed_handshakes: read(&self.failed_handshakes),
            received: read(&self.received),
            sent: read(&self.sent),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            responses: self.responses.each_ref().map(read),
        }
    }
}

/// The count that bounds a connection.
type Among = fn(&Counters) -> &AtomicU64;

/// A place among the node's connections, and among those of its client, until it is dropped.
#[must_use = "the place is given back when the guard is dropped"]
pub struct ConnectionGuard {
    counters: Arc<Counters>,
    among: Among,
    kind: Option<TransportKind>,
    /// The place among those of its client.
    _held: Option<QuotaGuard>,
}

impl ConnectionGuard {
    /// The same guard with a place among those of its client.
    pub(crate) fn holding(mut self, held: QuotaGuard) -> Self {
        self._held = Some(held);
        self
    }

    /// Counts the connection under its transport, too.
    pub fn with_kind(mut self, kind: TransportKind) -> Self {
        self.kind = Some(kind);
        self.counters.kinds[kind as usize].fetch_add(1, Relaxed);
        self.counters.opened[kind as usize].fetch_add(1, Relaxed);
        self
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        (self.among)(&self.counters).fetch_sub(1, Relaxed);
        if let Some(kind) = self.kind {
            self.counters.kinds[kind as usize].fetch_sub(1, Relaxed);
        }
    }
}

/// The counters at one moment. Counts of open connections go up and down; all others are totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterSnapshot {
    /// Open connections of visitors: all but the sockets of [`TransportKind::Signals`].
    pub connections: u64,
    /// TLS handshakes that failed or took too long.
    pub failed_handshakes: u64,
    /// WebSocket messages received, and posted frames.
    pub received: u64,
    /// WebSocket messages sent, and frames over the fallbacks.
    pub sent: u64,
    /// Bytes received over TCP, whatever they carry.
    pub bytes_in: u64,
    /// Bytes sent over TCP, whatever they carry.
    pub bytes_out: u64,
    /// HTTP responses by the status's first digit, from 1xx to 5xx.
    pub responses: [u64; 5],
    open: [u64; TransportKind::ALL.len()],
    opened: [u64; TransportKind::ALL.len()],
    refused: [u64; RefusalReason::ALL.len()],
    disconnects: [u64; DisconnectReason::ALL.len()],
}

impl CounterSnapshot {
    /// Connections of this kind that are open now.
    #[must_use]
    pub const fn open(&self, kind: TransportKind) -> u64 {
        self.open[kind as usize]
    }

    /// Connections of this kind that were opened since the start. A poll is one.
    #[must_use]
    pub const fn opened(&self, kind: TransportKind) -> u64 {
        self.opened[kind as usize]
    }

    /// Connections that the server ended for this reason.
    #[must_use]
    pub const fn disconnects(&self, why: DisconnectReason) -> u64 {
        self.disconnects[why as usize]
    }

    /// Requests that were refused for this reason before any route saw them.
    #[must_use]
    pub const fn refused(&self, why: RefusalReason) -> u64 {
        self.refused[why as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_as_long_as_its_guard_lives() {
        let counters = Arc::new(Counters::default());
        let first = counters.open(2);
        let second = counters.open(2);
        assert!(first.is_some() && second.is_some());
        assert!(counters.open(2).is_none());
        assert_eq!(counters.snapshot().connections, 2);
        drop(first);
        assert_eq!(counters.snapshot().connections, 1);
        assert!(counters.open(2).is_some());
    }

    #[test]
    fn a_connection_counts_for_its_way() {
        let counters = Arc::new(Counters::default());
        let open = counters.open(2).map(|open| open.with_kind(TransportKind::Sse));
        let other = counters.open(2);
        assert_eq!(
            (counters.snapshot().connections, counters.snapshot().open),
            (2, [0, 0, 1, 0, 0, 0])
        );
        drop((open, other));
        let after = counters.snapshot();
        assert_eq!(
            (after.connections, after.open, after.opened),
            (0, [0; 6], [0, 0, 1, 0, 0, 0])
        );
    }

    #[test]
    fn sockets_of_signals_are_bounded_and_take_no_place_of_others() {
        let counters = Arc::new(Counters::default());
        let signals = counters
            .open_signals(1)
            .map(|open| open.with_kind(TransportKind::Signals));
        assert!(signals.is_some() && counters.open_signals(1).is_none());
        assert!(counters.open(1).is_some());
        assert_eq!(
            (counters.snapshot().connections, counters.snapshot().open),
            (0, [0, 0, 0, 0, 0, 1])
        );
        drop(signals);
        assert_eq!(counters.snapshot().open, [0; 6]);
        assert!(counters.open_signals(1).is_some());
    }
}
