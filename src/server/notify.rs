//! Notices that the server and its applications send.

use duplex_hub::decider::Forward;
use duplex_hub::{CommandError, Hub, TopicCommand};
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};

use crate::wire::notice::{Audience, Notice, NoticeCommand};

/// The command that sends a notice to `audience`. Fails if the audience's topic name is malformed.
pub fn command(audience: &Audience, notice: &Notice) -> Result<TopicCommand, CommandError> {
    TopicCommand::new(audience.topic()?, &NoticeCommand::Send(notice))
}

/// The forward that sends a notice to `audience`; `None` if the audience's topic name is malformed.
pub fn forward(audience: &Audience, notice: &Notice) -> Option<Forward> {
    command(audience, notice).ok().map(Forward::from)
}

/// Sends a notice. Idempotent by `id`.
pub async fn send(hub: &Hub, audience: &Audience, notice: &Notice, id: CommandId) -> Answer {
    match command(audience, notice) {
        Ok(command) => hub.send_command(id, command).await,
        Err(_) => Answer::Rejected(Rejection::Denied(Denial::Unknown)),
    }
}
