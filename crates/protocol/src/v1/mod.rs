//! Version 1 of the session protocol, `duplex.v1.json` and `duplex.v1.postcard`: encodes frames of the newest version for version 1
//! clients and decodes their frames. Version 1 has no checksums, no server time, and fewer reset and rejection reasons.

use serde::{Deserialize, Serialize};

use super::codec::{CodecError, EncodedValue, Encoding};
use super::cursor::{self, Epoch, Seq};
use super::person::Person;
use super::session::{self, Answer, CommandId, Denial, Rejection, ResetReason, ServerFrame, SessionId};
use super::topic::TopicName;

pub(crate) const fn subprotocol(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "duplex.v1.json",
        Encoding::Postcard => "duplex.v1.postcard",
    }
}

pub(crate) fn encode(encoding: Encoding, frame: &ServerFrame) -> Result<Vec<u8>, CodecError> {
    match ChangedFrame::from_newest(frame) {
        Some(changed) => encoding.encode(&changed),
        None => encoding.encode(frame),
    }
}

pub(crate) fn decode(encoding: Encoding, bytes: &[u8]) -> Result<session::ClientFrame, CodecError> {
    encoding.decode::<ClientFrame>(bytes).map(Into::into)
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    epoch: Epoch,
    seq: Seq,
}

impl From<cursor::Cursor> for Cursor {
    fn from(cursor::Cursor { epoch, seq, .. }: cursor::Cursor) -> Self {
        Self { epoch, seq }
    }
}

impl From<Cursor> for cursor::Cursor {
    fn from(Cursor { epoch, seq }: Cursor) -> Self {
        Self::new(epoch, seq)
    }
}

/// The server frames that differ from those of the newest version, in the order of [`ServerFrame`]; the frames after them are the same.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ChangedFrame<'a> {
    Welcome(Welcome<'a>),
    Verdict {
        topic: &'a TopicName,
        verdict: Verdict<'a>,
    },
    Event {
        topic: &'a TopicName,
        seq: Seq,
        event: &'a EncodedValue,
    },
    Reply {
        id: &'a CommandId,
        answer: Answer,
        #[serde(rename = "again")]
        duplicate: bool,
    },
}

#[derive(Serialize)]
struct Welcome<'a> {
    session: &'a SessionId,
    person: &'a Person,
    build: &'a str,
    node: &'a str,
    beat_ms: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict<'a> {
    Resumed {
        replayed: u64,
        head: Cursor,
    },
    Reset {
        reason: ResetReason,
        cursor: Cursor,
        state: &'a EncodedValue,
    },
    Denied {
        reason: Denial,
    },
}

impl<'a> ChangedFrame<'a> {
    fn from_newest(frame: &'a ServerFrame) -> Option<Self> {
        Some(match frame {
            ServerFrame::Welcome(welcome) => Self::Welcome(Welcome {
                session: &welcome.session,
                person: &welcome.person,
                build: &welcome.build,
                node: &welcome.node,
                beat_ms: welcome.keepalive_ms,
            }),
            ServerFrame::Verdict { topic, verdict } => Self::Verdict {
                topic,
                verdict: Verdict::from_newest(verdict),
            },
            ServerFrame::Event { topic, seq, event, .. } => Self::Event {
                topic,
                seq: *seq,
                event,
            },
            ServerFrame::Reply { id, answer, duplicate } => Self::Reply {
                id,
                answer: to_v1_answer(answer),
                duplicate: *duplicate,
            },
            ServerFrame::Presence { .. }
            | ServerFrame::Pong { .. }
            | ServerFrame::Closing { .. }
            | ServerFrame::NameRejected { .. } => return None,
        })
    }
}

impl<'a> Verdict<'a> {
    fn from_newest(verdict: &'a session::Verdict) -> Self {
        match verdict {
            session::Verdict::Resumed { replayed, head } => Self::Resumed {
                replayed: *replayed,
                head: (*head).into(),
            },
            session::Verdict::Reset { reason, cursor, state } => Self::Reset {
                // Version 1 has no `Diverged`; `OtherEpoch` has the same effect on a client.
                reason: match reason {
                    ResetReason::Diverged => ResetReason::OtherEpoch,
                    reason => *reason,
                },
                cursor: (*cursor).into(),
                state,
            },
            session::Verdict::Denied { reason } => Self::Denied { reason: *reason },
        }
    }
}

fn to_v1_answer(answer: &Answer) -> Answer {
    match answer {
        Answer::Rejected(Rejection::IdTooOld { .. }) => Answer::Rejected(Rejection::custom("id_too_old")),
        Answer::Rejected(Rejection::IdTooNew { .. }) => Answer::Rejected(Rejection::custom("id_too_new")),
        answer => answer.clone(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientFrame {
    Hello {
        build: String,
        name: Option<String>,
    },
    Subscribe {
        topic: TopicName,
        cursor: Option<Cursor>,
    },
    Unsubscribe {
        topic: TopicName,
    },
    Command {
        topic: TopicName,
        id: CommandId,
        command: EncodedValue,
    },
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

impl From<ClientFrame> for session::ClientFrame {
    fn from(frame: ClientFrame) -> Self {
        match frame {
            ClientFrame::Hello { build, name } => Self::Hello { build, name },
            ClientFrame::Subscribe { topic, cursor } => Self::Subscribe {
                topic,
                cursor: cursor.map(Into::into),
            },
            ClientFrame::Unsubscribe { topic } => Self::Unsubscribe { topic },
            ClientFrame::Command { topic, id, command } => Self::Command { topic, id, command },
            ClientFrame::Activity { topic, activity } => Self::Activity { topic, activity },
            ClientFrame::Rename { name } => Self::Rename { name },
            ClientFrame::Ping { nonce } => Self::Ping { nonce },
        }
    }
}

#[cfg(test)]
mod tests;
