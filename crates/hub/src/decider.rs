//! What an application's server half says about its topics: who may enter, and what a command does. Pure.
//! Knows no topic task, no log and no network.

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

/// What somebody may do in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// What a command makes that stays: it is counted apart from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// Something that everybody is shown, such as a room.
    ForAll,
    /// Something of the person's own, such as an alert.
    ForOne,
}

/// Where and when a command is decided, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub topic: &'a TopicName,
    pub who: &'a Person,
    pub origin: Origin,
    /// What `who` may do beyond being there.
    pub authority: Authority,
    pub now: Millis,
    /// The seq of the first event that this command makes.
    pub next: Seq,
}

impl<'a> Context<'a> {
    #[must_use]
    pub const fn principal(&self) -> Principal<'a> {
        Principal {
            person: self.who,
            origin: self.origin,
        }
    }
}

/// A command for another topic, in the name of the server. It follows from an event: sent again, it must do no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward(TopicCommand);

impl Forward {
    /// Sends `command` to the topic `rest` of `T`'s kind. None if `rest` makes no topic's name, or the command has no JSON. A command
    /// whose JSON is null only starts the topic.
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

    /// Only starts the topic, for those who wait for it. None if `rest` makes no topic's name.
    #[must_use]
    pub fn start<T: Topic>(rest: &str) -> Option<Self> {
        TopicName::of::<T>(rest).ok().map(TopicCommand::start).map(Self)
    }

    /// What is sent, and where to.
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

/// What the log keeps of a topic, as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Event,
    /// Of a snapshot.
    State,
}

/// What an event takes away for good of the events before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Redaction {
    #[default]
    Nothing,
    /// The payloads of these events, and of every event that amends one of them, become what [`Decider::redacted`] makes of
    /// them. Their seqs, times and amendments stay, so that cursors and pages of history stay sound.
    Events(Vec<Seq>),
    /// All events before this one: they are no longer kept. Seqs go on; a reader from before is reset to the state, which is to
    /// hold nothing of what went.
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

/// The server half of a topic's kind.
pub trait Decider: Topic {
    /// What only the server may command; [`NoCommand`] where there is no such command.
    type ServerCommand: ServerCommand<Self>;

    /// Its events live in this process's memory and end with it: for what nobody wants to read tomorrow.
    const FLEETING: bool = false;

    /// The version of the JSON that the log keeps of this kind. A change of [`Topic::Event`] or [`Topic::State`] that does not read
    /// what is kept by now takes the next number, and a step in [`Self::upcast`].
    const KEPT_VERSION: u32 = 1;

    /// Brings what version `version` kept to the form of `version + 1`. What the log has stays as it is.
    fn upcast(_version: u32, _kept: Kept, json: serde_json::Value) -> serde_json::Value {
        json
    }

    /// Only operators may enter, and programs with the role `read`; `admit` is asked then.
    const FOR_OPERATORS: bool = false;

    /// Of the programs only an operator's may read it: such a topic belongs to one person.
    const PRIVATE: bool = false;

    /// Called at each subscribe and each command; must be quick.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied>;

    /// Whether this topic is there before its first event, so that it is started for whoever reads it. Any other is started by
    /// its first command, or once another topic lists it; until then a reader is shown how it begins.
    fn stands(&self, _topic: &TopicName) -> bool {
        true
    }

    /// The topic whose state lists the topics of this kind, if one does.
    fn listed_in(&self) -> Option<TopicName> {
        None
    }

    /// Of a topic that lists others: does it list this one?
    fn lists(_state: &Self::State, _topic: &TopicName) -> bool {
        false
    }

    /// Whether commands of this kind may make something that stays; then [`Self::makes`] is asked.
    const MAKES: bool = false;

    fn makes(_command: &Self::Command) -> Option<Makes> {
        None
    }

    /// What a program needs to write in such a topic. A visitor needs nothing but to be admitted.
    fn program_role<'a>(&self, _topic: &'a TopicName) -> Needed<'a> {
        Needed::Operator
    }

    /// What the command makes happen: no event, one, or several that are kept together. Pure: the same arguments, the same
    /// events. Never trusts the command: every bound of the state is held here.
    fn decide(
        &self,
        at: Context<'_>,
        state: &Self::State,
        command: Self::Command,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// What other topics should hear of an event. It is kept in the commit of the event, and delivered once, if need be after a
    /// restart; of an event whose text goes, what was not delivered yet goes too.
    fn forward(&self, _topic: &TopicName, _state: &Self::State, _seq: Seq, _event: &Self::Event) -> Vec<Forward> {
        Vec::new()
    }

    /// How many parts of its command this event says did not count, such as readings of a report: for the operator's metrics.
    fn refused_parts(_event: &Self::Event) -> u64 {
        0
    }

    /// What this event, which was just applied, takes away. It is done in the commit that keeps the event, in the log as in
    /// memory: from then on no answer, no page of history, no resume and no backup holds it. The state after the event becomes the
    /// snapshot, so [`Topic::apply`] must have let the text go from it too. Not for what visitors do often: it writes the whole
    /// state, and empties the log's journal.
    fn redacts(&self, _state: &Self::State, _event: &Self::Event) -> Redaction {
        Redaction::Nothing
    }

    /// What is left of an event whose text goes. It amends what it amended, has the key that it had, and applied in the old one's
    /// place it leads, with the events after it, to the same state.
    fn redacted(&self, event: Self::Event) -> Self::Event {
        event
    }

    fn retention(&self) -> Retention {
        Retention {
            events: 100_000,
            age: None,
        }
    }
}
