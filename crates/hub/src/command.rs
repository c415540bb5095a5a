//! Commands as JSON, each addressed to a topic.

use duplex_protocol::codec::{CodecError, EncodedValue, Encoding};
use duplex_protocol::topic::{ParseTopicNameError, Topic, TopicName};
use serde::Serialize;

use crate::decider::Decider;

/// A JSON command and the topic it is addressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCommand {
    topic: TopicName,
    json: String,
}

/// A [`TopicCommand`] cannot be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The topic's name is invalid.
    #[error(transparent)]
    Topic(#[from] ParseTopicNameError),
    /// The command cannot be encoded; the text is the cause.
    #[error("the command cannot be encoded: {0}")]
    Encode(String),
}

impl TopicCommand {
    /// A command for the topic of `T`'s kind whose name has the part `rest` after the kind.
    ///
    /// # Errors
    ///
    /// If `rest` is no valid topic name, or the command cannot be encoded.
    pub fn to<T: Topic>(rest: &str, command: &T::Command) -> Result<Self, CommandError> {
        Self::new(TopicName::of::<T>(rest)?, command)
    }

    /// A [`ServerCommand`](crate::decider::ServerCommand) for the topic `rest` of `D`'s kind, as in [`Self::to`].
    ///
    /// # Errors
    ///
    /// If `rest` is no valid topic name, or the command cannot be encoded.
    pub fn server_command<D: Decider>(rest: &str, command: &D::ServerCommand) -> Result<Self, CommandError> {
        Self::new(TopicName::of::<D>(rest)?, command)
    }

    /// A command of any type, for a topic of any kind.
    ///
    /// # Errors
    ///
    /// If the command cannot be encoded.
    pub fn new(topic: TopicName, command: &impl Serialize) -> Result<Self, CommandError> {
        // A `Value` sorts its members, so the log's bytes do not depend on the order of a type's fields.
        let json = serde_json::to_value(command).map_err(|error| CommandError::Encode(error.to_string()))?;
        let json = json.to_string();
        Ok(Self { topic, json })
    }

    /// A command that starts the topic and has no other effect.
    pub(crate) fn start(topic: TopicName) -> Self {
        let json = "null".to_owned();
        Self { topic, json }
    }

    /// The topic.
    #[must_use]
    pub const fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The command as JSON, with the members of objects sorted.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Decodes the command as `T::Command`.
    ///
    /// # Errors
    ///
    /// If it is not a command of `T`.
    pub fn decode<T: Topic>(&self) -> Result<T::Command, CodecError> {
        Encoding::Json.decode(self.json.as_bytes())
    }

    /// The topic, and the command as JSON.
    #[must_use]
    pub fn into_parts(self) -> (TopicName, EncodedValue) {
        (self.topic, EncodedValue(self.json.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use duplex_protocol::cursor::Seq;
    use serde::Deserialize;

    use super::*;
    use crate::decider::Forward;

    struct Lights;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Switch {
        On { since: u64, by: String },
        Off,
    }

    impl Topic for Lights {
        const KIND: &'static str = "lights";
        type Command = Switch;
        type Event = Switch;
        type State = u64;

        fn apply(_: &mut u64, _: Seq, _: &Switch) {}
    }

    #[test]
    fn a_command_is_json_with_sorted_members_and_decodes_again() {
        let by = "Kim".to_owned();
        let on = Switch::On { since: 7, by };
        let command = TopicCommand::to::<Lights>("hall", &on).unwrap();
        assert_eq!(command.topic().as_str(), "lights/hall");
        assert_eq!(command.json(), r#"{"on":{"by":"Kim","since":7}}"#);
        assert_eq!(command.decode::<Lights>(), Ok(on));
        let (_, EncodedValue(json)) = TopicCommand::to::<Lights>("hall", &Switch::Off).unwrap().into_parts();
        assert_eq!(json, br#""off""#);
    }

    #[test]
    fn an_invalid_topic_name_gets_no_command() {
        let wrong = TopicCommand::to::<Lights>("The Hall", &Switch::Off);
        assert_eq!(wrong, Err(CommandError::Topic(ParseTopicNameError::Malformed)));
        assert_eq!(Forward::to::<Lights>("The Hall", &Switch::Off), None);
        assert_eq!(Forward::start::<Lights>("The Hall"), None);
        let start = Forward::start::<Lights>("hall").unwrap();
        assert_eq!(
            (start.command().topic().as_str(), start.command().json()),
            ("lights/hall", "null")
        );
    }
}
