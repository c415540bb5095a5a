//! The node's topic on the server: read by whoever runs it, written by the node itself.

use super::model::Status;
use super::wire::{NODE, NodeStatus};
use crate::apps::server::AppServer;
use crate::wire::status::Sample;
use duplex_hub::{
    self,
    decider::{Access, Context, Decider, NoCommand, Origin, Principal},
    kind,
};
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::TopicName;

pub fn app() -> AppServer {
    AppServer {
        kinds: vec![kind(NodeStatus)],
        ..AppServer::default()
    }
}

impl Decider for NodeStatus {
    type ServerCommand = NoCommand;

    const FLEETING: bool = true;
    const FOR_OPERATORS: bool = true;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if topic.rest() == NODE {
            Ok(Access::Read)
        } else {
            Err(Denied::Unknown)
        }
    }

    fn decide(&self, at: Context<'_>, _state: &Status, sample: Sample) -> Result<Vec<Sample>, Rejection> {
        if at.origin == Origin::Server {
            Ok(vec![sample])
        } else {
            Err(Rejection::refused("not_for_you"))
        }
    }
}
