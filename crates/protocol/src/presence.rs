//! Who is in a topic now.

use serde::{Deserialize, Serialize};

use super::person::Person;

/// People named in one presence; more are only counted.
pub const MAX_NAMED: usize = 100;

/// Bytes of an activity, such as `typing`.
pub const MAX_ACTIVITY: usize = 32;

/// The whole of it at one moment; a newer one replaces it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// In the order in which they came; one entry a person, however many tabs they have. At most [`MAX_NAMED`].
    pub people: Vec<Present>,
    /// All people, those not named too.
    pub people_count: u32,
    /// All sessions: a person with two tabs has two.
    pub session_count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    pub person: Person,
    /// What they are doing, in the application's word; it ends by itself a few seconds after it was last said.
    pub activity: Option<String>,
}
