//! What an application of the server offers and is told, and the pure parts of a connection's life.
//! Knows no socket, no HTTP and no application.

mod batch;
mod bill;
pub mod bucket;
mod clock;
pub mod counters;
mod crowd;
pub mod decider;
mod dedupe;
mod diverged;
pub mod excerpt;
mod feed;
mod forward;
mod frames;
mod fuzz;
mod handle;
pub mod handshakes;
mod inlet;
pub mod json;
pub mod keepalive;
mod kept;
mod kind;
mod membership;
mod memory;
pub mod names;
mod outbox;
mod page;
mod presence;
pub mod reader;
mod reading;
mod recovery;
mod redaction;
mod resume;
mod rights;
mod ring;
pub mod session;
mod shared_state;
pub mod stage;
mod stats;
mod summons;
pub mod text;
mod topic;
mod topics;
pub mod trial;
mod unwritten;
mod wake;
pub mod writer;

pub use self::bill::Bill;
pub use self::clock::now;
pub use self::feed::{Feed, Running};
pub use self::forward::{program, server};
pub use self::handle::TopicHandle;
pub use self::inlet::{BadCall, Call, Inlet, Intent};
pub use self::kind::{Kind, kind};
pub use self::membership::Membership;
pub use self::reading::{Most, Reading};
pub use self::rights::{Authority, Needed, NotARole, Rights, Role};
pub use self::stats::{HubStats, TopicFigures};
pub use self::summons::Summons;
pub use self::topics::{Hub, WriteDenied};
pub use self::wake::Wake;
pub use super::log::Retention;
use crate::wire::form::Fields;
use duplex_protocol::topic::TopicName;

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

/// A page's plain form, for a browser that runs no scripts: what is posted to the page's own path is answered by the page.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub path: &'static str,
    /// The form's only field.
    pub field: &'static str,
    /// Runs where the page is about to be rendered, and leaves the answer there for the page to find.
    pub answer: fn(&str),
}

/// A page's plain form whose fields make a command, for a browser that runs no scripts. A field `name` is also kept as the
/// visitor's name.
#[derive(Debug, Clone, Copy)]
pub struct CommandForm {
    /// The page's own, with parameters as Axum writes them: `/chat/{room}`.
    pub path: &'static str,
    /// From the request's path and the fields: the topic, and its command as JSON.
    pub command: fn(&str, &Fields) -> Option<(TopicName, serde_json::Value)>,
    /// Where the browser goes once the command had its effect.
    pub then: fn(&str, &Fields) -> String,
}

impl CommandForm {
    /// The page itself.
    pub fn same_page(path: &str, _: &Fields) -> String {
        path.to_owned()
    }
}
