//! Who somebody is to others: a public id, and the name they chose.

use serde::{Deserialize, Serialize};

/// Characters of a chosen name.
pub const MAX_NAME: usize = 24;

/// Why somebody does not get a name: it could be taken for an operator's, or an operator chose theirs.
pub const NAME_RESERVED: &str = "name_reserved";
pub const NAME_FIXED: &str = "name_fixed";

/// Public; the secret behind it never leaves the visitor's cookie. 32 hexadecimal digits, or 16 of a visitor from before ids had
/// so many.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub String);

impl PersonId {
    /// Enough of it to tell people without a name apart.
    pub fn short(&self) -> &str {
        self.0.get(..4).unwrap_or(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    /// Empty until one is chosen: pages then say "guest" in the reader's language.
    pub name: String,
}
