//! What a topic is: its name, its types and the fold that is the same on the server and in the browser.
//! Knows no application and no network.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};

use super::cursor::Seq;

/// Bytes of a topic's whole name.
pub const MAX_TOPIC_NAME: usize = 80;

/// A kind of topic: what one wants of it, what happens in it, and the state that follows from what happened.
pub trait Topic: Sized + Send + Sync + 'static {
    /// The first segment of its topics' names: lower-case letters.
    const KIND: &'static str;
    const DELIVERY: Delivery = Delivery::Every;
    /// Its readers are told who else reads it.
    const PRESENCE: bool = true;

    type Command: Serialize + DeserializeOwned + Clone + fmt::Debug + PartialEq + Send + Sync + 'static;
    type Event: Serialize + DeserializeOwned + Clone + fmt::Debug + PartialEq + Send + Sync + 'static;
    /// What a reader who comes now is given. Its size must have a bound: it travels whole.
    type State: Default + Serialize + DeserializeOwned + Clone + fmt::Debug + PartialEq + Send + Sync + 'static;

    /// Pure and total: the same on both sides, and never a panic, whatever event comes. `seq` is the event's place, so it
    /// can serve as the name of what the event made.
    fn apply(state: &mut Self::State, seq: Seq, event: &Self::Event);

    /// Under `Delivery::Latest`: what the event is the news of. A newer event of the same key makes this one needless.
    fn key(_event: &Self::Event) -> Option<String> {
        None
    }

    /// The earlier event that this one amends (an edit, a reaction): a page of history brings an event with its amendments.
    fn amends(_event: &Self::Event) -> Option<Seq> {
        None
    }
}

/// The command type of topics that visitors only read. It has no value: nothing encodes it, and every decode fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoCommand {}

/// What a reader gets that cannot keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// All events, from the log if need be.
    Every,
    /// The newest event of each key that changed.
    Latest,
}

/// `kind/name`, `chat/lobby`: two segments or more of `a-z 0-9 - _ .`, none empty, at most [`MAX_TOPIC_NAME`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TopicName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATopic {
    #[error("a topic's name has at most {MAX_TOPIC_NAME} bytes")]
    TooLong,
    #[error("a topic is named kind/name, of a-z 0-9 - _ .")]
    Malformed,
}

impl TopicName {
    /// The name `rest` under `T`'s kind.
    pub fn of<T: Topic>(rest: &str) -> Result<Self, NotATopic> {
        format!("{}/{rest}", T::KIND).parse()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(kind, _)| kind)
    }

    /// What stands behind the kind.
    pub fn rest(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }
}

impl FromStr for TopicName {
    type Err = NotATopic;

    fn from_str(text: &str) -> Result<Self, NotATopic> {
        if text.len() > MAX_TOPIC_NAME {
            return Err(NotATopic::TooLong);
        }
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let segment = |segment: &str| !segment.is_empty() && segment.bytes().all(plain);
        if text.contains('/') && text.split('/').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotATopic::Malformed)
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
    fn nothing_is_decoded_as_no_command() {
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
            assert_eq!(wrong.parse::<TopicName>(), Err(NotATopic::Malformed), "{wrong}");
        }
        let long = format!("chat/{}", "x".repeat(MAX_TOPIC_NAME));
        assert_eq!(long.parse::<TopicName>(), Err(NotATopic::TooLong));
    }
}
