//! Deciders: the server half of a kind of topic, which says who may enter and what a command does.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command::TopicCommand;
use super::rights::{Authority, Needed};
use duplex_protocol::codec::Blob;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::Person;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

pub use crate::log::{Millis, Retention};
pub use crate::origin::{Origin, Principal};
pub use duplex_protocol::topic::NoCommand;

/// What a sender may do in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Subscribe and read.
    Read,
    /// Also send commands.
    Write,
}

/// What a command makes that stays. It has a quota of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// Something that everybody sees, such as a room.
    ForAll,
    /// Something of the person's own, such as an alert.
    ForOne,
}

/// The circumstances of a command.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The topic.
    pub topic: &'a TopicName,
    /// The sender.
    pub who: &'a Person,
    /// How the sender was authenticated.
    pub origin: Origin,
    /// The sender's rights.
    pub authority: Authority,
    /// The time, in milliseconds since the Unix epoch.
    pub now: Millis,
    /// The seq of the first event that this command makes.
    pub next: Seq,
}

impl<'a> Context<'a> {
    /// The sender with its origin.
    #[must_use]
    pub const fn principal(&self) -> Principal<'a> {
        Principal {
            person: self.who,
            origin: self.origin,
        }
    }
}

/// A command for another topic that follows from an event and is sent in the name of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward(TopicCommand);

impl Forward {
    /// Sends `command` to the topic `rest` of `T`'s kind. None if `rest` makes no topic's name, or the command does not encode. A command
    /// whose JSON is `null` only starts the topic.
    #[must_use]
    pub fn to<T: Topic>(rest: &str, command: &T::Command) -> Option<Self> {
        TopicCommand::to::<T>(rest, command).ok().map(Self)
    }

    /// Sends a command of the server's own to the topic `rest` of `D`'s kind. None if `rest` makes no topic's name, or the command
    /// has no JSON.
    #[must_use]
    pub fn server_command<D: Decider>(rest: &str, command: &D::ServerCommand) -> Option<Self> {
        TopicCommand::server_command::<D>(rest, command).ok().map(Self)
    }

    /// Only starts the topic, for readers that wait for it. None if `rest` makes no topic's name.
    #[must_use]
    pub fn start<T: Topic>(rest: &str) -> Option<Self> {
        TopicName::of::<T>(rest).ok().map(TopicCommand::start).map(Self)
    }

    /// The command and its topic.
    #[must_use]
    pub const fn command(&self) -> &TopicCommand {
        &self.0
    }

    pub(crate) fn into_parts(self) -> (TopicName, Blob) {
        self.0.into_parts()
    }
}

impl From<TopicCommand> for Forward {
    fn from(command: TopicCommand) -> Self {
        Self(command)
    }
}

/// What the log stores of a topic as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// An event.
    Event,
    /// The state of a snapshot.
    State,
}

/// What an event erases of the events before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Redaction {
    /// Nothing is erased.
    #[default]
    Nothing,
    /// The payloads of these events, and of every event that amends one of them, are replaced by [`Decider::redacted`]. Their seqs, times
    /// and amendments stay, so cursors and pages of history stay valid.
    Events(Vec<Seq>),
    /// All events before this one are removed. Seqs go on; a reader with an earlier cursor is reset to the state, which must contain nothing
    /// of what was removed.
    Everything,
}

/// Commands that the server gives and visitors do not. What a visitor sends is never decoded as this type.
///
/// Commands of the server are JSON. They are decoded as this type, and as [`Topic::Command`] where they are none of it: the server
/// may give a visitor's command, too. The log keeps undelivered ones, so that what it holds must still be read.
pub trait ServerCommand<D: Decider>: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Whether programs give these commands, too. If so, a program's commands are decoded as this type only.
    const FOR_PROGRAMS: bool = false;

    /// Decides the command, as [`Decider::decide`] decides those of visitors.
    ///
    /// # Errors
    ///
    /// Why the command has no effect.
    fn decide(self, decider: &D, at: Context<'_>, state: &D::State) -> Result<Vec<D::Event>, Rejection>;
}

/// For topics whose every command visitors may give.
impl<D: Decider> ServerCommand<D> for NoCommand {
    fn decide(self, _decider: &D, _at: Context<'_>, _state: &D::State) -> Result<Vec<D::Event>, Rejection> {
        match self {}
    }
}

/// The server half of a kind of topic. Its methods are pure: the same arguments, the same result. The crate's [front page](crate) has an
/// example.
pub trait Decider: Topic {
    /// What only the server may command; [`NoCommand`] where there is no such command.
    type ServerCommand: ServerCommand<Self>;

    /// Whether events are kept in this process's memory only and end with it.
    const FLEETING: bool = false;

    /// The version of the JSON that the log stores of this kind. A change of [`Topic::Event`] or [`Topic::State`] that does not read the
    /// stored JSON takes the next number, and a step in [`Self::upcast`].
    const KEPT_VERSION: u32 = 1;

    /// Converts stored JSON of `version` to `version + 1`, when it is read. The log is not changed.
    fn upcast(_version: u32, _kept: Kept, json: serde_json::Value) -> serde_json::Value {
        json
    }

    /// Whether only operators may enter, and programs with the role `read`; [`Self::admit`] is called for those.
    const FOR_OPERATORS: bool = false;

    /// Whether such a topic belongs to one person: of the programs, only those with the role `operator` may read it.
    const PRIVATE: bool = false;

    /// Decides about access to a topic. Called for each subscription and each command; must not block.
    ///
    /// # Errors
    ///
    /// Why the topic is closed to the sender.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied>;

    /// Whether this topic exists before its first event, so that a reader starts it. Any other is started by its first command, or once
    /// another topic lists it; until then a reader gets the default state.
    fn stands(&self, _topic: &TopicName) -> bool {
        true
    }

    /// The topic whose state lists the topics of this kind, if there is one.
    fn listed_in(&self) -> Option<TopicName> {
        None
    }

    /// For a topic that lists others: whether its state lists `topic`.
    fn lists(_state: &Self::State, _topic: &TopicName) -> bool {
        false
    }

    /// Whether commands of this kind may make something that stays; [`Self::makes`] is called only then.
    const MAKES: bool = false;

    /// What a command makes that stays, if anything.
    fn makes(_command: &Self::Command) -> Option<Makes> {
        None
    }

    /// The role that a program needs to write to a topic. A visitor only needs to be admitted.
    fn program_role<'a>(&self, _topic: &'a TopicName) -> Needed<'a> {
        Needed::Operator
    }

    /// Decides a command: returns no event, one, or several that are stored together. The command may be hostile: every limit of the
    /// state is enforced here.
    ///
    /// # Errors
    ///
    /// Why the command has no effect; an application's own reason is [`Rejection::refused`].
    fn decide(
        &self,
        at: Context<'_>,
        state: &Self::State,
        command: Self::Command,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// The commands for other topics that follow from an event, called with the state after it. They are stored in the commit of the event
    /// and have their effect once, also after a restart. Those of an event that is redacted before they are delivered are removed.
    fn forward(&self, _topic: &TopicName, _state: &Self::State, _seq: Seq, _event: &Self::Event) -> Vec<Forward> {
        Vec::new()
    }

    /// The number of parts of its command that an event refused, such as readings of a report: for the operator's metrics.
    fn refused_parts(_event: &Self::Event) -> u64 {
        0
    }

    /// What an event, which was just applied, erases. It is erased in the commit that stores the event, in the log and in memory: from then
    /// on no answer, no page of history, no replay and no backup contains it. The state after the event becomes the snapshot, so
    /// [`Topic::apply`] must have removed the text from it too. Expensive: it writes the whole state and empties the log's journal.
    fn redacts(&self, _state: &Self::State, _event: &Self::Event) -> Redaction {
        Redaction::Nothing
    }

    /// What replaces an event that is erased. It must amend the same event and have the same key; applied in the old one's place it must
    /// lead, with the events after it, to the same state.
    fn redacted(&self, event: Self::Event) -> Self::Event {
        event
    }

    /// How much the log keeps of a topic; 100,000 events of any age by default.
    fn retention(&self) -> Retention {
        Retention {
            events: 100_000,
            age: None,
        }
    }
}
