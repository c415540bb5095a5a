//! Deciders: the server half of a kind of topic. A decider authorizes senders and decides commands.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command::TopicCommand;
use super::rights::{Authority, RequiredRole};
use duplex_protocol::codec::EncodedValue;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::Person;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

pub use crate::log::{Millis, Retention};
pub use crate::sender::{Principal, SenderKind};
pub use duplex_protocol::topic::NoCommand;

/// What a sender may do in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Subscribe and read.
    Read,
    /// Also send commands.
    Write,
}

/// A lasting object that a command creates. It has a quota of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// An object that everyone sees, such as a room.
    Shared,
    /// An object of one person, such as an alert.
    Personal,
}

/// The metadata of a command: its topic, sender, rights and time.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The topic.
    pub topic: &'a TopicName,
    /// The sender.
    pub sender: &'a Person,
    /// How the sender was authenticated.
    pub sender_kind: SenderKind,
    /// The sender's rights.
    pub authority: Authority,
    /// The time, in milliseconds since the Unix epoch.
    pub now: Millis,
    /// The seq of the first event of this command.
    pub next_seq: Seq,
}

impl<'a> Context<'a> {
    /// The sender with its kind.
    #[must_use]
    pub const fn principal(&self) -> Principal<'a> {
        Principal {
            person: self.sender,
            sender_kind: self.sender_kind,
        }
    }
}

/// A command to another topic that follows from an event. It is sent with the server as its principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward(TopicCommand);

impl Forward {
    /// Sends `command` to the topic `rest` of `T`'s kind. `None` if `rest` is no valid topic name, or the command cannot be
    /// encoded. A command whose JSON is `null` starts the topic and has no other effect.
    #[must_use]
    pub fn to<T: Topic>(rest: &str, command: &T::Command) -> Option<Self> {
        TopicCommand::to::<T>(rest, command).ok().map(Self)
    }

    /// Sends a server command to the topic `rest` of `D`'s kind. `None` if `rest` is no valid topic name, or the command cannot be
    /// encoded.
    #[must_use]
    pub fn server_command<D: Decider>(rest: &str, command: &D::ServerCommand) -> Option<Self> {
        TopicCommand::server_command::<D>(rest, command).ok().map(Self)
    }

    /// Starts the topic without any other effect, so that waiting readers are attached. `None` if `rest` is no valid topic name.
    #[must_use]
    pub fn start<T: Topic>(rest: &str) -> Option<Self> {
        TopicName::of::<T>(rest).ok().map(TopicCommand::start).map(Self)
    }

    /// The command and its topic.
    #[must_use]
    pub const fn command(&self) -> &TopicCommand {
        &self.0
    }

    pub(crate) fn into_parts(self) -> (TopicName, EncodedValue) {
        self.0.into_parts()
    }
}

impl From<TopicCommand> for Forward {
    fn from(command: TopicCommand) -> Self {
        Self(command)
    }
}

/// The kinds of JSON that the log stores for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredJson {
    /// An event.
    Event,
    /// The state of a snapshot.
    State,
}

/// The earlier events that an event redacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Redaction {
    /// Nothing is redacted.
    #[default]
    Nothing,
    /// The payloads of these events, and of every event that amends one of them, are replaced by [`Decider::redacted`]. Their
    /// seqs, times and amendments stay, so cursors and pages of history stay valid.
    Events(Vec<Seq>),
    /// All events before this one are removed. Seqs continue. A reader with an earlier cursor is reset to the state, which must
    /// contain nothing of the removed events.
    AllEarlier,
}

/// Commands that no visitor can send: a visitor's command is never decoded as this type.
///
/// Server commands are JSON. They are decoded as this type first, and then as [`Topic::Command`]: the server may also send a
/// visitor's command. The log stores undelivered server commands, so stored JSON must stay readable.
pub trait ServerCommand<D: Decider>: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Whether programs may send these commands too. If so, their commands are decoded only as this type.
    const ACCEPTED_FROM_PROGRAMS: bool = false;

    /// Decides the command, as [`Decider::decide`] decides a visitor's command.
    ///
    /// # Errors
    /// Returns the reason of the rejection.
    fn decide(self, decider: &D, context: Context<'_>, state: &D::State) -> Result<Vec<D::Event>, Rejection>;
}

/// For kinds that have no server commands.
impl<D: Decider> ServerCommand<D> for NoCommand {
    fn decide(self, _decider: &D, _context: Context<'_>, _state: &D::State) -> Result<Vec<D::Event>, Rejection> {
        match self {}
    }
}

/// The server half of a kind of topic. Its methods are pure: the same arguments give the same result. The [crate page](crate) has
/// an example.
pub trait Decider: Topic {
    /// The commands that no visitor can send; [`NoCommand`] if there are none.
    type ServerCommand: ServerCommand<Self>;

    /// Whether events are stored in this process's memory only and are lost with it.
    const EPHEMERAL: bool = false;

    /// The version of the stored JSON of this kind. A change of [`Topic::Event`] or [`Topic::State`] that cannot decode the stored
    /// JSON must increment this and add a step to [`Self::upcast`].
    const STORED_VERSION: u32 = 1;

    /// Converts stored JSON of `version` to `version + 1` when it is read. The log is not changed.
    fn upcast(_version: u32, _stored: StoredJson, json: serde_json::Value) -> serde_json::Value {
        json
    }

    /// Whether only operators and programs with the role `read` have access. [`Self::admit`] is still called for them.
    const OPERATORS_ONLY: bool = false;

    /// Whether such a topic belongs to one person: of the programs, only those with the role `operator` may read it.
    const PRIVATE: bool = false;

    /// Decides who may access a topic. Called for each subscription and each command; must not block.
    ///
    /// # Errors
    ///
    /// Returns the reason why access is denied.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial>;

    /// Whether a reader starts this topic before its first event. Otherwise the topic starts with its first command, or once its
    /// list topic ([`Self::listed_in`]) lists it; until then readers get the default state.
    fn starts_on_read(&self, _topic: &TopicName) -> bool {
        true
    }

    /// The list topic of this kind: a topic whose state lists the topics that exist, if there is one.
    fn listed_in(&self) -> Option<TopicName> {
        None
    }

    /// For the kind of a list topic: whether its state lists `topic`.
    fn lists(_state: &Self::State, _topic: &TopicName) -> bool {
        false
    }

    /// Whether commands of this kind may create lasting objects; [`Self::creates`] is called only then.
    const CREATES: bool = false;

    /// The lasting object that a command creates, if any.
    fn creates(_command: &Self::Command) -> Option<Creation> {
        None
    }

    /// The role that a program needs to write to a topic. A visitor only needs to be admitted.
    fn program_role<'a>(&self, _topic: &'a TopicName) -> RequiredRole<'a> {
        RequiredRole::Operator
    }

    /// Decides a command: returns no event, one, or several that are stored together. The command may be hostile: every limit of
    /// the state is enforced here.
    ///
    /// # Errors
    ///
    /// Returns the reason of the rejection; an application's own reason is [`Rejection::custom`].
    fn decide(
        &self,
        context: Context<'_>,
        state: &Self::State,
        command: Self::Command,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// The commands for other topics that follow from an event, called with the state after it. They are stored in the commit of
    /// the event and have their effect once, even after a restart. If the event is redacted before they are delivered, they are
    /// removed.
    fn forward(&self, _topic: &TopicName, _state: &Self::State, _seq: Seq, _event: &Self::Event) -> Vec<Forward> {
        Vec::new()
    }

    /// The number of rejected parts of the event's command, such as readings in a report. It is exported as a metric.
    fn rejected_parts(_event: &Self::Event) -> u64 {
        0
    }

    /// The earlier events that an event redacts, called right after the event is applied. They are redacted in the commit that
    /// stores the event, in the log and in memory: from then on no answer, no page of history, no replay and no backup contains
    /// them. The state after the event becomes the snapshot, so [`Topic::apply`] must have removed the redacted content from it
    /// too. Expensive: it writes the whole state and truncates the log's WAL.
    fn redacts(&self, _state: &Self::State, _event: &Self::Event) -> Redaction {
        Redaction::Nothing
    }

    /// The replacement of a redacted event. It must amend the same event and have the same key; applied in place of the old event
    /// it must lead, with the events after it, to the same state.
    fn redacted(&self, event: Self::Event) -> Self::Event {
        event
    }

    /// The retention of a topic's events; 100,000 events of any age by default.
    fn retention(&self) -> Retention {
        Retention {
            events: 100_000,
            age: None,
        }
    }
}
