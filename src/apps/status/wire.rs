//! The topic of the node's samples.

use crate::wire::status::Sample;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

use super::model::Status;

/// The topic `status/node`. Every sample is delivered, as the charts would have gaps otherwise.
pub struct NodeStatus;

/// The name of the only topic of this kind.
pub const NODE: &str = "node";

impl Topic for NodeStatus {
    const KIND: &'static str = "status";
    type Command = NoCommand;
    type Event = Sample;
    type State = Status;

    fn apply(state: &mut Status, _seq: Seq, sample: &Sample) {
        state.add(sample);
    }
}
