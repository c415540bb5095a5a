//! What the node counts: connections by their way in, messages, bytes, answers. A connection is counted as long as its guard
//! lives. Knows no socket and no clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use duplex_hub::quota::Held;

/// How a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// An endpoint's socket, which is no session.
    Echo,
    WebSocket,
    Sse,
    Poll,
    /// A socket of what is no topic.
    Stage,
    /// A socket that carries signals, beside the one of its page.
    Signals,
}

impl Way {
    pub const ALL: [Self; 6] = [
        Self::Echo,
        Self::WebSocket,
        Self::Sse,
        Self::Poll,
        Self::Stage,
        Self::Signals,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Stage => "stage",
            Self::Signals => "signals",
        }
    }
}

/// Why the server ended a connection that its peer would have gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It took nothing of what was sent.
    Slow,
    /// Nothing was heard of it.
    Silent,
    /// It broke the session protocol.
    Breach,
    /// The node's buffers were full, and it held the most of them.
    Memory,
    /// An operator banned its visitor.
    Banned,
}

impl Cut {
    pub const ALL: [Self; 5] = [Self::Slow, Self::Silent, Self::Breach, Self::Memory, Self::Banned];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Breach => "breach",
            Self::Memory => "memory",
            Self::Banned => "banned",
        }
    }
}

/// Why a request was turned away before any route saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was for a host that this server does not serve, or for none.
    Host,
    /// Its page is of another origin.
    Origin,
}

impl Refused {
    pub const ALL: [Self; 2] = [Self::Host, Self::Origin];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
        }
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    /// Sockets of signals. Every page has one beside its own: they are not among the connections that visitors are shown,
    /// and take no place of them.
    signals: AtomicU64,
    /// By [`Way`], as all arrays of these.
    ways: [AtomicU64; Way::ALL.len()],
    opened: [AtomicU64; Way::ALL.len()],
    cuts: [AtomicU64; Cut::ALL.len()],
    refused: [AtomicU64; Refused::ALL.len()],
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
    pub(crate) fn open(self: &Arc<Self>, limit: u64) -> Option<Open> {
        self.open_among(|counters| &counters.connections, limit)
    }

    /// Counts a socket of signals if there are fewer than `limit`.
    pub(crate) fn open_signals(self: &Arc<Self>, limit: u64) -> Option<Open> {
        self.open_among(|counters| &counters.signals, limit)
    }

    fn open_among(self: &Arc<Self>, among: Among, limit: u64) -> Option<Open> {
        among(self)
            .try_update(Relaxed, Relaxed, |open| (open < limit).then_some(open + 1))
            .ok()
            .map(|_| Open {
                counters: Arc::clone(self),
                among,
                way: None,
                _held: None,
            })
    }

    pub fn add(&self, received: u64, sent: u64) {
        self.received.fetch_add(received, Relaxed);
        self.sent.fetch_add(sent, Relaxed);
    }

    /// Of TCP connections, whatever they carry.
    pub(crate) fn add_bytes(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.fetch_add(bytes_in, Relaxed);
        self.bytes_out.fetch_add(bytes_out, Relaxed);
    }

    pub fn cut(&self, why: Cut) {
        self.cuts[why as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    /// Of TLS.
    pub(crate) fn handshake_failed(&self) {
        self.failed_handshakes.fetch_add(1, Relaxed);
    }

    /// An HTTP answer of this status.
    pub fn answer(&self, status: u16) {
        if let Some(count) = self.responses.get(usize::from(status / 100).wrapping_sub(1)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// All counters now. Each is read by itself: the sums of two may differ by what happens in between.
    #[must_use]
    pub fn read(&self) -> CounterSnapshot {
        let read = |count: &AtomicU64| count.load(Relaxed);
        CounterSnapshot {
            connections: read(&self.connections),
            open: self.ways.each_ref().map(read),
            opened: self.opened.each_ref().map(read),
            cut_offs: self.cuts.each_ref().map(read),
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

/// A counted connection.
pub struct Open {
    counters: Arc<Counters>,
    among: Among,
    way: Option<Way>,
    /// The place among those of its client.
    _held: Option<Held>,
}

impl Open {
    /// With a place among those of its client.
    pub(crate) fn holding(mut self, held: Held) -> Self {
        self._held = Some(held);
        self
    }

    #[must_use]
    pub fn by(mut self, way: Way) -> Self {
        self.way = Some(way);
        self.counters.ways[way as usize].fetch_add(1, Relaxed);
        self.counters.opened[way as usize].fetch_add(1, Relaxed);
        self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        (self.among)(&self.counters).fetch_sub(1, Relaxed);
        if let Some(way) = self.way {
            self.counters.ways[way as usize].fetch_sub(1, Relaxed);
        }
    }
}

/// The counters at one moment. Counts of open connections go up and down; all others are totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterSnapshot {
    /// Open connections of visitors: all but the sockets of [`Way::Signals`].
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
    open: [u64; Way::ALL.len()],
    opened: [u64; Way::ALL.len()],
    refused: [u64; Refused::ALL.len()],
    cut_offs: [u64; Cut::ALL.len()],
}

impl CounterSnapshot {
    /// Connections of this kind that are open now.
    #[must_use]
    pub const fn open(&self, way: Way) -> u64 {
        self.open[way as usize]
    }

    /// Connections of this kind that were opened since the start. A poll is one.
    #[must_use]
    pub const fn opened(&self, way: Way) -> u64 {
        self.opened[way as usize]
    }

    /// Connections that the server ended for this reason.
    #[must_use]
    pub const fn cut_offs(&self, why: Cut) -> u64 {
        self.cut_offs[why as usize]
    }

    /// Requests that were refused for this reason before any route saw them.
    #[must_use]
    pub const fn refused(&self, why: Refused) -> u64 {
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
        assert_eq!(counters.read().connections, 2);
        drop(first);
        assert_eq!(counters.read().connections, 1);
        assert!(counters.open(2).is_some());
    }

    #[test]
    fn a_connection_counts_for_its_way() {
        let counters = Arc::new(Counters::default());
        let open = counters.open(2).map(|open| open.by(Way::Sse));
        let other = counters.open(2);
        assert_eq!(
            (counters.read().connections, counters.read().open),
            (2, [0, 0, 1, 0, 0, 0])
        );
        drop((open, other));
        let after = counters.read();
        assert_eq!(
            (after.connections, after.open, after.opened),
            (0, [0; 6], [0, 0, 1, 0, 0, 0])
        );
    }

    #[test]
    fn sockets_of_signals_are_bounded_and_take_no_place_of_others() {
        let counters = Arc::new(Counters::default());
        let signals = counters.open_signals(1).map(|open| open.by(Way::Signals));
        assert!(signals.is_some() && counters.open_signals(1).is_none());
        assert!(counters.open(1).is_some());
        assert_eq!(
            (counters.read().connections, counters.read().open),
            (0, [0, 0, 0, 0, 0, 1])
        );
        drop(signals);
        assert_eq!(counters.read().open, [0; 6]);
        assert!(counters.open_signals(1).is_some());
    }
}
