//! The kinds of senders of commands: a visitor, a program with a token, or the server itself.

use std::sync::LazyLock;

use duplex_protocol::person::{Person, PersonId};

/// The kind of a sender, which follows from its authentication and not from an id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SenderKind {
    /// A person with a browser.
    #[default]
    Visitor,
    /// A program with a token.
    Program,
    /// This server: a forward, or [`Hub::send`](crate::Hub::send).
    Server,
}

/// A sender that asks for access to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    /// The visitor, or the placeholder person of programs or of the server.
    pub person: &'a Person,
    /// The kind of sender.
    pub sender_kind: SenderKind,
}

/// The placeholder persons of programs and of the server: their ids are senders in the log and in the deduplication window.
static PROGRAM: LazyLock<Person> = LazyLock::new(|| placeholder("ffffffffffffffff"));
static SERVER: LazyLock<Person> = LazyLock::new(|| placeholder("0000000000000000"));

fn placeholder(id: &str) -> Person {
    Person {
        id: PersonId(id.to_owned()),
        name: String::new(),
    }
}

/// Whether the id stands for programs or for the server. Such an id is reserved; visitors never get it.
pub fn is_reserved(id: &PersonId) -> bool {
    [&PROGRAM.id, &SERVER.id].contains(&id)
}

impl SenderKind {
    /// The person that other visitors see: the visitor, or the placeholder person of programs or of the server.
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
    /// A visitor.
    #[must_use]
    pub const fn visitor(person: &'a Person) -> Self {
        Self {
            person,
            sender_kind: SenderKind::Visitor,
        }
    }
}

impl Principal<'static> {
    /// A program. All programs share one id.
    #[must_use]
    pub fn program() -> Self {
        Self {
            person: &PROGRAM,
            sender_kind: SenderKind::Program,
        }
    }

    /// The server itself.
    #[must_use]
    pub fn server() -> Self {
        Self {
            person: &SERVER,
            sender_kind: SenderKind::Server,
        }
    }
}

impl<'a> From<&'a Person> for Principal<'a> {
    fn from(person: &'a Person) -> Self {
        Self::visitor(person)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decider::{Access, Context, Decider, NoCommand};
    use crate::log::memory::MemoryLog;
    use crate::{Hub, Rights, Role, dyn_topic};
    use duplex_protocol::codec::{EncodedValue, Encoding};
    use duplex_protocol::cursor::{Epoch, Seq};
    use duplex_protocol::session::{CommandId, Denial, Rejection};
    use duplex_protocol::topic::{Topic, TopicName};

    /// Records the sender of each command.
    struct Senders;

    impl Topic for Senders {
        const KIND: &'static str = "senders";
        type Command = ();
        type Event = (String, String);
        type State = Vec<(String, String)>;

        fn apply(senders: &mut Self::State, _: Seq, sender: &Self::Event) {
            senders.push(sender.clone());
        }
    }

    impl Decider for Senders {
        type ServerCommand = NoCommand;

        fn admit(&self, who: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
            match who.sender_kind {
                SenderKind::Visitor => Ok(Access::Read),
                SenderKind::Program | SenderKind::Server => Ok(Access::Write),
            }
        }

        fn decide(&self, context: Context<'_>, _: &Self::State, (): ()) -> Result<Vec<Self::Event>, Rejection> {
            Ok(vec![(
                format!("{:?}", context.sender_kind),
                context.sender.id.0.clone(),
            )])
        }
    }

    /// The kind of sender follows from the rights of the request, not from the id in it.
    #[tokio::test]
    async fn the_kind_of_a_sender_follows_from_its_rights() {
        let hub = Hub::new(Arc::new(MemoryLog::new(Epoch::new(7))), vec![dyn_topic(Senders)]);
        let topic: TopicName = "senders/all".parse().unwrap();
        let program = hub.with_rights(Rights::program(vec![Role::Operator], false));
        let claimed = SERVER.clone();
        assert_eq!(hub.admit(&claimed, &topic), Ok(Access::Read));
        assert_eq!(program.admit(&claimed, &topic), Ok(Access::Write));
        for (number, hub) in [(1, &hub), (2, &program)] {
            let command = EncodedValue::encode(Encoding::Json, &()).unwrap();
            let handle = hub.open(&topic).await.unwrap();
            let id = CommandId::from_bits(number);
            handle.command(claimed.clone(), id, command, Encoding::Json).await;
        }
        hub.send::<Senders>("all", CommandId::from_bits(3), &()).await;
        let (_, state) = hub.open(&topic).await.unwrap().state(Encoding::Json).await.unwrap();
        let senders: Vec<(String, String)> = state.decode(Encoding::Json).unwrap();
        let sender = |kind: &str, id: &str| (kind.to_owned(), id.repeat(16));
        let expected = [sender("Visitor", "0"), sender("Program", "f"), sender("Server", "0")];
        assert_eq!(senders, expected);
    }

    #[test]
    fn no_visitor_may_have_the_id_of_a_program_or_of_the_server() {
        let visitor = placeholder("00000000000000aa");
        assert!(!is_reserved(&visitor.id));
        for principal in [Principal::program(), Principal::server()] {
            assert!(is_reserved(&principal.person.id));
            assert_eq!(&principal.sender_kind.person(visitor.clone()), principal.person);
        }
        assert_eq!(SenderKind::Visitor.person(visitor.clone()), visitor);
    }
}
