//! Addresses where programs post what becomes a command. Knows no HTTP and no application.

pub(crate) mod route;

use std::collections::BTreeMap;

use duplex_hub::decider::Millis;
use duplex_protocol::topic::TopicName;

/// An address where a program posts JSON, and shows the token.
#[derive(Debug, Clone, Copy)]
pub struct Inlet {
    /// As Axum writes it: `/api/devices/{id}/readings`.
    pub path: &'static str,
    /// One English sentence for a developer who asks this address with another method.
    pub purpose: &'static str,
    /// Bytes of a body.
    pub body_limit: usize,
    /// A token that is no JSON number costs its own member, not the body: see [`mend`](duplex_hub::json::mend).
    pub mends_numbers: bool,
    pub command: fn(&Call) -> Result<Intent, BadCall>,
    /// What an accepted call is told beside its seq.
    pub outcome: Option<Outcome>,
}

/// By the event that says it, as the log keeps it. None: that event says nothing.
pub type Outcome = fn(&[u8]) -> Option<serde_json::Value>;

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Of the path, by name.
    pub params: BTreeMap<String, String>,
    pub body: serde_json::Value,
}

/// What a call wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    pub topic: TopicName,
    /// JSON of that topic's command.
    pub command: serde_json::Value,
    /// Calls of the same path with the same key have one effect. The header `Idempotency-Key` goes first.
    pub key: Option<String>,
    /// When it happened, as the call itself says: with it, calls of the same key have one effect for ever. Without it, and where the
    /// header says the key, within the window of ids that carry no time.
    pub time: Option<Millis>,
}

/// English text for the program's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCall {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Unprocessable(String),
}
