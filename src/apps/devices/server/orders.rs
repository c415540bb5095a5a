//! The decider of `orders/all`, the unanswered orders of all devices. `OrderStream` reads it to deliver orders; the watchdog reads
//! it to expire them. Pure.

use super::super::model::{MAX_PENDING, PendingOrders};
use super::super::wire::{Devices, ORDER_TIMEOUT, Orders, OrdersEvent, PendingOrder};
use super::commands::{DeviceServerCommand, OrdersCommand};
use duplex_hub::decider::{Access, Context, Decider, Forward, Millis, NoCommand, Principal, Retention};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

/// Maximum events in the log. Kept small: the state is complete.
const RETAINED_EVENTS: u64 = 2_000;

impl Decider for Orders {
    type ServerCommand = OrdersCommand;

    /// Only the server reads the topic; each device's page shows that device's orders.
    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
        Err(Denial::Forbidden)
    }

    fn decide(
        &self,
        _context: Context<'_>,
        _pending: &PendingOrders,
        command: NoCommand,
    ) -> Result<Vec<OrdersEvent>, Rejection> {
        match command {}
    }

    fn forward(&self, _topic: &TopicName, _pending: &PendingOrders, _seq: Seq, event: &OrdersEvent) -> Vec<Forward> {
        let OrdersEvent::Expired { device, order } = event else {
            return Vec::new();
        };
        let expire = DeviceServerCommand::Expire { order: *order };
        Forward::server_command::<Devices>(device, &expire)
            .into_iter()
            .collect()
    }

    fn retention(&self) -> Retention {
        Retention {
            events: RETAINED_EVENTS,
            age: None,
        }
    }
}

fn is_pending(pending: &PendingOrders, device: &str, order: Seq) -> bool {
    let mut orders = pending.orders.iter();
    orders.any(|known| known.device == device && known.order == order)
}

pub fn add(pending: &PendingOrders, order: PendingOrder) -> Vec<OrdersEvent> {
    if is_pending(pending, &order.device, order.order) {
        return Vec::new();
    }
    if pending.orders.len() >= MAX_PENDING {
        // An order that is not listed here would never time out, so expire it now.
        let PendingOrder { device, order, .. } = order;
        return vec![OrdersEvent::Expired { device, order }];
    }
    vec![OrdersEvent::Added(order)]
}

pub fn answered(pending: &PendingOrders, device: String, order: Seq) -> Vec<OrdersEvent> {
    if !is_pending(pending, &device, order) {
        return Vec::new();
    }
    vec![OrdersEvent::Answered { device, order }]
}

/// Expires the orders that have timed out. An order whose time is in the future was stamped while the server's clock was ahead; it
/// expires too, because its age is unknown.
pub fn expire_overdue(pending: &PendingOrders, now: Millis) -> Vec<OrdersEvent> {
    let overdue = pending
        .orders
        .iter()
        .filter(|order| now.abs_diff(order.at) >= ORDER_TIMEOUT);
    overdue
        .map(|order| OrdersEvent::Expired {
            device: order.device.clone(),
            order: order.order,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_hub::decider::ServerCommand as _;
    use duplex_protocol::topic::Topic as _;

    #[test]
    fn an_order_is_pending_until_it_is_answered_or_times_out() {
        let (topic, who) = (TopicName::of::<Orders>("all").unwrap(), Principal::server());
        let mut pending = PendingOrders::default();
        let mut send = |command: OrdersCommand, now| {
            let context = Context {
                topic: &topic,
                sender: who.person,
                sender_kind: who.sender_kind,
                authority: duplex_hub::Authority::VISITOR,
                now,
                next_seq: 1,
            };
            let events = command.decide(&Orders, context, &pending).unwrap();
            events.iter().for_each(|event| Orders::apply(&mut pending, 1, event));
            events.len()
        };
        let add = |order, at| {
            OrdersCommand::Add(PendingOrder {
                device: "a".to_owned(),
                order,
                name: "reboot".to_owned(),
                argument: String::new(),
                at,
            })
        };
        let done = |order| OrdersCommand::Answered {
            device: "a".to_owned(),
            order,
        };
        assert_eq!([send(add(1, 0), 0), send(add(1, 0), 0), send(add(2, 5), 5)], [1, 0, 1]);
        assert_eq!([send(done(1), 6), send(done(1), 6)], [1, 0]);
        assert_eq!(send(OrdersCommand::ExpireOverdue, ORDER_TIMEOUT + 4), 0);
        assert_eq!(send(OrdersCommand::ExpireOverdue, ORDER_TIMEOUT + 5), 1);
        for order in 0..MAX_PENDING as Seq {
            send(add(order, 0), 0);
        }
        assert_eq!(send(add(9_999, 0), 0), 1, "no room: it expires at once");
        assert_eq!(pending.orders.len(), MAX_PENDING);
        let ahead = PendingOrder {
            at: 100 * ORDER_TIMEOUT,
            ..pending.orders[0].clone()
        };
        pending.orders = [ahead].into();
        assert_eq!(
            expire_overdue(&pending, ORDER_TIMEOUT).len(),
            1,
            "stamped while the clock was ahead"
        );
    }
}
