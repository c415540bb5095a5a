//! Addresses where programs post what becomes a command. Knows no HTTP and no application.

mod route;

pub use self::route::routes;

use std::collections::BTreeMap;

use duplex_hub::decider::Millis;
use duplex_hub::{CommandError, TopicCommand};
use duplex_protocol::topic::Topic;

/// An address where a program posts JSON, and shows the token.
#[derive(Debug, Clone, Copy)]
pub struct IngestEndpoint {
    /// As Axum writes it: `/api/devices/{id}/readings`.
    pub path: &'static str,
    /// One English sentence for a developer who asks this address with another method.
    pub purpose: &'static str,
    /// Bytes of a body.
    pub body_limit: usize,
    /// A token that is no JSON number costs its own member, not the body: see [`mend`](duplex_hub::json::mend).
    pub mends_numbers: bool,
    /// Reads a request.
    pub command: fn(&IngestRequest) -> Result<IngestCommand, IngestError>,
    /// What an accepted request is told beside its seq.
    pub outcome: Option<Outcome>,
}

/// By the event that says it, as the log keeps it. None: that event says nothing.
pub type Outcome = fn(&[u8]) -> Option<serde_json::Value>;

#[derive(Debug, Clone, PartialEq)]
pub struct IngestRequest {
    /// Of the path, by name.
    pub params: BTreeMap<String, String>,
    pub body: serde_json::Value,
}

/// What a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestCommand {
    pub command: TopicCommand,
    /// Requests of the same path with the same key have one effect. The header `Idempotency-Key` goes first.
    pub key: Option<String>,
    /// When it happened, as the request itself says: with it, requests of the same key have one effect for ever. Without it, and
    /// where the header says the key, within the window of ids that carry no time.
    pub time: Option<Millis>,
}

impl IngestCommand {
    /// A command for the topic `rest` of `T`'s kind.
    ///
    /// # Errors
    ///
    /// Where `rest` makes no topic's name, or the command has no JSON.
    pub fn to<T: Topic>(rest: &str, command: &T::Command) -> Result<Self, IngestError> {
        Ok(TopicCommand::to::<T>(rest, command)?.into())
    }

    #[must_use]
    pub fn with_key(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }

    #[must_use]
    pub fn with_time(self, time: Option<Millis>) -> Self {
        Self { time, ..self }
    }
}

impl From<TopicCommand> for IngestCommand {
    fn from(command: TopicCommand) -> Self {
        Self {
            command,
            key: None,
            time: None,
        }
    }
}

/// English text for the program's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Unprocessable(String),
}

impl From<CommandError> for IngestError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Topic(error) => Self::NotFound(format!("{error}.")),
            CommandError::Unwritable(_) => Self::Unprocessable(format!("{error}.")),
        }
    }
}
