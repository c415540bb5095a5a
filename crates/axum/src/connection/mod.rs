//! What bounds every connection whatever it carries: time for a request's body, progress of what is written, bytes held for
//! the peer. Knows HTTP bodies and streams; no route and no engine.

pub mod buffers;
pub mod counters;
pub mod handshakes;
pub mod keepalive;
pub mod log_preview;
pub mod observed;
mod progress;
pub mod request_body;
mod response_body;
mod write_stall;

use std::sync::Arc;

use axum::http::Extensions;

use self::observed::Observer;

pub use self::buffers::{BufferBudget, BufferShare};
pub use self::progress::{ActiveExchange, ConnectionProgress, Health};
pub use self::response_body::{PacedBody, shared_body};
pub use self::write_stall::WriteStall;
use crate::connection::counters::Counters;
use crate::listen::https::Tls;
use crate::shutdown::Shutdown;

/// What all connections of a node share.
#[derive(Clone)]
pub struct ConnectionContext {
    pub shutdown: Shutdown,
    pub counters: Arc<Counters>,
    pub buffers: BufferBudget,
    /// Connections speak it, where it is.
    pub tls: Option<Tls>,
    /// Makes an observer for each TCP connection.
    pub observer: Option<NewConnectionObserver>,
}

/// An observer of one TCP connection's bytes, which its requests can find.
pub trait ConnectionObserver: Observer + Send + Sync {
    /// Leaves the observer in the extensions of a request of the connection.
    fn insert(&self, extensions: &mut Extensions);
}

/// Makes the observer of a new TCP connection.
pub type NewConnectionObserver = Arc<dyn Fn() -> Arc<dyn ConnectionObserver> + Send + Sync>;

impl Observer for Option<Arc<dyn ConnectionObserver>> {
    fn read(&self, bytes: &[u8]) {
        if let Some(observer) = self {
            observer.read(bytes);
        }
    }

    fn writing(&self, count: usize) {
        if let Some(observer) = self {
            observer.writing(count);
        }
    }

    fn kept_back(&self, count: usize) {
        if let Some(observer) = self {
            observer.kept_back(count);
        }
    }

    fn wrote(&self, count: usize) {
        if let Some(observer) = self {
            observer.wrote(count);
        }
    }
}
