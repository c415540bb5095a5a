//! Simulations: they advance on a fixed tick and send each participant its own latest frame.
//!
//! A simulation has no log: a dropped frame is superseded by the next, which contains the changes since the frame that the
//! participant acknowledged. A slow participant gets fewer frames.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{BackgroundTask, Hub};
use crate::limits;
use crate::session::TokenBucket;
use duplex_protocol::code;
use duplex_protocol::person::Person;

/// A simulation; its [`BackgroundTask`] advances it.
pub trait Simulation: BackgroundTask {
    /// The path of its WebSocket, with a leading slash and without parameters. `{path}/turn` serves the same over HTTP;
    /// `{path}/record` serves [`Self::recording`].
    fn path(&self) -> &'static str;

    /// A one-sentence description, returned to plain HTTP requests of this path.
    fn description(&self) -> &'static str;

    /// The largest message of a participant, in bytes.
    fn message_limit(&self) -> usize;

    /// Adds a participant, which leaves when the returned value is dropped. Must not block. `hub` has the participant's rights.
    ///
    /// # Errors
    ///
    /// [`JoinError::Full`] at the limit of participants.
    fn join(self: Arc<Self>, person: &Person, hub: &Hub) -> Result<Box<dyn Participant>, JoinError>;

    /// The data that a page shows before it is connected, as JSON.
    fn preview(&self) -> Option<String> {
        None
    }

    /// A recording, as a file. Must be cheap: anyone may request it repeatedly.
    fn recording(&self) -> Option<Bytes> {
        None
    }
}

/// One participant of a simulation. Its methods must not block.
pub trait Participant: Send {
    /// Handles a message, which may be hostile.
    ///
    /// # Errors
    ///
    /// [`MessageError::Malformed`] if it does not decode; the participant's connection is then closed.
    fn on_message(&mut self, bytes: &[u8]) -> Result<(), MessageError>;

    /// Completes when a newer frame may be available. Cancel safe.
    fn ready(&mut self) -> BoxFuture<'_, ()>;

    /// The latest frame, unless it was returned before.
    fn next_frame(&mut self) -> Option<Bytes>;
}

/// The reason why a participant cannot join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The simulation is at its limit of participants.
    #[error("the participant limit is reached")]
    Full,
}

/// The reason why a participant's message is rejected; its connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Messages come faster than [`RateLimited`] allows.
    #[error("messages exceed the rate limit")]
    TooFast,
    /// A message does not decode.
    #[error("malformed message")]
    Malformed,
}

impl JoinError {
    /// The close code of the connection.
    pub const fn code(self) -> u16 {
        match self {
            Self::Full => code::TRY_AGAIN,
        }
    }
}

impl MessageError {
    /// The close code of the connection.
    pub const fn code(self) -> u16 {
        match self {
            Self::TooFast => code::TOO_FAST,
            Self::Malformed => code::MALFORMED,
        }
    }
}

/// A participant whose messages are limited: one per 16 ms, with a burst of 120.
pub struct RateLimited {
    participant: Box<dyn Participant>,
    bucket: TokenBucket,
}

impl RateLimited {
    /// Limits a participant's messages.
    pub fn new(participant: Box<dyn Participant>) -> Self {
        Self {
            participant,
            bucket: TokenBucket::new(limits::SIMULATION_BURST, limits::SIMULATION_MESSAGE_INTERVAL),
        }
    }

    /// Handles a message; `now` is the time since this value was created.
    ///
    /// # Errors
    ///
    /// [`MessageError::TooFast`] beyond the rate, else the participant's error.
    pub fn on_message(&mut self, bytes: &[u8], now: Duration) -> Result<(), MessageError> {
        self.bucket.take(now).map_err(|_| MessageError::TooFast)?;
        self.participant.on_message(bytes)
    }

    /// See [`Participant::ready`].
    pub fn ready(&mut self) -> BoxFuture<'_, ()> {
        self.participant.ready()
    }

    /// See [`Participant::next_frame`].
    pub fn next_frame(&mut self) -> Option<Bytes> {
        self.participant.next_frame()
    }
}
