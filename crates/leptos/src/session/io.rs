//! Inputs and effects of the session state machine.

use crate::session::outbox::EncodedCommand;
use crate::status::{TopicStatus, Transport};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Checksum, Cursor, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{ClientFrame, CommandId, Rejection, ResetReason, ServerFrame};
use duplex_protocol::topic::{Delivery, TopicName};

/// Topics with the cursor to resume from; without one, the server sends the state.
pub type Topics = Vec<(TopicName, Option<Cursor>)>;

/// An input of the state machine. Inputs of a connection that is no longer in use are ignored.
#[derive(Debug, Clone)]
pub enum Input {
    /// The connection is open and uses this encoding.
    Opened {
        /// The connection's number.
        connection: u32,
        /// The encoding of its frames.
        encoding: Encoding,
    },
    /// A frame arrived.
    Frame {
        /// The connection's number.
        connection: u32,
        /// The decoded frame.
        frame: ServerFrame,
    },
    /// A frame could not be decoded.
    Malformed {
        /// The connection's number.
        connection: u32,
    },
    /// A poll was answered. Its frames were passed before, as [`Input::Frame`].
    PollAnswered {
        /// The connection's number.
        connection: u32,
        /// The number of frames in the answer.
        frames: usize,
    },
    /// The `POST` of a command failed.
    SendFailed {
        /// The connection's number.
        connection: u32,
        /// The command's wire id.
        id: CommandId,
        /// The HTTP status of the response, if there was one.
        status: Option<u16>,
    },
    /// The connection ended.
    Closed {
        /// The connection's number.
        connection: u32,
        /// The close code, or the closest equivalent.
        code: u16,
    },
    /// The timer set for [`Session::wake_at`](super::Session::wake_at) fired.
    Timer,
    /// The browser gained or lost the network.
    Online(bool),
    /// The visitor requests an immediate reconnect.
    Retry,
    /// The page became visible or hidden.
    Visible(bool),
    /// The page is unloaded, enters the back/forward cache, or is frozen.
    Freeze,
    /// The page runs again.
    Resume,
    /// A component subscribes to the topic.
    Subscribe {
        /// The topic's name.
        topic: TopicName,
        /// How its events are delivered.
        delivery: Delivery,
        /// The cursor of the state that the component already has.
        cursor: Option<Cursor>,
    },
    /// A component unsubscribes from the topic.
    Unsubscribe {
        /// The topic's name.
        topic: TopicName,
    },
    /// The application could not decode a state or an event of the topic.
    Undecodable {
        /// The topic's name.
        topic: TopicName,
    },
    /// Enqueue a command.
    Send {
        /// The topic's name.
        topic: TopicName,
        /// The command's page id.
        id: CommandId,
        /// The command in every encoding.
        body: EncodedCommand,
    },
    /// Cancel a command that was not sent yet.
    Cancel {
        /// The command's page id.
        id: CommandId,
    },
    /// The visitor's activity, for the presence that others see.
    Activity {
        /// The topic's name.
        topic: TopicName,
        /// `None` ends the activity.
        activity: Option<String>,
    },
    /// The visitor changes their name.
    Rename {
        /// The name as typed.
        name: String,
    },
}

/// An effect of the state machine. The caller of [`Session::handle`](super::Session::handle) performs effects in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Open a connection.
    Open {
        /// The connection's number in later inputs.
        connection: u32,
        /// The connection's transport.
        transport: Transport,
        /// The topics in a fallback's address; a WebSocket subscribes with frames.
        topics: Topics,
    },
    /// Send a new fallback request for these topics.
    Request {
        /// The connection's number.
        connection: u32,
        /// The topics to request.
        topics: Topics,
        /// The server answers the poll at once, even if nothing is new.
        immediate: bool,
    },
    /// Send a frame.
    Send {
        /// The connection's number.
        connection: u32,
        /// The frame to send.
        frame: ClientFrame,
    },
    /// Close the connection with code 1000. Its inputs are ignored from now on.
    Close {
        /// The connection's number.
        connection: u32,
    },
    /// Pass an update on to the topic's components.
    Notify {
        /// The topic's name.
        topic: TopicName,
        /// What changed.
        update: TopicUpdate,
    },
    /// The server identified the visitor.
    Identified(Person),
    /// The server rejected a new name, for this reason.
    NameRejected(String),
}

/// A change of a topic.
#[derive(Debug, Clone, PartialEq)]
pub enum TopicUpdate {
    /// The state was reset; it replaces the previous state.
    State {
        /// The encoding of `state`.
        encoding: Encoding,
        /// The encoded state.
        state: EncodedValue,
        /// The cursor of the state.
        cursor: Cursor,
        /// Why the subscription did not resume from its cursor.
        reason: ResetReason,
    },
    /// The next event.
    Event {
        /// The encoding of `event`.
        encoding: Encoding,
        /// Its number in the log.
        seq: Seq,
        /// The log's checksum after it.
        checksum: Option<Checksum>,
        /// The encoded event.
        event: EncodedValue,
    },
    /// The topic's presence.
    Presence(Presence),
    /// The subscription's status.
    Status(TopicStatus),
    /// The progress of a command of this tab.
    Command(CommandId, CommandProgress),
}

/// The progress of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandProgress {
    /// It was sent.
    Sent,
    /// It exceeded a rate limit and had no effect yet. It is sent again automatically.
    RateLimited {
        /// The minimum delay in milliseconds.
        retry_after_ms: u32,
    },
    /// It had no effect.
    Rejected(Rejection),
    /// Finished: its events are applied, or it was cancelled.
    Done,
}
