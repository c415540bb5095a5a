//! Tracks a WebSocket's byte-level activity: when bytes were last received and written, and how many were received. Timeouts are
//! based on bytes, not messages: a peer in the middle of a long message is not silent, and a peer that reads slowly has not
//! stalled.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::websocket::CloseFrameParser;
use crate::connection::BufferShare;
use crate::connection::observed_stream::ByteObserver;
use crate::limits;
use crate::lock::lock;

/// The meter of one connection. Shared with the stream, so it can be read while the stream is borrowed.
#[derive(Debug)]
pub(crate) struct ActivityMeter {
    opened: Instant,
    /// Nanoseconds after `opened`, enough for 584 years.
    last_received: AtomicU64,
    last_written: AtomicU64,
    bytes_in: AtomicU64,
    /// Bytes of partially received messages.
    partial: AtomicUsize,
    /// The part of `partial` that is reserved in the node's buffer budget.
    reserved: AtomicUsize,
    share: Arc<BufferShare>,
    peer_close: Mutex<CloseFrameParser>,
}

impl ActivityMeter {
    pub(crate) fn new(share: Arc<BufferShare>) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self {
            opened: Instant::now(),
            last_received: zero(),
            last_written: zero(),
            bytes_in: zero(),
            partial: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            share,
            peer_close: Mutex::default(),
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

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    /// The connection's share of the node's buffers.
    pub(crate) fn share(&self) -> &BufferShare {
        &self.share
    }

    /// The peer's close frame, if its code is registered with IANA but rejected by tungstenite.
    pub(crate) fn unsupported_close(&self) -> Option<(u16, String)> {
        lock(&self.peer_close).unsupported_close()
    }

    /// Releases all reserved bytes; bytes that are received later are dropped and not reserved.
    pub(crate) fn release(&self) {
        self.share.close();
    }

    /// Records that a message is complete: all received bytes belong to it.
    pub(crate) fn on_message_received(&self) {
        self.partial.store(0, Relaxed);
        self.update_reservation();
    }

    /// Records that a control frame of this size is complete. It may have arrived between the frames of a message.
    pub(crate) fn on_control_received(&self, bytes: usize) {
        let rest = |partial: usize| Some(partial.saturating_sub(bytes));
        let _ = self.partial.try_update(Relaxed, Relaxed, rest);
        self.update_reservation();
    }

    /// Reserves the bytes of partial messages beyond one read buffer, so that messages that arrive whole reserve nothing.
    fn update_reservation(&self) {
        let due = self.partial.load(Relaxed).saturating_sub(limits::READ_BUFFER);
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
    fn on_read(&self, bytes: &[u8]) {
        let count = bytes.len();
        self.mark(&self.last_received);
        lock(&self.peer_close).feed(bytes);
        self.bytes_in.fetch_add(count as u64, Relaxed);
        if self.partial.fetch_add(count, Relaxed) + count > limits::READ_BUFFER {
            self.update_reservation();
        }
    }

    fn on_written(&self, _count: usize) {
        self.mark(&self.last_written);
    }
}
