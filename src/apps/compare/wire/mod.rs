//! Wire types of the comparison: the topics `compare/<slot>`, and the path of the document WebSocket.

pub mod measure;

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::Topic;

/// A WebSocket that replies to a number N with a document of N bytes.
pub const DOCUMENTS_PATH: &str = "/api/compare/documents";

/// Topics `compare/00` to `compare/ff`, shared by all runs, so that the log stays bounded.
#[derive(Debug, Clone, Copy)]
pub struct Compare;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareMessage {
    #[serde(rename = "say")]
    Text { text: String },
}

/// The latest message and the number of all messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestMessage {
    pub count: u64,
    pub text: String,
}

impl Topic for Compare {
    const KIND: &'static str = "compare";
    const PRESENCE: bool = false;

    type Command = CompareMessage;
    type Event = CompareMessage;
    type State = LatestMessage;

    fn apply(state: &mut LatestMessage, _seq: Seq, CompareMessage::Text { text }: &CompareMessage) {
        state.count = state.count.saturating_add(1);
        text.clone_into(&mut state.text);
    }
}

/// Whether `name` is a valid slot: two lower-case hexadecimal digits.
pub fn is_slot(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
