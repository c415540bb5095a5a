//! Work that an application does by itself: a simulation, a connection to somebody else's server. Knows no application.

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::decider::Forward;
use super::topics::Hub;
use crate::wire::notice::{Audience, Notice};
use duplex_protocol::session::{Answer, CommandId, Denied, Rejection};

pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs from the node's start to its end. It writes to topics by [`Hub::tell`], as [`server`](super::server).
pub trait Feed: Send + Sync + 'static {
    /// For the log.
    fn name(&self) -> &'static str;

    /// Ends soon after `stop`. If it ends before, or panics, it is started again after a pause.
    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> Running;
}

impl Forward {
    /// A notice for `audience`; none if the audience can be no topic's name.
    pub fn notice(audience: &Audience, notice: &Notice) -> Option<Self> {
        Some(Self {
            topic: audience.topic().ok()?,
            command: serde_json::json!({ "send": notice }),
        })
    }
}

impl Hub {
    /// Sent again with the same id, the notice is there once.
    pub async fn notify(&self, audience: &Audience, notice: &Notice, id: CommandId) -> Answer {
        match Forward::notice(audience, notice) {
            Some(Forward { topic, command }) => self.tell(&topic, id, &command).await,
            None => Answer::Rejected(Rejection::Denied(Denied::Unknown)),
        }
    }
}
