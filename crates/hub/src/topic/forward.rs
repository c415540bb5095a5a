//! Commands of the server itself: their ids, and how they reach a topic.

use sha2::{Digest as _, Sha256};

use crate::command::{CommandError, TopicCommand};
use crate::decider::{Decider, Millis};
use crate::hub::Hub;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, CommandId, Denied, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

impl Hub {
    /// A command of the server itself: nobody is asked to admit it.
    pub async fn tell<T: Topic>(&self, rest: &str, id: CommandId, command: &T::Command) -> Answer {
        self.tell_made(id, TopicCommand::to::<T>(rest, command)).await
    }

    /// As [`tell`](Self::tell), of a command that visitors cannot give.
    pub async fn server_command<D: Decider>(&self, rest: &str, id: CommandId, command: &D::ServerCommand) -> Answer {
        self.tell_made(id, TopicCommand::server_command::<D>(rest, command))
            .await
    }

    async fn tell_made(&self, id: CommandId, command: Result<TopicCommand, CommandError>) -> Answer {
        match command {
            Ok(command) => self.tell_command(id, command).await,
            Err(CommandError::Topic(_)) => Answer::Rejected(Rejection::Denied(Denied::Unknown)),
            Err(CommandError::Unwritable(what)) => Answer::Rejected(Rejection::Malformed { detail: what }),
        }
    }

    /// As [`tell`](Self::tell).
    pub async fn tell_command(&self, id: CommandId, command: TopicCommand) -> Answer {
        let (topic, command) = command.into_parts();
        match self.open_even_closing(&topic).await {
            Ok(handle) => handle.for_server().deliver(None, id, command).await.0,
            Err(denied) => Answer::Rejected(Rejection::Denied(denied)),
        }
    }
}

/// Of a forward from an event of that time: the same whenever it is made, so that one that is sent again is known.
pub(super) fn id(from: &TopicName, at: Cursor, index: u32, time: Millis) -> CommandId {
    let Cursor { epoch, seq, .. } = at;
    let seq: Seq = seq;
    let mut hash = Sha256::new();
    hash.update(from.as_str());
    hash.update([0]);
    for part in [epoch.get(), seq, index.into()] {
        hash.update(part.to_be_bytes());
    }
    CommandId::at(time, CommandId::digest_bits(&hash.finalize()))
}
