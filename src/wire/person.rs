//! Who somebody is to others: a public id, and the name they chose.

use serde::{Deserialize, Serialize};

use super::text;

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

/// A name as it is kept: one line of visible characters, cut at [`MAX_NAME`]. The server tidies it once more, and composes it.
pub fn tidy_name(typed: &str) -> String {
    text::cut(&text::one_line(typed), MAX_NAME).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_tidied() {
        assert_eq!(tidy_name("  Kim\n\tMinji  "), "Kim Minji");
        assert_eq!(tidy_name("\u{0}\u{7}"), "");
        assert_eq!(tidy_name(&"가".repeat(30)), "가".repeat(24));
        assert_eq!(tidy_name(&format!("{} x", "a".repeat(23))), "a".repeat(23));
    }
}
