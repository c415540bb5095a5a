//! A meter of a WebSocket's bytes: when they last moved in each direction, and how many came in. A peer that sends one long message
//! is not silent, though no message of it has arrived; one that reads slowly has not stalled.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::websocket::PeerClose;
use crate::connection::BufferShare;
use crate::connection::observed_stream::ByteObserver;
use crate::limits;
use crate::lock::lock;

/// The meter of one connection. It is read while the stream itself is borrowed.
#[derive(Debug)]
pub(crate) struct ActivityMeter {
    opened: Instant,
    /// Nanoseconds after `opened`: 584 years fit.
    heard: AtomicU64,
    wrote: AtomicU64,
    bytes_in: AtomicU64,
    /// Bytes of messages that have not arrived whole.
    partial: AtomicUsize,
    /// How many of them are charged to the node's budget.
    charged: AtomicUsize,
    share: Arc<BufferShare>,
    peer_close: Mutex<PeerClose>,
}

impl ActivityMeter {
    pub(crate) fn start(share: Arc<BufferShare>) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self {
            opened: Instant::now(),
            heard: zero(),
            wrote: zero(),
            bytes_in: zero(),
            partial: AtomicUsize::new(0),
            charged: AtomicUsize::new(0),
            share,
            peer_close: Mutex::default(),
        })
    }

    /// The time since the connection's opening.
    pub(crate) fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    pub(crate) fn at(&self, moment: Duration) -> Instant {
        self.opened + moment
    }

    /// When bytes were last received, or when the connection last resumed reading.
    pub(crate) fn heard(&self) -> Duration {
        Duration::from_nanos(self.heard.load(Relaxed))
    }

    /// Notes that the connection reads again: the peer's silence counts from now.
    pub(crate) fn listens(&self) {
        self.mark(&self.heard);
    }

    /// When bytes were last written.
    pub(crate) fn wrote(&self) -> Duration {
        Duration::from_nanos(self.wrote.load(Relaxed))
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    /// The connection's share of the node's buffers.
    pub(crate) fn share(&self) -> &BufferShare {
        &self.share
    }

    /// The peer's close frame, if its code is registered but unknown to the engine.
    pub(crate) fn registered_close(&self) -> Option<(u16, String)> {
        lock(&self.peer_close).registered()
    }

    /// Ends the charging: from now on what is received is dropped.
    pub(crate) fn release(&self) {
        self.share.close();
    }

    /// A message is complete: all bytes before belonged to it.
    pub(crate) fn message_arrived(&self) {
        self.partial.store(0, Relaxed);
        self.charge();
    }

    /// A control frame of so many bytes is complete. It may have come between the frames of a message.
    pub(crate) fn control_arrived(&self, bytes: usize) {
        let left = |partial: usize| Some(partial.saturating_sub(bytes));
        let _ = self.partial.try_update(Relaxed, Relaxed, left);
        self.charge();
    }

    /// Charges partial messages beyond one read buffer, so that messages that arrive whole cost nothing.
    fn charge(&self) {
        let due = self.partial.load(Relaxed).saturating_sub(limits::READ_BUFFER);
        let before = self.charged.swap(due, Relaxed);
        if due > before {
            self.share.grow(due - before);
        } else {
            self.share.shrink(before - due);
        }
    }

    fn mark(&self, moment: &AtomicU64) {
        moment.store(u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl ByteObserver for Arc<ActivityMeter> {
    fn on_read(&self, bytes: &[u8]) {
        let count = bytes.len();
        self.mark(&self.heard);
        lock(&self.peer_close).read(bytes);
        self.bytes_in.fetch_add(count as u64, Relaxed);
        if self.partial.fetch_add(count, Relaxed) + count > limits::READ_BUFFER {
            self.charge();
        }
    }

    fn on_written(&self, _count: usize) {
        self.mark(&self.wrote);
    }
}
