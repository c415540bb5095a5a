//! The decider of `status/node`: only operators read it, and only the server writes to it.

use super::model::Status;
use super::wire::{NODE, NodeStatus};
use crate::apps::server::AppServer;
use crate::wire::status::Sample;
use duplex_hub::{
    decider::{Access, Context, Decider, NoCommand, Principal, ServerCommand},
    dyn_topic,
};
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| vec![dyn_topic(NodeStatus)]),
        ..AppServer::default()
    }
}

impl Decider for NodeStatus {
    type ServerCommand = Sample;

    const EPHEMERAL: bool = true;
    const OPERATORS_ONLY: bool = true;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if topic.rest() == NODE {
            Ok(Access::Read)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn decide(&self, _context: Context<'_>, _state: &Status, command: NoCommand) -> Result<Vec<Sample>, Rejection> {
        match command {}
    }
}

impl ServerCommand<NodeStatus> for Sample {
    fn decide(self, _status: &NodeStatus, _context: Context<'_>, _state: &Status) -> Result<Vec<Sample>, Rejection> {
        Ok(vec![self])
    }
}
