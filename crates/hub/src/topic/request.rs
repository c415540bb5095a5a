//! Requests from handles to a topic's task.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::encoded_state::EncodedState;
use crate::log::ForwardKey;
use crate::rights::Authority;
use crate::sender::SenderKind;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Answer, CommandId, Denial};
use duplex_protocol::topic::TopicName;

/// A request to the topic's task.
pub(crate) enum TopicRequest {
    Command(CommandRequest),
    State {
        encoding: Encoding,
        reply: oneshot::Sender<Result<Arc<EncodedState>, Denial>>,
    },
    /// Reads what other nodes appended.
    Follow {
        reply: oneshot::Sender<Result<(), Denial>>,
    },
    /// Whether the state lists another topic.
    Lists {
        topic: TopicName,
        reply: oneshot::Sender<bool>,
    },
    /// Puts the topic to sleep now if it is idle, because another topic needs its slot.
    Sleep,
    /// Handles earlier requests, then ends the task.
    Close,
}

pub(crate) struct CommandRequest {
    pub sender: Person,
    pub sender_kind: SenderKind,
    pub authority: Authority,
    pub id: CommandId,
    pub payload: EncodedValue,
    pub encoding: Encoding,
    /// The key of the forward that this command delivers, if any.
    pub forward: Option<ForwardKey>,
    /// The receiver may have been dropped.
    pub reply: oneshot::Sender<(Answer, bool)>,
}
