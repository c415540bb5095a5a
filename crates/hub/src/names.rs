//! The policy for visitors' display names. An app that reserves names, or sets one for a visitor, implements its own.

use duplex_protocol::person::{MAX_NAME, Person, PersonId};
use duplex_protocol::session::Rejection;
use tokio::sync::watch;

/// A requested name was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NameRejection {
    /// The reason, as a key that the page translates, such as [`NAME_RESERVED`](duplex_protocol::person::NAME_RESERVED).
    pub reason: &'static str,
}

impl From<NameRejection> for Rejection {
    fn from(error: NameRejection) -> Self {
        Self::custom(error.reason)
    }
}

/// Validates and assigns display names. Its methods are called for each connection and each change of a name: they must not block.
pub trait NamePolicy: Send + Sync + 'static {
    /// The name that results from the text that `who` requested; empty for no name.
    ///
    /// # Errors
    ///
    /// If the name is reserved, or the visitor's name was set by an operator.
    fn choose(&self, who: &PersonId, is_operator: bool, requested: &str) -> Result<String, NameRejection>;

    /// Changes when an operator sets or releases a name: sessions then call [`Self::resolve`] again. The default never changes.
    fn changes(&self) -> watch::Receiver<()> {
        watch::channel(()).1
    }

    /// The person as other visitors see them: with the requested name, the name that an operator set, or none.
    fn resolve(&self, person: Person, is_operator: bool) -> Person;
}

/// The default policy: any name of visible characters, cut at [`MAX_NAME`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyName;

impl NamePolicy for AnyName {
    fn choose(&self, _: &PersonId, _: bool, requested: &str) -> Result<String, NameRejection> {
        let visible = requested.trim().chars().filter(|c| !c.is_control());
        Ok(visible.take(MAX_NAME).collect())
    }

    fn resolve(&self, mut person: Person, is_operator: bool) -> Person {
        person.name = self.choose(&person.id, is_operator, &person.name).unwrap_or_default();
        person
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_and_not_too_long() {
        let id = PersonId("a".to_owned());
        let name = |requested: &str| AnyName.choose(&id, false, requested).unwrap();
        assert_eq!(name("  Kim\n\u{7} "), "Kim");
        assert_eq!(name(&"가".repeat(30)).chars().count(), MAX_NAME);
    }
}
