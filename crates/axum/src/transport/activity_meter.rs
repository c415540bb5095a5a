//! Tracks a WebSocket's byte-level activity: when bytes were last received and written. Timeouts are
//! based on bytes, not messages: a peer in the middle of a long message is not silent, and a peer that reads slowly has not
//! stalled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::BufferShare;
use crate::connection::observed_stream::ByteObserver;
use crate::limits;

/// The meter of one connection. Shared with the stream, so it can be read while the stream is borrowed.
#[derive(Debug)]
pub(crate) struct ActivityMeter {
    opened: Instant,
    /// Nanoseconds after `opened`, enough for 584 years.
    last_received: AtomicU64,
    last_written: AtomicU64,
    /// Bytes of partially received messages that are reserved in the node's buffer budget.
    reserved: AtomicUsize,
    share: Arc<BufferShare>,
}

impl ActivityMeter {
    pub(crate) fn new(share: Arc<BufferShare>) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self {
            opened: Instant::now(),
            last_received: zero(),
            last_written: zero(),
            reserved: AtomicUsize::new(0),
            share,
        })
    }

    /// The time since the connection's opening.
    pub(crate) fn elapsed(&self) -> Duration {
        self.opened.elapsed()
    }

    pub(crate) fn instant_at(&self, elapsed: Duration) -> Instant {
        self.opened + elapsed
    }

    /// When bytes were last received, or when the server last resumed reading after a blocked write.
    pub(crate) fn last_received(&self) -> Duration {
        Duration::from_nanos(self.last_received.load(Relaxed))
    }

    /// Records that the server resumes reading: the peer's silence counts from now.
    pub(crate) fn on_reading_resumed(&self) {
        self.mark(&self.last_received);
    }

    /// When bytes were last written.
    pub(crate) fn last_written(&self) -> Duration {
        Duration::from_nanos(self.last_written.load(Relaxed))
    }

    /// The connection's share of the node's buffers.
    pub(crate) fn share(&self) -> &BufferShare {
        &self.share
    }

    /// Releases all reserved bytes; bytes that are received later are dropped and not reserved.
    pub(crate) fn release(&self) {
        self.share.close();
    }

    /// Reserves the bytes of a partially received message beyond one read buffer, so that messages that arrive whole reserve nothing.
    pub(crate) fn set_partial(&self, bytes: usize) {
        let due = bytes.saturating_sub(limits::READ_BUFFER);
        let before = self.reserved.swap(due, Relaxed);
        if due > before {
            self.share.grow(due - before);
        } else {
            self.share.shrink(before - due);
        }
    }

    fn mark(&self, moment: &AtomicU64) {
        moment.store(u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl ByteObserver for Arc<ActivityMeter> {
    fn on_read(&self, _bytes: &[u8]) {
        self.mark(&self.last_received);
    }

    fn on_written(&self, _count: usize) {
        self.mark(&self.last_written);
    }
}
