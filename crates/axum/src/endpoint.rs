//! Stateless WebSocket endpoints: a function from message to message.

pub use crate::transport::endpoint::routes;

/// A WebSocket endpoint that answers each message without state. For endpoints with state, see [`websocket`](crate::websocket).
#[derive(Debug, Clone, Copy)]
pub struct StatelessEndpoint {
    /// The path: starts with a slash, has no parameters.
    pub path: &'static str,
    /// One English sentence, shown as `<path>: <description>` to a client that requests the path without upgrading.
    pub description: &'static str,
    /// Computes the reply to a message. Runs on the connection's task: it must not block.
    pub reply: fn(Payload<'_>) -> Reply,
}

/// The payload of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The payload of a text message.
    Text(&'a str),
    /// The payload of a binary message.
    Binary(&'a [u8]),
}

impl Payload<'_> {
    /// Bytes of the payload.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the payload is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The reply to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The message itself, of the same type, without a copy.
    Echo,
    /// A text message.
    Text(String),
}
