//! The messages of the bus and their encoding: JSON, several messages in a payload.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits;
use crate::topic::shared_presence::PresenceUpdate;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// Identifies a node from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(u64);

impl NodeId {
    /// An id that no other node has.
    pub(crate) fn random() -> Self {
        Self(uuid::Uuid::new_v4().as_u64_pair().0)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// What a node tells the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The topic's newest event.
    Head(TopicName, Seq),
    /// The node's people in the topic.
    Presence(TopicName, PresenceUpdate),
    /// The topic was started: tell its people.
    AskPresence(TopicName),
}

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    node: NodeId,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// Encodes messages in as few payloads as the limit permits. A message that exceeds the limit is omitted.
pub(crate) fn encode(node: NodeId, messages: impl IntoIterator<Item = Message>) -> Vec<String> {
    let mut payloads = Vec::new();
    let (start, end) = (format!(r#"{{"node":{},"messages":["#, node.0), "]}");
    let mut open = String::new();
    for message in messages {
        let Ok(json) = serde_json::to_string(&message) else {
            continue;
        };
        if start.len() + json.len() + end.len() > limits::MAX_BUS_PAYLOAD {
            continue;
        }
        if !open.is_empty() && open.len() + 1 + json.len() + end.len() > limits::MAX_BUS_PAYLOAD {
            payloads.push(std::mem::take(&mut open) + end);
        }
        open.push_str(if open.is_empty() { &start } else { "," });
        open.push_str(&json);
    }
    if !open.is_empty() {
        payloads.push(open + end);
    }
    payloads
}

/// The sender and its messages; `None` if the payload is malformed. Messages that this version does not know are omitted, so that
/// nodes of two versions can run together.
pub(crate) fn decode(payload: &str) -> Option<(NodeId, Vec<Message>)> {
    let Payload { node, messages } = serde_json::from_str(payload).ok()?;
    let known = messages.iter().filter_map(|json| serde_json::from_str(json.get()).ok());
    Some((node, known.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: usize) -> Message {
        Message::Head(format!("chat/{number:060}").parse().unwrap(), number as Seq)
    }

    #[test]
    fn messages_are_split_into_payloads_within_the_limit() {
        let node = NodeId::random();
        let messages: Vec<_> = (0..1_000).map(head).collect();
        let payloads = encode(node, messages.clone());
        assert!(payloads.iter().all(|payload| payload.len() <= limits::MAX_BUS_PAYLOAD));
        assert!(payloads.len() < 14, "{} payloads", payloads.len());
        let decoded = payloads.iter().map(|payload| decode(payload).unwrap());
        let decoded = decoded.flat_map(|(from, messages)| {
            assert_eq!(from, node);
            messages
        });
        assert_eq!(decoded.collect::<Vec<_>>(), messages);
        assert_eq!(encode(node, []), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_message_is_omitted_and_a_malformed_payload_rejected() {
        let payload =
            r#"{"node":7,"messages":[{"later":[1]},{"head":["chat/a",3]},{"head":["Not a topic",3]}],"more":1}"#;
        let topic = "chat/a".parse().unwrap();
        assert_eq!(decode(payload), Some((NodeId(7), vec![Message::Head(topic, 3)])));
        for malformed in ["", "[]", "{}", r#"{"node":7,"messages":[{]}"#] {
            assert_eq!(decode(malformed), None, "{malformed}");
        }
    }
}
