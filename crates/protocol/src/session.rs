//! The session protocol: the frames that a client and the server exchange about topics. A browser tab has one session for all of
//! its topics; the frames are the same over every transport.
//!
//! # A client in another language
//!
//! Open a WebSocket at [`SESSION_PATH`] with the subprotocol `duplex.v2.json`. Each text message is one frame: a JSON object with
//! one member, named after the frame. (With `duplex.v2.postcard` each binary message is one frame in postcard; variants are
//! numbered in the order below. The previous version, `duplex.v1`, is supported too:
//! [`Version::V1`](crate::subprotocol::Version::V1).)
//!
//! 1. Send `{"hello":{"build":"","name":null}}`. The server answers `{"welcome":{…}}`; its `now_ms` is the server's clock.
//! 2. Send `{"subscribe":{"topic":"chat/lobby","cursor":null}}`. The server answers with a verdict:
//!    `{"verdict":{"topic":"chat/lobby","verdict":{"reset":{"reason":"new","cursor":{"epoch":E,"seq":N,"check":C},"state":…}}}}`.
//!    The state is the fold of the events 1 to N. The check, a checksum, is a number or null; it identifies those events.
//! 3. Events follow: `{"event":{"topic":"chat/lobby","seq":N+1,"check":D,"event":…}}`. Under delivery `every` the seqs have no
//!    gap. Remember the last one with its check. After a lost connection, subscribe with
//!    `"cursor":{"epoch":E,"seq":LAST,"check":ITS CHECK}`: the verdict is `resumed`, and the events after LAST follow; or `reset`
//!    with a reason and a state to restart from. The reason is `diverged` if the server's log lost events that you saw.
//! 4. To change a topic, send `{"command":{"topic":"chat/lobby","id":"<32 hexadecimal digits>","command":…}}`. The answer is
//!    `{"reply":{"id":…,"answer":{"accepted":{"seq":N}},"again":false}}`, or `rejected` with a reason. If no answer arrives,
//!    resend the command with the same id: it has its effect once, and the first answer is repeated (`"again":true`). See
//!    [Command ids](self#command-ids).
//! 5. Send `{"ping":{"nonce":1}}` when nothing was received for `beat_ms`. No `pong` within the same time means that the
//!    connection is dead.
//! 6. On `{"closing":{…}}` reconnect after `retry_after_ms`. After a close code of 4500 or above, do not reconnect
//!    ([`code`](crate::code)).
//!
//! # Command ids
//!
//! An id should be a UUID of version 7, without hyphens, of the server's time at which the command is sent first: such a command is
//! applied at most once, even if it is resent late. The rejections `id_too_new` (more than 60 s ahead of the server's clock) and
//! `id_too_old` (older than 24 h, or than the newest 10,000 commands, which the topic remembers) contain the server's time,
//! `now_ms`: send the command with a new id of that time; after an `id_too_old` with `"no_effect":false` only if its effect is
//! absent. In version 1 both are `refused` with these names as the reason.
//!
//! An id of any other form contains no time: the topic recognizes it for 24 h among its newest 10,000 commands, and a later resend
//! is applied again. A final rejection is remembered for the same time.
//!
//! Ids are scoped to their sender. A client without a cookie adds `?session=ID` to the URL, 32 random digits that it keeps secret,
//! to keep its identity across connections and over HTTP. Without either it is a new person each time.
//!
//! # Over HTTP
//!
//! The server keeps no state between two requests.
//!
//! - `GET` [`EVENTS_PATH`]: server-sent events, each `data:` one frame.
//! - `GET` [`POLL_PATH`]: a JSON array of frames, empty after some 20 s without an event. With `&wait=0` the server answers at
//!   once, with a welcome and the verdicts, like the beginning of a stream. A response is limited to about 256 kB: a topic that
//!   does not fit has no verdict in it and is answered by the next poll, so poll again at once with the cursors received.
//! - `POST` [`COMMAND_PATH`]: one of the client frames `command`, `activity`, `rename` and `ping`. The answer is one frame, or
//!   status 204 for a frame without an answer.
//!
//! Both `GET`s take `?session=ID&v=2&topics=chat/lobby@EPOCH:SEQ:CHECK,chat/other`. A stream is one-way, so the client acknowledges
//! that it reads: it must answer each `pong`, sent every 12 s, with a posted `ping`. A stream whose session posted nothing for 32 s
//! ends with `{"closing":{"reason":"slow",…}}`; a client that reads this reconnects at once. Without `v=2` frames are those of
//! version 1, and a `pong` needs no acknowledgement: a stream whose session posted nothing ends after two minutes, with the reason
//! `draining` and `"retry_after_ms":0`.

use serde::{Deserialize, Serialize};

use super::codec::EncodedValue;
use super::cursor::{Checksum, Cursor, Seq};
use super::person::Person;
use super::presence::Presence;
use super::topic::TopicName;

pub use super::answer::{Answer, Denial, NEEDS_ROLE, Rejection};
pub use super::command_id::{CommandId, ParseCommandIdError};

/// Path of the session's WebSocket.
pub const SESSION_PATH: &str = "/api/session";
/// The query parameter with which a client without cookies identifies itself. It is a secret: never displayed, never logged.
pub const SESSION_PARAMETER: &str = "session";
/// Path of the session over server-sent events ([HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html)).
pub const EVENTS_PATH: &str = "/api/session/events";
/// Path of the session over long polling.
pub const POLL_PATH: &str = "/api/session/poll";
/// Path to which a client without a WebSocket posts its frames.
pub const COMMAND_PATH: &str = "/api/session/command";
/// Path of a topic's history: `GET …?topic=chat/lobby&before=SEQ&limit=N` answers with a [`HistoryPage`] of events before `SEQ`.
pub const HISTORY_PATH: &str = "/api/session/history";

/// Maximum size of an encoded command, in bytes.
pub const MAX_COMMAND: usize = 32 << 10;
/// Maximum subscriptions of a session.
pub const MAX_SUBSCRIPTIONS: usize = 64;
/// Maximum length of a build's name, in bytes.
pub const MAX_BUILD: usize = 64;

/// A frame from a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame of a connection.
    Hello {
        /// The build of the front end, at most [`MAX_BUILD`] bytes; empty for a client that is not the server's own page.
        build: String,
        /// The visitor's chosen name, if the client knows one.
        name: Option<String>,
    },
    /// Subscribes to a topic; the answer is [`ServerFrame::Verdict`]. For a topic that is already subscribed, it restarts
    /// the subscription.
    Subscribe {
        /// The topic.
        topic: TopicName,
        /// The client's position; without one the verdict is a reset with the state.
        cursor: Option<Cursor>,
    },
    /// Ends a subscription. It has no answer.
    Unsubscribe {
        /// The topic.
        topic: TopicName,
    },
    /// A command to a topic, which need not be subscribed; the answer is [`ServerFrame::Reply`].
    Command {
        /// The topic.
        topic: TopicName,
        /// The id, generated by the client: a command that is resent with the same id has its effect once.
        id: CommandId,
        /// The topic's command, at most [`MAX_COMMAND`] bytes.
        command: EncodedValue,
    },
    /// The session's activity in a topic, such as `typing`. It is not logged and may be lost. It has no answer.
    Activity {
        /// The topic.
        topic: TopicName,
        /// At most [`MAX_ACTIVITY`](crate::presence::MAX_ACTIVITY) bytes; `None` ends the activity.
        activity: Option<String>,
    },
    /// Sets the visitor's name. It is answered only on failure, by [`ServerFrame::NameRejected`].
    Rename {
        /// The name, at most [`MAX_NAME`](crate::person::MAX_NAME) characters.
        name: String,
    },
    /// Requests a [`ServerFrame::Pong`].
    Ping {
        /// Returned in the pong.
        nonce: u32,
    },
}

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to [`ClientFrame::Hello`].
    Welcome(Welcome),
    /// The answer to [`ClientFrame::Subscribe`].
    Verdict {
        /// The topic.
        topic: TopicName,
        /// How the subscription catches up.
        verdict: Verdict,
    },
    /// An event of a subscribed topic.
    Event {
        /// The topic.
        topic: TopicName,
        /// The event's position.
        seq: Seq,
        /// The checksum of the log up to and including this event, for the subscriber's cursor.
        #[serde(rename = "check")]
        checksum: Option<Checksum>,
        /// The topic's event.
        event: EncodedValue,
    },
    /// The answer to [`ClientFrame::Command`].
    Reply {
        /// The command's id.
        id: CommandId,
        /// The answer.
        answer: Answer,
        /// Whether the command was answered before; `answer` is then the first answer.
        #[serde(rename = "again")]
        duplicate: bool,
    },
    /// The subscribers of a topic; it replaces the presence received before.
    Presence {
        /// The topic.
        topic: TopicName,
        /// All subscribers.
        presence: Presence,
    },
    /// The answer to [`ClientFrame::Ping`].
    Pong {
        /// The ping's nonce.
        nonce: u32,
    },
    /// The last frame before the server closes the connection.
    Closing {
        /// The reason.
        reason: CloseReason,
        /// Milliseconds after which the client should reconnect.
        retry_after_ms: u32,
    },
    /// The answer to a [`ClientFrame::Rename`] without effect: the visitor keeps the current name.
    #[serde(rename = "name_refused")]
    NameRejected {
        /// [`NAME_RESERVED`](crate::person::NAME_RESERVED) or [`NAME_FIXED`](crate::person::NAME_FIXED).
        #[serde(rename = "why")]
        reason: String,
    },
}

/// The server's first frame of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The session's id.
    pub session: SessionId,
    /// The visitor, as the server identified them.
    pub person: Person,
    /// The server's build of the front end. A tab of another build should reload when that does not disturb its visitor.
    pub build: String,
    /// The name of the server's node.
    pub node: String,
    /// Milliseconds of silence after which a client should send a [`ClientFrame::Ping`].
    #[serde(rename = "beat_ms")]
    pub keepalive_ms: u32,
    /// The server's clock, in milliseconds since the Unix epoch; 0 from a server of version 1, which does not send it.
    #[serde(default)]
    pub now_ms: u64,
}

/// The answer to a subscribe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The subscription continues from the client's cursor.
    Resumed {
        /// The number of missed events, which follow first.
        replayed: u64,
        /// The cursor of the newest event.
        head: Cursor,
    },
    /// The subscription starts from a state; the events after `cursor` follow.
    Reset {
        /// Why the subscription does not continue from the client's cursor.
        reason: ResetReason,
        /// The position of the state.
        cursor: Cursor,
        /// The topic's state at `cursor`.
        state: EncodedValue,
    },
    /// The session is not subscribed.
    Denied {
        /// The reason.
        reason: Denial,
    },
}

/// Why a subscription is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// The client had no cursor.
    New,
    /// The log has another epoch: events that the client saw may be lost.
    OtherEpoch,
    /// The events after the cursor are no longer kept.
    TooOld,
    /// The events since the cursor are larger in total than the state.
    #[serde(rename = "too_far")]
    TooManyEvents,
    /// The cursor is ahead of the log.
    Ahead,
    /// The log's events up to the cursor are not those that the client saw: the log lost its tail and then grew again.
    Diverged,
}

impl ResetReason {
    /// Whether the log lost events that the client saw.
    pub const fn lost_events(self) -> bool {
        matches!(self, Self::OtherEpoch | Self::Ahead | Self::Diverged)
    }
}

/// Why the server closes a session's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The node shuts down; another node or its successor serves the session.
    Draining,
    /// The client did not read the frames sent to it.
    Slow,
    /// The client sent more than its rate allows.
    TooFast,
    /// A frame could not be decoded.
    Malformed,
    /// The page speaks another protocol version and must be reloaded.
    Reload,
    /// The login that opened this session ended: its operator signed out, or its token expired or was revoked.
    Ended,
    /// An operator banned this visitor.
    Banned,
}

/// The id of a session: 1 to 64 characters of `a-z A-Z 0-9 -`. Generated by the server for a WebSocket, by the client for the
/// fallbacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub String);

impl SessionId {
    /// Whether the length and the characters are allowed.
    pub fn is_well_formed(&self) -> bool {
        (1..=64).contains(&self.0.len()) && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }
}

/// A page of a topic's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The identity of the log.
    pub epoch: super::cursor::Epoch,
    /// Events by seq, the oldest first, each with all events that amend it ([`Topic::amends`](crate::topic::Topic::amends)).
    /// Amendments keep their own seqs and do not count towards the limit.
    pub events: Vec<(Seq, EncodedValue)>,
    /// Whether this is the first page: the log keeps no event before it.
    pub first: bool,
    /// The newest seq whose amendments are in the page.
    #[serde(rename = "until")]
    pub amended_up_to: Seq,
}

#[cfg(test)]
mod tests {
    use super::super::codec::Encoding;
    use super::super::cursor::Epoch;
    use super::*;

    fn topic() -> TopicName {
        "chat/lobby".parse().unwrap()
    }

    #[test]
    fn frames_are_encoded_as_documented() {
        let cursor = Cursor::new(Epoch::new(5), 2).with_checksum(Checksum::new(77));
        let text = |frame: &ServerFrame| String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap();
        let verdict = Verdict::Reset {
            reason: ResetReason::New,
            cursor,
            state: EncodedValue(b"[]".to_vec()),
        };
        assert_eq!(
            text(&ServerFrame::Verdict {
                topic: topic(),
                verdict
            }),
            r#"{"verdict":{"topic":"chat/lobby","verdict":{"reset":{"reason":"new","cursor":{"epoch":5,"seq":2,"check":77},"state":[]}}}}"#
        );
        assert_eq!(
            text(&ServerFrame::Reply {
                id: CommandId::from_bits(1),
                answer: Answer::Rejected(Rejection::custom("too_long")),
                duplicate: false
            }),
            r#"{"reply":{"id":"00000000000000000000000000000001","answer":{"rejected":{"refused":{"why":"too_long"}}},"again":false}}"#
        );
        let hello: ClientFrame = Encoding::Json.decode(br#"{"hello":{"build":"","name":null}}"#).unwrap();
        assert_eq!(
            hello,
            ClientFrame::Hello {
                build: String::new(),
                name: None
            }
        );
    }

    #[test]
    fn frames_round_trip_in_both_encodings() {
        for encoding in Encoding::ALL {
            let frame = ClientFrame::Command {
                topic: topic(),
                id: CommandId::from_bits(u128::MAX),
                command: EncodedValue::encode(encoding, &"가").unwrap(),
            };
            let bytes = encoding.encode(&frame).unwrap();
            assert_eq!(encoding.decode::<ClientFrame>(&bytes).unwrap(), frame);
        }
    }
}
