//! Where a command comes from: a visitor, a program with a token, or the server itself.

use std::sync::LazyLock;

use duplex_protocol::person::{Person, PersonId};

/// Who sends commands, told apart by how they were authenticated and not by their ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// A person with a browser.
    #[default]
    Visitor,
    /// A program that shows a token.
    Program,
    /// This server: a forward, or [`Hub::tell`](crate::Hub::tell).
    Server,
}

/// Who asks for access to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    pub person: &'a Person,
    pub origin: Origin,
}

/// The log and the memory of answered commands name programs and the server by these ids. No visitor has them.
static PROGRAM: LazyLock<Person> = LazyLock::new(|| nameless("ffffffffffffffff"));
static SERVER: LazyLock<Person> = LazyLock::new(|| nameless("0000000000000000"));

fn nameless(id: &str) -> Person {
    Person {
        id: PersonId(id.to_owned()),
        name: String::new(),
    }
}

/// Whether the id stands for programs or for the server, so that no visitor may have it.
pub fn is_reserved(id: &PersonId) -> bool {
    [&PROGRAM.id, &SERVER.id].contains(&id)
}

impl Origin {
    /// The person that others see: the visitor, or the one that stands for all programs or for the server.
    #[must_use]
    pub fn person(self, visitor: Person) -> Person {
        match self {
            Self::Visitor => visitor,
            Self::Program => PROGRAM.clone(),
            Self::Server => SERVER.clone(),
        }
    }
}

impl<'a> Principal<'a> {
    #[must_use]
    pub const fn visitor(person: &'a Person) -> Self {
        Self {
            person,
            origin: Origin::Visitor,
        }
    }
}

impl Principal<'static> {
    #[must_use]
    pub fn program() -> Self {
        Self {
            person: &PROGRAM,
            origin: Origin::Program,
        }
    }

    #[must_use]
    pub fn server() -> Self {
        Self {
            person: &SERVER,
            origin: Origin::Server,
        }
    }
}

impl<'a> From<&'a Person> for Principal<'a> {
    fn from(person: &'a Person) -> Self {
        Self::visitor(person)
    }
}
