//! [`Hub::send`] and its variants, and the ids of forwards.

use sha2::{Digest as _, Sha256};

use crate::command::{CommandError, TopicCommand};
use crate::decider::{Decider, Millis};
use crate::hub::Hub;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

impl Hub {
    /// Sends a command as the server, without an access check.
    pub async fn send<T: Topic>(&self, rest: &str, id: CommandId, command: &T::Command) -> Answer {
        self.send_encoded(id, TopicCommand::to::<T>(rest, command)).await
    }

    /// Like [`send`](Self::send), with a command that visitors cannot send.
    pub async fn send_server_command<D: Decider>(
        &self,
        rest: &str,
        id: CommandId,
        command: &D::ServerCommand,
    ) -> Answer {
        self.send_encoded(id, TopicCommand::server_command::<D>(rest, command))
            .await
    }

    async fn send_encoded(&self, id: CommandId, command: Result<TopicCommand, CommandError>) -> Answer {
        match command {
            Ok(command) => self.send_command(id, command).await,
            Err(CommandError::Topic(_)) => Answer::Rejected(Rejection::Denied(Denial::Unknown)),
            Err(CommandError::Encode(detail)) => Answer::Rejected(Rejection::Malformed { detail }),
        }
    }

    /// Sends an encoded command as the server.
    pub async fn send_command(&self, id: CommandId, command: TopicCommand) -> Answer {
        let (topic, command) = command.into_parts();
        match self.open_while_closing(&topic).await {
            Ok(handle) => handle.for_server().deliver(None, id, command).await.0,
            Err(denial) => Answer::Rejected(Rejection::Denied(denial)),
        }
    }
}

/// The deterministic id of a forward, so that a redelivery is a duplicate.
pub(super) fn forward_id(from: &TopicName, at: Cursor, index: u32, time: Millis) -> CommandId {
    let Cursor { epoch, seq, .. } = at;
    let seq: Seq = seq;
    let mut hash = Sha256::new();
    hash.update(from.as_str());
    hash.update([0]);
    for part in [epoch.get(), seq, index.into()] {
        hash.update(part.to_be_bytes());
    }
    CommandId::from_time(time, CommandId::digest_bits(&hash.finalize()))
}
