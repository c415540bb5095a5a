//! The node's topic: its own samples go in, and come out as they are.

use crate::wire::status::Sample;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

use super::model::Status;

/// Every sample is delivered: the charts would have holes otherwise.
pub struct NodeStatus;

/// The only one of its kind.
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
