//! Per-connection accounting: counters, the budget of buffered bytes, keepalive, stall detection, observers of TCP bytes.

mod buffers;
pub(crate) mod counters;
pub(crate) mod handshakes;
pub(crate) mod keepalive;
pub(crate) mod observed_stream;
mod progress;
pub(crate) mod request_body;
mod response_body;
pub(crate) mod truncated_payload;
mod write_stall;

use std::sync::Arc;

use axum::http::{Extensions, HeaderName, HeaderValue, header};

use self::observed_stream::ByteObserver;

pub use self::buffers::BufferBudget;
pub(crate) use self::buffers::BufferShare;
pub use self::counters::{
    ConnectionGuard, ConnectionKind, CounterSnapshot, Counters, DisconnectReason, RejectionReason,
};
pub(crate) use self::progress::{ActiveExchange, ConnectionProgress, ConnectionState};
pub(crate) use self::response_body::PacedBody;
pub use self::response_body::shared_body;
pub(crate) use self::write_stall::WriteTimeoutStream;

/// Headers of a response that must reach its client at once: proxies neither store, transform nor buffer it.
pub const UNBUFFERED_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    ),
    (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    ),
];

/// An observer of one TCP connection's bytes. Its methods are called on the connection's task and must not block. With TLS it
/// observes the decrypted bytes.
pub trait ConnectionObserver: Send + Sync + 'static {
    /// Inserts the observer's data for the app's routes into the extensions of a request of the connection.
    fn insert_extensions(self: Arc<Self>, extensions: &mut Extensions);

    /// Called after `bytes` were read. `bytes` is never empty.
    fn on_read(&self, bytes: &[u8]);

    /// Called before `count` bytes are written. The peer may receive them, and answer, before [`on_written`](Self::on_written) is called.
    fn before_write(&self, count: usize);

    /// Called if `count` of the bytes passed to [`before_write`](Self::before_write) were not written.
    fn on_unwritten(&self, count: usize);

    /// Called after `count` bytes were written. `count` is never 0.
    fn on_written(&self, count: usize);
}

impl ByteObserver for Option<Arc<dyn ConnectionObserver>> {
    fn on_read(&self, bytes: &[u8]) {
        if let Some(observer) = self {
            observer.on_read(bytes);
        }
    }

    fn before_write(&self, count: usize) {
        if let Some(observer) = self {
            observer.before_write(count);
        }
    }

    fn on_unwritten(&self, count: usize) {
        if let Some(observer) = self {
            observer.on_unwritten(count);
        }
    }

    fn on_written(&self, count: usize) {
        if let Some(observer) = self {
            observer.on_written(count);
        }
    }
}
