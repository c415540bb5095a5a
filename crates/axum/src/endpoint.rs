//! WebSocket addresses that answer each message by itself. Knows no socket.

pub use crate::transport::echo::routes;

/// A WebSocket address that answers each message by itself, without a memory.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Starts with a slash; no parameters.
    pub path: &'static str,
    /// One English sentence for a developer who asks this address over plain HTTP.
    pub purpose: &'static str,
    /// Called on the connection's own task: it must not block.
    pub answer: fn(Payload<'_>) -> Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

impl Payload<'_> {
    pub const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The message itself, kind and content; it is not copied for it.
    Same,
    Text(String),
}
