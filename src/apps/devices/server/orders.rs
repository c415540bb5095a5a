//! What devices were asked and have not answered: the connector looks here for what to send, and the clock for who is too
//! slow. Pure.

use super::super::model::{MAX_OPEN, Waiting};
use super::super::wire::{Devices, ORDER_WAIT, Open, Orders, OrdersEvent};
use super::commands::{DeviceServerCommand, OrdersCommand};
use duplex_hub::decider::{Access, Context, Decider, Forward, Millis, NoCommand, Principal, Retention};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::TopicName;

/// The state says it all.
const KEPT_EVENTS: u64 = 2_000;

impl Decider for Orders {
    type ServerCommand = OrdersCommand;

    /// The server's own: the devices' pages show what there is to see.
    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denied> {
        Err(Denied::Forbidden)
    }

    fn decide(&self, _at: Context<'_>, _waiting: &Waiting, command: NoCommand) -> Result<Vec<OrdersEvent>, Rejection> {
        match command {}
    }

    fn forward(&self, _topic: &TopicName, _waiting: &Waiting, _seq: Seq, event: &OrdersEvent) -> Vec<Forward> {
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
            events: KEPT_EVENTS,
            age: None,
        }
    }
}

fn is_known(waiting: &Waiting, device: &str, order: Seq) -> bool {
    let mut open = waiting.open.iter();
    open.any(|one| one.device == device && one.order == order)
}

pub fn add(waiting: &Waiting, open: Open) -> Vec<OrdersEvent> {
    if is_known(waiting, &open.device, open.order) {
        return Vec::new();
    }
    if waiting.open.len() >= MAX_OPEN {
        // Nobody would ever say that it is over.
        let Open { device, order, .. } = open;
        return vec![OrdersEvent::Expired { device, order }];
    }
    vec![OrdersEvent::Added(open)]
}

pub fn done(waiting: &Waiting, device: String, order: Seq) -> Vec<OrdersEvent> {
    if !is_known(waiting, &device, order) {
        return Vec::new();
    }
    vec![OrdersEvent::Done { device, order }]
}

/// Who had time enough. An order from the future was given by a clock that was ahead, and waits for longer than is known.
pub fn look(waiting: &Waiting, now: Millis) -> Vec<OrdersEvent> {
    let late = waiting.open.iter().filter(|open| now.abs_diff(open.at) >= ORDER_WAIT);
    late.map(|open| OrdersEvent::Expired {
        device: open.device.clone(),
        order: open.order,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_hub::decider::ServerCommand as _;
    use duplex_protocol::topic::Topic as _;

    #[test]
    fn an_order_waits_until_it_is_answered_or_too_old() {
        let (topic, who) = (TopicName::of::<Orders>("all").unwrap(), Principal::server());
        let mut waiting = Waiting::default();
        let mut tell = |command: OrdersCommand, now| {
            let at = Context {
                topic: &topic,
                who: who.person,
                origin: who.origin,
                authority: duplex_hub::Authority::VISITOR,
                now,
                next: 1,
            };
            let events = command.decide(&Orders, at, &waiting).unwrap();
            events.iter().for_each(|event| Orders::apply(&mut waiting, 1, event));
            events.len()
        };
        let open = |order, at| {
            OrdersCommand::Add(Open {
                device: "a".to_owned(),
                order,
                name: "reboot".to_owned(),
                argument: String::new(),
                at,
            })
        };
        let done = |order| OrdersCommand::Done {
            device: "a".to_owned(),
            order,
        };
        assert_eq!(
            [tell(open(1, 0), 0), tell(open(1, 0), 0), tell(open(2, 5), 5)],
            [1, 0, 1]
        );
        assert_eq!([tell(done(1), 6), tell(done(1), 6)], [1, 0]);
        assert_eq!(tell(OrdersCommand::Look, ORDER_WAIT + 4), 0);
        assert_eq!(tell(OrdersCommand::Look, ORDER_WAIT + 5), 1);
        for order in 0..MAX_OPEN as Seq {
            tell(open(order, 0), 0);
        }
        assert_eq!(tell(open(9_999, 0), 0), 1, "no room: it is over at once");
        assert_eq!(waiting.open.len(), MAX_OPEN);
        let ahead = Open {
            at: 100 * ORDER_WAIT,
            ..waiting.open[0].clone()
        };
        waiting.open = [ahead].into();
        assert_eq!(look(&waiting, ORDER_WAIT).len(), 1, "given by a clock that was ahead");
    }
}
