//! The topic `status/node` of the node's samples.

use crate::wire::status::Sample;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

use super::model::Status;

/// The topic `status/node`. It uses `Delivery::Every`, so that the charts have no gaps.
pub struct NodeStatus;

/// The part after the kind in `status/node`.
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
