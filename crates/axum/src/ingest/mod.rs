//! Ingest: endpoints where programs post JSON that becomes a command of a topic.

mod route;

pub use self::route::routes;

use std::collections::BTreeMap;

use duplex_hub::decider::Millis;
use duplex_hub::{CommandError, TopicCommand};
use duplex_protocol::topic::Topic;

/// An endpoint where a program posts JSON and receives the topic's answer as JSON.
///
/// The app authenticates the program; a caller without a program's [`Rights`](duplex_hub::Rights) receives 401. An accepted command
/// is answered with 200 and `{"topic", "seq", "again"}`; a rejected one with problem details, whose status depends on the
/// [`Rejection`](duplex_protocol::session::Rejection):
///
/// | status | rejection |
/// | --- | --- |
/// | 400 | the body is not JSON |
/// | 403 | the topic denies the caller, or its token lacks a role |
/// | 404 | [`IngestError::NotFound`], or no such topic |
/// | 409 | the command's time is outside the topic's deduplication window |
/// | 413 | the body or the command is too large |
/// | 422 | [`IngestError::Unprocessable`], or the decider rejects the command |
/// | 429 | too many commands; with `Retry-After` |
/// | 503 | the node has no room for the topic; with `Retry-After` |
/// | 507 | the log is full |
#[derive(Debug, Clone, Copy)]
pub struct IngestEndpoint {
    /// The path, with parameters as in [`axum::Router::route`]: `/api/devices/{id}/readings`.
    pub path: &'static str,
    /// One English sentence for a developer who uses another method than `POST`. Appended to "Programs post here: " in the 405
    /// response.
    pub description: &'static str,
    /// Maximum size of a request body, in bytes.
    pub body_limit: usize,
    /// Whether to tolerate tokens that are not JSON numbers, such as `NaN`: the object member that contains one is dropped, instead
    /// of rejecting the body. See [`sanitize`](duplex_hub::json::sanitize).
    pub lenient_numbers: bool,
    /// Builds the command of a request. Must not block.
    pub command: fn(&IngestRequest) -> Result<IngestCommand, IngestError>,
    /// Builds additional members of the response from the events of an accepted command.
    pub response_fields: Option<ResponseFields>,
}

/// Builds additional members of the response from one event, encoded as JSON as in the log. `None` if the event has none.
pub type ResponseFields = fn(&[u8]) -> Option<serde_json::Value>;

/// A program's request.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestRequest {
    /// The path's parameters, by name.
    pub params: BTreeMap<String, String>,
    /// The body.
    pub body: serde_json::Value,
}

/// The command of a request, and its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestCommand {
    /// The command and its topic.
    pub command: TopicCommand,
    /// Requests of the same path with the same key have one effect. The header `Idempotency-Key` takes precedence
    /// (draft-ietf-httpapi-idempotency-key-header).
    pub key: Option<String>,
    /// When the command happened, according to the request. With a time, a key is deduplicated permanently. Without one, or if the
    /// key comes from the header, it is deduplicated only within the deduplication window.
    pub time: Option<Millis>,
}

impl IngestCommand {
    /// A command for the topic `<T::KIND>/<rest>`.
    ///
    /// # Errors
    ///
    /// [`IngestError::NotFound`] if `rest` does not form a topic's name, [`IngestError::Unprocessable`] if the command cannot be
    /// encoded as JSON.
    pub fn to<T: Topic>(rest: &str, command: &T::Command) -> Result<Self, IngestError> {
        Ok(TopicCommand::to::<T>(rest, command)?.into())
    }

    /// The same command with an idempotency key.
    #[must_use]
    pub fn with_key(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }

    /// The same command with the time at which it happened, in milliseconds since the Unix epoch.
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

/// Why a request could not be converted into a command. The text is English, for the program's developer, and ends with a full
/// stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The path names no existing resource: 404.
    #[error("{0}")]
    NotFound(String),
    /// The body is JSON of another shape: 422.
    #[error("{0}")]
    Unprocessable(String),
}

impl From<CommandError> for IngestError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Topic(error) => Self::NotFound(format!("{error}.")),
            CommandError::Encode(_) => Self::Unprocessable(format!("{error}.")),
        }
    }
}
