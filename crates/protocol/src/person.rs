//! A visitor as others see them: a public id, and a chosen name.

use serde::{Deserialize, Serialize};

/// Maximum length of a chosen name, in characters.
pub const MAX_NAME: usize = 24;

/// The reason in `name_refused` if a name is reserved, such as an operator's.
pub const NAME_RESERVED: &str = "name_reserved";
/// The reason in `name_refused` if an operator set the visitor's name.
pub const NAME_FIXED: &str = "name_fixed";

/// The public id of a visitor, derived from the secret in the visitor's cookie, which is never sent to other visitors. 32
/// hexadecimal digits; 16 for ids of earlier versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub String);

impl PersonId {
    /// The first four digits, to distinguish people without a name.
    pub fn short(&self) -> &str {
        self.0.get(..4).unwrap_or(&self.0)
    }
}

/// A visitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The public id.
    pub id: PersonId,
    /// The chosen name, at most [`MAX_NAME`] characters; empty until one is chosen.
    pub name: String,
}
