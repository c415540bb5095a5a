//! Two kinds of topics for tests, one for each delivery mode.

use std::collections::BTreeMap;

use duplex::apps::status::wire::NodeStatus;
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_hub::{DynTopic, dyn_topic};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::{Delivery, Topic, TopicName};
use serde::{Deserialize, Serialize};

/// A list of texts, with [`Delivery::Every`].
pub struct Notes;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Note {
    Add(String),
    Amend(Seq, String),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NotesState {
    pub count: u64,
    /// The newest 20.
    pub texts: Vec<(Seq, String)>,
}

impl Topic for Notes {
    const KIND: &'static str = "notes";
    type Command = Note;
    type Event = Note;
    type State = NotesState;

    fn apply(state: &mut NotesState, seq: Seq, event: &Note) {
        match event {
            Note::Add(text) => {
                state.count += 1;
                state.texts.push((seq, text.clone()));
                if state.texts.len() > 20 {
                    state.texts.remove(0);
                }
            }
            Note::Amend(amended, text) => {
                if let Some(found) = state.texts.iter_mut().find(|(seq, _)| seq == amended) {
                    found.1.clone_from(text);
                }
            }
        }
    }

    fn amends(event: &Note) -> Option<Seq> {
        match event {
            Note::Add(_) => None,
            Note::Amend(seq, _) => Some(*seq),
        }
    }
}

impl Decider for Notes {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        match topic.rest() {
            "secret" => Err(Denial::Forbidden),
            "read-only" => Ok(Access::Read),
            _ => Ok(Access::Write),
        }
    }

    fn decide(&self, _context: Context<'_>, _state: &NotesState, command: Note) -> Result<Vec<Note>, Rejection> {
        match &command {
            Note::Add(text) if text.is_empty() => Err(Rejection::custom("empty")),
            _ => Ok(vec![command]),
        }
    }
}

/// Numbers by name, with [`Delivery::Latest`].
pub struct Prices;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price(pub String, pub u64);

impl Topic for Prices {
    const KIND: &'static str = "prices";
    const DELIVERY: Delivery = Delivery::Latest;
    type Command = Price;
    type Event = Price;
    type State = BTreeMap<String, u64>;

    fn apply(state: &mut Self::State, _seq: Seq, Price(name, price): &Price) {
        state.insert(name.clone(), *price);
    }

    fn key(Price(name, _): &Price) -> Option<String> {
        Some(name.clone())
    }
}

impl Decider for Prices {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _context: Context<'_>, _state: &Self::State, command: Price) -> Result<Vec<Price>, Rejection> {
        Ok(vec![command])
    }
}

pub fn all() -> Vec<Box<dyn DynTopic>> {
    vec![dyn_topic(Notes), dyn_topic(Prices), dyn_topic(NodeStatus)]
}
