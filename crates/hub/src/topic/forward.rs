//! Commands of the server itself: their ids, and how they reach a topic.

use sha2::{Digest as _, Sha256};

use super::handle::TopicHandle;
use crate::decider::Millis;
use crate::hub::Hub;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

impl Hub {
    /// A command of the server itself: nobody is asked to admit it.
    pub async fn tell(&self, topic: &TopicName, id: CommandId, command: &serde_json::Value) -> Answer {
        match self.open_even_closing(topic).await {
            Ok(handle) => self.tell_handle(handle, id, command).await,
            Err(denied) => Answer::Rejected(Rejection::Denied(denied)),
        }
    }

    pub(crate) async fn tell_handle(&self, handle: TopicHandle, id: CommandId, command: &serde_json::Value) -> Answer {
        let command = match Blob::encode(Encoding::Json, command) {
            Ok(command) => command,
            Err(error) => {
                let what = error.to_string();
                return Answer::Rejected(Rejection::Malformed { what });
            }
        };
        let handle = handle.for_server();
        if command.0 == b"null" {
            return Answer::Accepted { seq: handle.head().seq };
        }
        handle.deliver(None, id, command).await.0
    }
}

/// Of a forward from an event of that time: the same whenever it is made, so that one that is sent again is known.
pub fn id(from: &TopicName, at: Cursor, index: u32, time: Millis) -> CommandId {
    let Cursor { epoch, seq, .. } = at;
    let seq: Seq = seq;
    let mut hash = Sha256::new();
    hash.update(from.as_str());
    hash.update([0]);
    for part in [epoch.get(), seq, index.into()] {
        hash.update(part.to_be_bytes());
    }
    let hash = hash.finalize();
    CommandId::at(
        time,
        hash.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)),
    )
}
