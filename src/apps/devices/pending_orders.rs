//! The state of `orders/all`: the unanswered orders of all devices. Pure; `apply` enforces the limit again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::wire::{Orders, OrdersEvent, PendingOrder};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

/// Maximum unanswered orders of all devices together.
pub const MAX_PENDING: usize = 500;

/// The unanswered orders, oldest first; at most [`MAX_PENDING`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingOrders {
    #[serde(rename = "open")]
    pub orders: VecDeque<PendingOrder>,
}

impl Topic for Orders {
    const KIND: &'static str = "orders";
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = OrdersEvent;
    type State = PendingOrders;

    fn apply(pending: &mut PendingOrders, _seq: Seq, event: &OrdersEvent) {
        match event {
            OrdersEvent::Added(order) => {
                if pending.orders.len() < MAX_PENDING {
                    pending.orders.push_back(order.clone());
                }
            }
            OrdersEvent::Answered { device, order } | OrdersEvent::Expired { device, order } => {
                pending
                    .orders
                    .retain(|known| known.order != *order || known.device != *device);
            }
        }
    }
}
