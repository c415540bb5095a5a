//! The presence of a topic: its current subscribers.

use serde::{Deserialize, Serialize};

use super::person::Person;

/// Maximum people listed in a [`Presence`]; more are only counted.
pub const MAX_LISTED_PEOPLE: usize = 100;

/// Maximum length of an activity, such as `typing`, in bytes.
pub const MAX_ACTIVITY: usize = 32;

/// The current subscribers of a topic; a newer value replaces an older one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// People in the order of their arrival, one entry per person, even with several tabs; at most [`MAX_LISTED_PEOPLE`].
    pub people: Vec<PresentPerson>,
    /// The number of people, including those not listed.
    pub people_count: u32,
    /// The number of sessions: a person with two tabs has two.
    pub session_count: u32,
}

/// A person who is subscribed to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentPerson {
    /// The person.
    pub person: Person,
    /// The person's activity, an application-defined name such as `typing`. It expires a few seconds after it was last sent.
    pub activity: Option<String>,
}
