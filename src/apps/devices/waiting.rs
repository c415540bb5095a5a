//! Orders of all devices that wait for an answer. Pure; trusts no event.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::wire::{Open, Orders, OrdersEvent};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

/// Of all devices.
pub const MAX_OPEN: usize = 500;

/// Orders without an answer, oldest first; at most [`MAX_OPEN`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub open: VecDeque<Open>,
}

impl Topic for Orders {
    const KIND: &'static str = "orders";
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = OrdersEvent;
    type State = Waiting;

    fn apply(waiting: &mut Waiting, _seq: Seq, event: &OrdersEvent) {
        match event {
            OrdersEvent::Added(open) => {
                if waiting.open.len() < MAX_OPEN {
                    waiting.open.push_back(open.clone());
                }
            }
            OrdersEvent::Done { device, order } | OrdersEvent::Expired { device, order } => {
                waiting
                    .open
                    .retain(|open| open.order != *order || open.device != *device);
            }
        }
    }
}
