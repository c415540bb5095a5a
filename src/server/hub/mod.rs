//! What an application of the server offers and is told, and the pure parts of a connection's life.
//! Knows no socket, no HTTP and no application.

mod batch;
mod clock;
pub mod counters;
mod crowd;
pub mod decider;
mod dedupe;
pub mod excerpt;
mod forward;
mod handle;
pub mod handshakes;
pub mod keepalive;
mod kind;
mod memory;
mod presence;
mod recovery;
mod ring;
mod stats;
mod topic;
mod topics;
mod wake;

pub use self::forward::server;
pub use self::handle::{Membership, Most, Reading, TopicHandle};
pub use self::kind::{Kind, kind};
pub use self::stats::HubStats;
pub use self::topics::Hub;
pub use self::wake::Wake;

/// A WebSocket address that answers each message by itself, without a memory.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Starts with a slash; no parameters.
    pub path: &'static str,
    /// One English sentence for a developer who asks this address over plain HTTP.
    pub purpose: &'static str,
    /// Called on the connection's own task: it must not block.
    pub answer: fn(Payload<'_>) -> Answer,
    pub chatter: Chatter,
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

/// At which level the log shows each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chatter {
    Info,
    Debug,
}

/// A page's plain form, for a browser that runs no scripts: what is posted to the page's own path is answered by the page.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub path: &'static str,
    /// The form's only field.
    pub field: &'static str,
    /// Runs where the page is about to be rendered, and leaves the answer there for the page to find.
    pub answer: fn(&str),
}
