//! What bounds every connection whatever it carries: time for a request's body, progress of what is written, bytes held for
//! the peer. Knows HTTP bodies and streams; no route and no engine.

pub mod buffers;
pub mod counters;
pub mod excerpt;
pub mod handshakes;
pub mod keepalive;
mod progress;
pub mod request_body;
mod response_body;
mod write_stall;

use std::sync::Arc;

pub use self::buffers::{BufferBudget, BufferShare};
pub use self::progress::{ActiveExchange, ConnectionProgress, Health};
pub use self::response_body::{PacedBody, shared_body};
pub use self::write_stall::WriteStall;
use super::https::Tls;
use super::shutdown::Shutdown;
use crate::server::connection::counters::Counters;

/// What all connections of a node share.
#[derive(Clone)]
pub struct ConnectionContext {
    pub shutdown: Shutdown,
    pub counters: Arc<Counters>,
    pub buffers: BufferBudget,
    /// Connections speak it, where it is.
    pub tls: Option<Tls>,
}
