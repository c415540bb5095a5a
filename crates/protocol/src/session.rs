//! The session protocol: everything that a client and the server say to each other about topics. One session a tab, all
//! topics of the tab in it, the same frames over every transport.
//!
//! # A client in another language
//!
//! Open a WebSocket at [`SESSION_PATH`] with the subprotocol `duplex.v2.json`; each text message is one frame, a JSON object
//! with one member: the frame's name. (With `duplex.v2.postcard`, each binary message is one frame in postcard, the
//! variants below in their order.) The version before, `duplex.v1`, is served too: see [`super::v1`].
//!
//! 1. Say `{"hello":{"build":"","name":null}}`. The server answers `{"welcome":{…}}`; `now_ms` in it is the server's clock.
//! 2. Say `{"subscribe":{"topic":"chat/lobby","cursor":null}}`. The server answers with a verdict:
//!    `{"verdict":{"topic":"chat/lobby","verdict":{"reset":{"reason":"new","cursor":{"epoch":E,"seq":N,"check":C},"state":…}}}}`.
//!    The state is what followed from the events 1 to N. The check is a number, or null; it says which events those were.
//! 3. Then events come: `{"event":{"topic":"chat/lobby","seq":N+1,"check":D,"event":…}}`. Under delivery `every` the seqs have no
//!    hole; remember the last one with its check. After a lost connection subscribe with
//!    `"cursor":{"epoch":E,"seq":LAST,"check":ITS CHECK}`: the verdict is `resumed`, and the events after LAST follow; or `reset`
//!    with a reason, and a state to start from anew. `diverged` is the reason where the server's log lost events that you saw.
//! 4. To do something, say `{"command":{"topic":"chat/lobby","id":"<32 hexadecimal digits>","command":…}}`. The answer
//!    is `{"reply":{"id":…,"answer":{"accepted":{"seq":N}},"again":false}}` or `rejected` with why. Unsure whether it arrived?
//!    Send it again with the same id: it has its effect once, and the first answer comes again (`"again":true`).
//!    Make the id a UUID of version 7, without hyphens, of the time of the server's clock when you send it first: then it never
//!    has two effects, however late it comes again. `id_too_new` (more than 60 s ahead) and `id_too_old` (older than 24 h, or than
//!    what the topic remembers: the newest 10,000 commands) say the clock, `now_ms`: send the command with a new id of that
//!    time, but after an `id_too_old` with `"no_effect":false` only if its effect is not there. In version 1 they are `refused`
//!    with these words. An id of any other form carries no time: the topic knows it among its newest 10,000 commands for 24 h, and
//!    after that it has its effect again. What was refused for good stays refused as long. An id is its sender's: without the cookie of a page, add `?session=ID` to the address, 32 random digits that you keep to yourself, to be
//!    the same person on the next connection and over HTTP. Without either you are somebody new each time.
//! 5. Say `{"ping":{"nonce":1}}` when nothing was heard for `beat_ms`; no `pong` within the same time means that the connection
//!    is dead, whatever the socket says.
//! 6. On `{"closing":{…}}` come back after `retry_after_ms`. Close codes 4500 and above mean: do not come back ([`super::code`]).
//!
//! The same over HTTP, where the server keeps nothing between two requests: `GET` [`EVENTS_PATH`] (server-sent events, each
//! `data:` one frame) or `GET` [`POLL_PATH`] (a JSON array of frames, empty after some 20 s without news), both with
//! `?session=ID&v=2&topics=chat/lobby@EPOCH:SEQ:CHECK,chat/other`; a poll with `&wait=0` is answered at once, with a welcome and
//! the verdicts, as a stream begins. An answer holds some 256 kB: a topic that finds no room in it has no verdict there and is
//! answered by the next poll, so ask again at once with the cursors that came; `POST` [`COMMAND_PATH`] with one of the client
//! frames `command`, `activity`, `rename` or `ping`, answered by one frame, or by status 204 where a frame has no answer. A stream
//! goes one way, so say that you read it: post a `ping` when a `pong` comes, which is every 12 s. A stream whose session posted
//! nothing for 32 s ends with `{"closing":{"reason":"slow",…}}`, and whoever reads that asks again at once. Without `v=2` frames
//! are those of version 1, and no answer to a `pong` is asked for: there a stream whose session posted nothing ends after two
//! minutes, with the reason `draining` and `"retry_after_ms":0`.

use serde::{Deserialize, Serialize};

use super::codec::Blob;
use super::cursor::{Check, Cursor, Seq};
use super::person::Person;
use super::presence::Presence;
use super::topic::TopicName;

pub use super::command_id::{CommandId, NotACommandId};

pub const SESSION_PATH: &str = "/api/session";
/// The query parameter by which a client without cookies says who it is. Nothing shows it to anybody.
pub const SESSION_PARAMETER: &str = "session";
pub const EVENTS_PATH: &str = "/api/session/events";
pub const POLL_PATH: &str = "/api/session/poll";
pub const COMMAND_PATH: &str = "/api/session/command";
/// `GET …?topic=chat/lobby&before=SEQ&limit=N`: a [`Page`] of what lies before the state.
pub const HISTORY_PATH: &str = "/api/session/history";

/// Bytes of an encoded command.
pub const MAX_COMMAND: usize = 32 << 10;
/// Topics of one session.
pub const MAX_SUBSCRIPTIONS: usize = 64;
/// Bytes of a build's name.
pub const MAX_BUILD: usize = 64;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame. `build`: which build of the front end this is; empty if it is none of ours.
    Hello {
        build: String,
        name: Option<String>,
    },
    /// Without a cursor the answer is a state. Said again for a subscribed topic, it starts that subscription anew.
    Subscribe {
        topic: TopicName,
        cursor: Option<Cursor>,
    },
    Unsubscribe {
        topic: TopicName,
    },
    /// Also for topics that the session has not subscribed to.
    Command {
        topic: TopicName,
        id: CommandId,
        command: Blob,
    },
    /// What this session is doing in a topic (`typing`); none ends it. Not logged, and may be lost.
    Activity {
        topic: TopicName,
        activity: Option<String>,
    },
    Rename {
        name: String,
    },
    Ping {
        nonce: u32,
    },
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerFrame {
    Welcome(Welcome),
    Verdict {
        topic: TopicName,
        verdict: Verdict,
    },
    /// `check`: of the log up to and with this event, for the cursor of who has seen it.
    Event {
        topic: TopicName,
        seq: Seq,
        check: Option<Check>,
        event: Blob,
    },
    /// `again`: the command had been answered before, and this is that answer.
    Reply {
        id: CommandId,
        answer: Answer,
        again: bool,
    },
    Presence {
        topic: TopicName,
        presence: Presence,
    },
    Pong {
        nonce: u32,
    },
    /// The last frame before the server closes.
    Closing {
        reason: Closing,
        retry_after_ms: u32,
    },
    /// The answer to a `rename` that had no effect: the visitor keeps the name that they had. `why`: `name_reserved` or
    /// `name_fixed`.
    NameRefused {
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub session: SessionId,
    /// Who the server takes this visitor for.
    pub person: Person,
    /// The server's build of the front end; a tab of another one should be loaded again when that suits its visitor.
    pub build: String,
    pub node: String,
    /// Milliseconds of silence after which a client should ask whether the server is still there.
    pub beat_ms: u32,
    /// The server's clock, in milliseconds since 1970; 0 if a server of the version before did not say.
    #[serde(default)]
    pub now_ms: u64,
}

/// The answer to a subscribe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// `replayed` events follow, and then what happens; `head` is the newest event's cursor now.
    Resumed {
        replayed: u64,
        head: Cursor,
    },
    /// `state` is true at `cursor`; the events after it follow.
    Reset {
        reason: ResetReason,
        cursor: Cursor,
        state: Blob,
    },
    Denied {
        reason: Denied,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// The client had no cursor.
    New,
    /// The log is another one: what the client saw may be lost.
    OtherEpoch,
    /// The events after the cursor are no longer kept.
    TooOld,
    /// So many events came since that the state is shorter.
    TooFar,
    /// The cursor is ahead of the log.
    Ahead,
    /// The log has other events than those up to the cursor: it lost its tail and went on.
    Diverged,
}

impl ResetReason {
    /// The log does not have what the client saw.
    pub const fn lost_events(self) -> bool {
        matches!(self, Self::OtherEpoch | Self::Ahead | Self::Diverged)
    }
}

/// Why a topic is closed to this visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    #[error("there is no such topic")]
    Unknown,
    #[error("this topic is not for you")]
    Forbidden,
    #[error("a session has at most {MAX_SUBSCRIPTIONS} topics")]
    TooMany,
    #[error("the topic cannot be reached now")]
    Unavailable,
    #[error("the node has as many topics as it may")]
    Full,
}

impl Denied {
    pub const fn may_retry(self) -> bool {
        matches!(self, Self::Unavailable | Self::Full)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done and kept. `seq`: the command's last event, or the topic's newest if it made none.
    Accepted {
        seq: Seq,
    },
    Rejected(Rejection),
}

/// Why a command had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// By the application, in its own word, such as `too_long`.
    #[error("{why}")]
    Refused { why: String },
    #[error("the topic: {0}")]
    Denied(Denied),
    #[error("the command cannot be read: {what}")]
    Malformed { what: String },
    #[error("a command has at most {MAX_COMMAND} bytes")]
    TooLarge,
    #[error("too many commands; again in {retry_after_ms} ms")]
    TooFast { retry_after_ms: u32 },
    #[error("the disk is full")]
    StorageFull,
    #[error("the log cannot be reached now")]
    Unavailable,
    /// The time in the command's id lies before what the topic remembers. `no_effect`: the topic knows that the command had
    /// none; otherwise look whether its effect is there. Either way send it anew, with a new id of the time `now_ms`.
    #[error("the command's id is too old")]
    IdTooOld { no_effect: bool, now_ms: u64 },
    /// The time in the command's id lies ahead of the topic's clock, which shows `now_ms`. The command had no effect.
    #[error("the time in the command's id lies ahead of the server's clock")]
    IdTooNew { now_ms: u64 },
}

/// Before the name of the role that a refused command needs, in its `why`: `needs_role_operator`.
pub const NEEDS_ROLE: &str = "needs_role_";

impl Rejection {
    /// The command needs an operator, or a program whose token has this role.
    pub fn needs_role(role: &str) -> Self {
        Self::refused([NEEDS_ROLE, role].concat())
    }

    /// The role that was missing, if that is why.
    pub fn role_needed(&self) -> Option<&str> {
        match self {
            Self::Refused { why } => why.strip_prefix(NEEDS_ROLE),
            _ => None,
        }
    }

    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }

    /// The same command may be accepted later.
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::TooFast { .. } | Self::StorageFull | Self::Unavailable => true,
            Self::Denied(denied) => denied.may_retry(),
            Self::Refused { .. }
            | Self::Malformed { .. }
            | Self::TooLarge
            | Self::IdTooOld { .. }
            | Self::IdTooNew { .. } => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// The node is going away; others, or its successor, will be there.
    Draining,
    /// This client did not read what was sent.
    Slow,
    /// This client says more than it may.
    TooFast,
    /// A frame was not understood.
    Malformed,
    /// The page is of another protocol: load it again.
    Reload,
    /// The token or the operator's session that opened this session is no longer good.
    Ended,
    /// An operator banned this visitor.
    Banned,
}

/// Over WebSocket made by the server, over the fallbacks by the client: 1 to 64 characters of `a-z A-Z 0-9 -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub String);

impl SessionId {
    pub fn is_well_formed(&self) -> bool {
        (1..=64).contains(&self.0.len()) && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }
}

/// A page of history: events, oldest first, each with all the events that amend it, by seq; amendments stand among them at
/// their own seqs and do not count towards the limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    pub epoch: super::cursor::Epoch,
    pub events: Vec<(Seq, Blob)>,
    /// Nothing lies before this page, or nothing that is still kept.
    pub first: bool,
    /// Amendments up to this seq are in the page.
    pub until: Seq,
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
    fn frames_are_written_as_the_protocol_says() {
        let cursor = Cursor::new(Epoch::new(5), 2).with_check(Check::new(77));
        let text = |frame: &ServerFrame| String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap();
        let verdict = Verdict::Reset {
            reason: ResetReason::New,
            cursor,
            state: Blob(b"[]".to_vec()),
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
                id: CommandId::from_random(1),
                answer: Answer::Rejected(Rejection::refused("too_long")),
                again: false
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
    fn frames_survive_both_encodings() {
        for encoding in Encoding::ALL {
            let frame = ClientFrame::Command {
                topic: topic(),
                id: CommandId::from_random(u128::MAX),
                command: Blob::encode(encoding, &"가").unwrap(),
            };
            let bytes = encoding.encode(&frame).unwrap();
            assert_eq!(encoding.decode::<ClientFrame>(&bytes).unwrap(), frame);
        }
    }
}
