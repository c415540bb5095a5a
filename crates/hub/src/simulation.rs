//! Stages: what is not a topic, but goes on by itself at a tick and shows each viewer a newest frame of its own. A frame says
//! what changed since the one the viewer acknowledged, so one that was never sent is not missed, and a slow viewer simply
//! gets fewer. Knows no socket, no HTTP and no application.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{BackgroundTask, Hub};
use crate::limits;
use crate::session::Bucket;
use duplex_protocol::code;
use duplex_protocol::person::Person;

/// Its [`BackgroundTask`] is what goes on by itself.
pub trait Simulation: BackgroundTask {
    /// Starts with a slash; no parameters. WebSockets open here; `/turn` under it is the same over HTTP, `/record` a file.
    fn path(&self) -> &'static str;

    /// One English sentence for a developer who asks this address over plain HTTP.
    fn purpose(&self) -> &'static str;

    /// Bytes of one message of a viewer.
    fn message_limit(&self) -> usize;

    /// Must be quick. The seat is given back by dropping it. `hub`: with the viewer's rights.
    fn join(self: Arc<Self>, person: &Person, hub: &Hub) -> Result<Box<dyn Participant>, JoinError>;

    /// What a page shows of it before there is a line, as JSON.
    fn preview(&self) -> Option<String> {
        None
    }

    /// What happened, as a file to keep. Must be cheap: anybody may ask for it again and again.
    fn record(&self) -> Option<Bytes> {
        None
    }
}

/// One viewer's place. Its methods must not block.
pub trait Participant: Send {
    /// One message. Trusts nothing in it.
    fn on_message(&mut self, bytes: &[u8]) -> Result<(), ProtocolError>;

    /// Ready when there may be a newer frame. May be dropped and asked for again at any time.
    fn ready(&mut self) -> BoxFuture<'_, ()>;

    /// The newest frame, if it was not said yet.
    fn next_frame(&mut self) -> Option<Bytes>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error("there are as many viewers as there may be")]
    Full,
}

/// What a viewer must not do; it ends the seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("messages come faster than they may")]
    TooFast,
    #[error("a message was not understood")]
    Malformed,
}

impl JoinError {
    pub const fn code(self) -> u16 {
        match self {
            Self::Full => code::TRY_AGAIN,
        }
    }
}

impl ProtocolError {
    pub const fn code(self) -> u16 {
        match self {
            Self::TooFast => code::TOO_FAST,
            Self::Malformed => code::MALFORMED,
        }
    }
}

/// A seat whose viewer is held to a rate, whatever the application.
pub struct RateLimited {
    seat: Box<dyn Participant>,
    bucket: Bucket,
}

impl RateLimited {
    pub fn new(seat: Box<dyn Participant>) -> Self {
        Self {
            seat,
            bucket: Bucket::new(limits::STAGE_BURST, limits::STAGE_EVERY),
        }
    }

    /// `now`: on the clock that began with this seat.
    pub fn on_message(&mut self, bytes: &[u8], now: Duration) -> Result<(), ProtocolError> {
        self.bucket.take(now).map_err(|_| ProtocolError::TooFast)?;
        self.seat.on_message(bytes)
    }

    pub fn ready(&mut self) -> BoxFuture<'_, ()> {
        self.seat.ready()
    }

    pub fn next_frame(&mut self) -> Option<Bytes> {
        self.seat.next_frame()
    }
}
