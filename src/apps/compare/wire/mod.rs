//! The topic by which a command and its answer are measured, and the socket that documents are asked of.

pub mod measure;

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::Topic;

/// A WebSocket: a number is answered with a document of so many bytes.
pub const DOCUMENTS_PATH: &str = "/api/compare/documents";

/// Topics `compare/00` to `compare/ff`, shared by all runs: what a run leaves in the log has a bound, however many there are.
#[derive(Debug, Clone, Copy)]
pub struct Compare;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Say { text: String },
}

/// What was said last, and how much before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    pub count: u64,
    pub text: String,
}

impl Topic for Compare {
    const KIND: &'static str = "compare";
    const PRESENCE: bool = false;

    type Command = Said;
    type Event = Said;
    type State = Newest;

    fn apply(state: &mut Newest, _seq: Seq, Said::Say { text }: &Said) {
        state.count = state.count.saturating_add(1);
        text.clone_into(&mut state.text);
    }
}

/// Of a topic, behind its kind.
pub fn is_slot(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
