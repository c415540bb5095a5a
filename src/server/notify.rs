//! Notices that the server and its applications send.

use duplex_hub::Hub;
use duplex_hub::decider::Forward;
use duplex_protocol::session::{Answer, CommandId, Denied, Rejection};

use crate::wire::notice::{Audience, Notice};

/// The forward that sends a notice to `audience`; none if the audience has no topic.
pub fn forward(audience: &Audience, notice: &Notice) -> Option<Forward> {
    Some(Forward {
        topic: audience.topic().ok()?,
        command: serde_json::json!({ "send": notice }),
    })
}

/// Sends a notice. A second call with the same id has no effect.
pub async fn send(hub: &Hub, audience: &Audience, notice: &Notice, id: CommandId) -> Answer {
    match forward(audience, notice) {
        Some(Forward { topic, command }) => hub.tell(&topic, id, &command).await,
        None => Answer::Rejected(Rejection::Denied(Denied::Unknown)),
    }
}
