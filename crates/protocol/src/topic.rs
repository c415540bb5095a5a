//! The [`Topic`] trait, which server and browser share, and topic names.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};

use super::cursor::Seq;

/// Maximum length of a topic's name, in bytes.
pub const MAX_TOPIC_NAME: usize = 80;

/// A kind of topic: its commands, its events, and the state that is the fold of its events. The crate's [front page](crate) has an
/// example.
pub trait Topic: Sized + Send + Sync + 'static {
    /// The first segment of its topics' names: lower-case letters.
    const KIND: &'static str;
    /// What a subscriber receives if it cannot keep up.
    const DELIVERY: Delivery = Delivery::Every;
    /// Whether subscribers receive the topic's presence.
    const PRESENCE: bool = true;

    /// The command: a client's request. At most [`MAX_COMMAND`](crate::session::MAX_COMMAND) bytes when encoded.
    type Command: Serialize + DeserializeOwned + Clone + fmt::Debug + PartialEq + Send + Sync + 'static;
    /// The event: a change that happened. Events are stored, so a new version of the type must decode the old encoding.
    type Event: Serialize + DeserializeOwned + Clone + fmt::Debug + PartialEq + Send + Sync + 'static;
    /// The state, sent to new subscribers. It is sent whole, so its size must be bounded.
    type State: Default + Serialize + DeserializeOwned + Clone + fmt::Debug + PartialEq + Send + Sync + 'static;

    /// Folds an event into the state. Must be pure and must not panic for any event: the server and every client compute the same
    /// state. `seq` is the event's position and can serve as the id of an item that the event adds.
    fn apply(state: &mut Self::State, seq: Seq, event: &Self::Event);

    /// Under [`Delivery::Latest`], the event's key: a newer event of the same key replaces it. An event without a key is never
    /// replaced.
    fn key(_event: &Self::Event) -> Option<String> {
        None
    }

    /// The earlier event that this one amends, such as an edit or a reaction. A page of history has each event together with its
    /// amendments.
    fn amends(_event: &Self::Event) -> Option<Seq> {
        None
    }
}

/// The command type of topics that visitors only read. It has no values, and decoding always fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoCommand {}

/// The delivery guarantee for a subscriber that cannot keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// All events, in order; read from the log if they are no longer in memory.
    Every,
    /// The newest event of each key that changed since the subscriber's cursor.
    Latest,
}

/// The name of a topic, such as `chat/lobby`: two segments or more of `a-z 0-9 - _ .`, none empty, at most [`MAX_TOPIC_NAME`]
/// bytes. The first segment is the topic's kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TopicName(String);

/// Returned when a string is not a valid [`TopicName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTopicNameError {
    /// It has more than [`MAX_TOPIC_NAME`] bytes.
    #[error("a topic's name must not exceed {MAX_TOPIC_NAME} bytes")]
    TooLong,
    /// It is not of the form `kind/name`, or has other characters.
    #[error("a topic's name must be kind/name, with the characters a-z 0-9 - _ .")]
    Malformed,
}

impl TopicName {
    /// The topic `name` of `T`'s kind: `of::<Chat>("lobby")` is `chat/lobby`.
    ///
    /// # Errors
    ///
    /// If the result is not a topic's name: see [`ParseTopicNameError`].
    pub fn of<T: Topic>(name: &str) -> Result<Self, ParseTopicNameError> {
        format!("{}/{name}", T::KIND).parse()
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(kind, _)| kind)
    }

    /// The segments after the kind.
    pub fn rest(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }
}

impl FromStr for TopicName {
    type Err = ParseTopicNameError;

    fn from_str(text: &str) -> Result<Self, ParseTopicNameError> {
        if text.len() > MAX_TOPIC_NAME {
            return Err(ParseTopicNameError::TooLong);
        }
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let segment = |segment: &str| !segment.is_empty() && segment.bytes().all(is_allowed);
        if text.contains('/') && text.split('/').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseTopicNameError::Malformed)
        }
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TopicName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Encoding;

    #[test]
    fn no_command_never_decodes() {
        for json in ["null", "{}", "\"a\"", "{\"a\":1}", "0"] {
            assert!(Encoding::Json.decode::<NoCommand>(json.as_bytes()).is_err(), "{json}");
        }
        for byte in [0, 1, 0x7f] {
            assert!(Encoding::Postcard.decode::<NoCommand>(&[byte]).is_err(), "{byte}");
        }
    }

    #[test]
    fn a_name_has_a_kind_and_a_rest() {
        let name: TopicName = "chat/rooms/lobby-1".parse().unwrap();
        assert_eq!((name.kind(), name.rest()), ("chat", "rooms/lobby-1"));
        for wrong in [
            "",
            "chat",
            "chat/",
            "/lobby",
            "chat//x",
            "chat/Lobby",
            "chat/a b",
            "chat/가",
            "chat/a@1",
        ] {
            assert_eq!(
                wrong.parse::<TopicName>(),
                Err(ParseTopicNameError::Malformed),
                "{wrong}"
            );
        }
        let long = format!("chat/{}", "x".repeat(MAX_TOPIC_NAME));
        assert_eq!(long.parse::<TopicName>(), Err(ParseTopicNameError::TooLong));
    }
}
