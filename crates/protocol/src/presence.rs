//! The subscribers of a topic at a moment.

use serde::{Deserialize, Serialize};

use super::person::Person;

/// The most people that are listed in one [`Presence`]; more are only counted.
pub const MAX_LISTED_PEOPLE: usize = 100;

/// The longest activity, such as `typing`, in bytes.
pub const MAX_ACTIVITY: usize = 32;

/// All subscribers of a topic at a moment; a newer value replaces it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// People in the order in which they came, one entry for each however many tabs they have; at most [`MAX_LISTED_PEOPLE`].
    pub people: Vec<Present>,
    /// The number of people, including those not listed.
    pub people_count: u32,
    /// The number of sessions: a person with two tabs has two.
    pub session_count: u32,
}

/// A person in a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// The person.
    pub person: Person,
    /// What they are doing, in the application's word, such as `typing`. It ends by itself a few seconds after it was last sent.
    pub activity: Option<String>,
}
