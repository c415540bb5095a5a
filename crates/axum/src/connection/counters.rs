//! Counters of a node: connections by kind, messages, bytes, responses. A connection is counted until its guard is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use duplex_hub::quota::QuotaGuard;

/// What a connection carries, and over which transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionKind {
    /// A WebSocket of an endpoint, without a session.
    Endpoint,
    /// A session over WebSocket.
    WebSocket,
    /// A session over server-sent events, or an event stream that the app defines.
    Sse,
    /// A session's long-poll request, while it waits.
    Poll,
    /// A participant of a simulation, over WebSocket or over HTTP.
    Simulation,
    /// A page's second WebSocket in addition to its session, such as for signals. It is not part of [`CounterSnapshot::connections`].
    Signals,
}

impl ConnectionKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Endpoint,
        Self::WebSocket,
        Self::Sse,
        Self::Poll,
        Self::Simulation,
        Self::Signals,
    ];

    /// The kind's label in metrics.
    #[must_use]
    pub const fn metric_label(self) -> &'static str {
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

/// Why the server closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer did not read.
    Slow,
    /// The peer sent nothing.
    Silent,
    /// The peer violated the connection's protocol.
    ProtocolError,
    /// The node's buffer budget was exhausted, and the connection held the largest share.
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
    pub const fn metric_label(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::ProtocolError => "breach",
            Self::Memory => "memory",
            Self::Banned => "banned",
        }
    }
}

/// Why a request was rejected before routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The request names no host, or one that the node does not serve.
    Host,
    /// The request comes from a page of another origin.
    Origin,
}

impl RejectionReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Host, Self::Origin];

    /// The reason's label in metrics.
    #[must_use]
    pub const fn metric_label(self) -> &'static str {
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
    /// Open [`ConnectionKind::Signals`] sockets. Every page has one in addition to its session, so they are counted and limited separately.
    signals: AtomicU64,
    /// Currently open, by [`ConnectionKind`]. All arrays are indexed by their enum.
    open: [AtomicU64; ConnectionKind::ALL.len()],
    opened: [AtomicU64; ConnectionKind::ALL.len()],
    disconnects: [AtomicU64; DisconnectReason::ALL.len()],
    rejected: [AtomicU64; RejectionReason::ALL.len()],
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
    pub(crate) fn try_acquire_connection(self: &Arc<Self>, limit: u64) -> Option<ConnectionGuard> {
        self.try_acquire(|counters| &counters.connections, limit)
    }

    /// Counts a [`ConnectionKind::Signals`] socket if there are fewer than `limit`.
    pub(crate) fn try_acquire_signals(self: &Arc<Self>, limit: u64) -> Option<ConnectionGuard> {
        self.try_acquire(|counters| &counters.signals, limit)
    }

    fn try_acquire(self: &Arc<Self>, pool: Pool, limit: u64) -> Option<ConnectionGuard> {
        pool(self)
            .try_update(Relaxed, Relaxed, |open| (open < limit).then_some(open + 1))
            .ok()
            .map(|_| ConnectionGuard {
                counters: Arc::clone(self),
                pool,
                kind: None,
                _quota: None,
            })
    }

    /// Counts messages of a transport that the app implements.
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
    pub fn count_disconnect(&self, reason: DisconnectReason) {
        self.disconnects[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn count_rejection(&self, reason: RejectionReason) {
        self.rejected[reason as usize].fetch_add(1, Relaxed);
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

    /// A snapshot of all counters. Each is read separately: two related counters may differ by events in between.
    #[must_use]
    pub fn snapshot(&self) -> CounterSnapshot {
        let read = |count: &AtomicU64| count.load(Relaxed);
        CounterSnapshot {
            connections: read(&self.connections),
            open: self.open.each_ref().map(read),
            opened: self.opened.each_ref().map(read),
            disconnects: self.disconnects.each_ref().map(read),
            rejected: self.rejected.each_ref().map(read),
            failed_handshakes: read(&self.failed_handshakes),
            received: read(&self.received),
            sent: read(&self.sent),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            responses: self.responses.each_ref().map(read),
        }
    }
}

/// Selects the count that limits a connection.
type Pool = fn(&Counters) -> &AtomicU64;

/// Counts a connection towards the limits of its node and its client until it is dropped.
#[must_use = "the connection is counted only until the guard is dropped"]
pub struct ConnectionGuard {
    counters: Arc<Counters>,
    pool: Pool,
    kind: Option<ConnectionKind>,
    /// Counts the connection towards its client's quota.
    _quota: Option<QuotaGuard>,
}

impl ConnectionGuard {
    /// Adds the guard of the client's quota.
    pub(crate) fn with_quota(mut self, quota: QuotaGuard) -> Self {
        self._quota = Some(quota);
        self
    }

    /// Counts the connection under its kind as well.
    pub fn with_kind(mut self, kind: ConnectionKind) -> Self {
        self.kind = Some(kind);
        self.counters.open[kind as usize].fetch_add(1, Relaxed);
        self.counters.opened[kind as usize].fetch_add(1, Relaxed);
        self
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        (self.pool)(&self.counters).fetch_sub(1, Relaxed);
        if let Some(kind) = self.kind {
            self.counters.open[kind as usize].fetch_sub(1, Relaxed);
        }
    }
}

/// A snapshot of the counters. Counts of open connections are gauges; all others are totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterSnapshot {
    /// Open connections of visitors, without the sockets of [`ConnectionKind::Signals`].
    pub connections: u64,
    /// TLS handshakes that failed or took too long.
    pub failed_handshakes: u64,
    /// WebSocket messages received, and posted frames.
    pub received: u64,
    /// WebSocket messages sent, and frames over the fallbacks.
    pub sent: u64,
    /// Bytes received over TCP, of all protocols.
    pub bytes_in: u64,
    /// Bytes sent over TCP, of all protocols.
    pub bytes_out: u64,
    /// HTTP responses by the status's first digit, from 1xx to 5xx.
    pub responses: [u64; 5],
    open: [u64; ConnectionKind::ALL.len()],
    opened: [u64; ConnectionKind::ALL.len()],
    rejected: [u64; RejectionReason::ALL.len()],
    disconnects: [u64; DisconnectReason::ALL.len()],
}

impl CounterSnapshot {
    /// Open connections of this kind.
    #[must_use]
    pub const fn open(&self, kind: ConnectionKind) -> u64 {
        self.open[kind as usize]
    }

    /// Connections of this kind that were opened since the start; each poll counts as one.
    #[must_use]
    pub const fn opened(&self, kind: ConnectionKind) -> u64 {
        self.opened[kind as usize]
    }

    /// Connections that the server ended for this reason.
    #[must_use]
    pub const fn disconnects(&self, reason: DisconnectReason) -> u64 {
        self.disconnects[reason as usize]
    }

    /// Requests that were rejected for this reason before routing.
    #[must_use]
    pub const fn rejected(&self, reason: RejectionReason) -> u64 {
        self.rejected[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_until_its_guard_is_dropped() {
        let counters = Arc::new(Counters::default());
        let first = counters.try_acquire_connection(2);
        let second = counters.try_acquire_connection(2);
        assert!(first.is_some() && second.is_some());
        assert!(counters.try_acquire_connection(2).is_none());
        assert_eq!(counters.snapshot().connections, 2);
        drop(first);
        assert_eq!(counters.snapshot().connections, 1);
        assert!(counters.try_acquire_connection(2).is_some());
    }

    #[test]
    fn a_connection_counts_for_its_kind() {
        let counters = Arc::new(Counters::default());
        let open = counters
            .try_acquire_connection(2)
            .map(|open| open.with_kind(ConnectionKind::Sse));
        let other = counters.try_acquire_connection(2);
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
    fn signal_sockets_are_limited_separately() {
        let counters = Arc::new(Counters::default());
        let signals = counters
            .try_acquire_signals(1)
            .map(|open| open.with_kind(ConnectionKind::Signals));
        assert!(signals.is_some() && counters.try_acquire_signals(1).is_none());
        assert!(counters.try_acquire_connection(1).is_some());
        assert_eq!(
            (counters.snapshot().connections, counters.snapshot().open),
            (0, [0, 0, 0, 0, 0, 1])
        );
        drop(signals);
        assert_eq!(counters.snapshot().open, [0; 6]);
        assert!(counters.try_acquire_signals(1).is_some());
    }
}
