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
use crate::sync::lock;

/// Read beside the stream while the stream is borrowed.
#[derive(Debug)]
pub(crate) struct ActivityMeter {
    opened: Instant,
    /// Nanoseconds after `opened`: 584 years fit.
    heard: AtomicU64,
    wrote: AtomicU64,
    bytes_in: AtomicU64,
    /// Bytes of messages that have not arrived whole.
    partial: AtomicUsize,
    /// What of them the node's budget knows of.
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

    /// When bytes last came in, or when we began to listen again.
    pub(crate) fn heard(&self) -> Duration {
        Duration::from_nanos(self.heard.load(Relaxed))
    }

    /// Whoever did not listen cannot blame the peer for its silence.
    pub(crate) fn listens(&self) {
        self.mark(&self.heard);
    }

    /// When the peer's side last took bytes.
    pub(crate) fn wrote(&self) -> Duration {
        Duration::from_nanos(self.wrote.load(Relaxed))
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    /// What the connection holds of the node's buffers.
    pub(crate) fn share(&self) -> &BufferShare {
        &self.share
    }

    /// The peer's close frame, if the engine took a code for wrong that may be sent.
    pub(crate) fn registered_close(&self) -> Option<(u16, String)> {
        lock(&self.peer_close).registered()
    }

    /// The connection is over: what still comes in is dropped as it comes.
    pub(crate) fn release(&self) {
        self.share.close();
    }

    /// A message arrived whole, and what came before belonged to it.
    pub(crate) fn message_arrived(&self) {
        self.partial.store(0, Relaxed);
        self.charge();
    }

    /// A control frame of so many bytes came, perhaps between the parts of a message.
    pub(crate) fn control_arrived(&self, bytes: usize) {
        let left = |partial: usize| Some(partial.saturating_sub(bytes));
        let _ = self.partial.try_update(Relaxed, Relaxed, left);
        self.charge();
    }

    /// Small remainders are not counted: most messages arrive whole, and cost no more than before.
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
    fn read(&self, bytes: &[u8]) {
        let count = bytes.len();
        self.mark(&self.heard);
        lock(&self.peer_close).read(bytes);
        self.bytes_in.fetch_add(count as u64, Relaxed);
        if self.partial.fetch_add(count, Relaxed) + count > limits::READ_BUFFER {
            self.charge();
        }
    }

    fn wrote(&self, _count: usize) {
        self.mark(&self.wrote);
    }
}
