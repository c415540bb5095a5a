//! One device: what it may say, what it may be asked, and who may do so. Pure.

use super::super::model::Device;

use super::super::wire::{
    ALL, DeviceCommand, DeviceEvent, Devices, Fleet, GROUP, Health, MAX_AGE, MAX_ARGUMENT, MAX_NOTE, MAX_VALUE,
    MAX_WAITING, ORDER_WAIT, Open, Orders, Outcome, Refusal, Side, Threshold, device_path, is_device, is_order, owner,
    tidy, why,
};
use super::NOTICE_LIFE;
use super::commands::{DeviceServerCommand, FleetCommand, OrdersCommand};
use super::letter::OrderLetter;
use super::readings::{judge, kept, reported};
use crate::server::forms::CommandForm;
use crate::server::notify;
use crate::wire::form::Fields;
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use crate::wire::number;
use duplex_hub::decider::{Access, Context, Decider, Forward, Millis, Origin, Principal, Retention};
use duplex_hub::{Needed, TopicCommand, json};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::TopicName;

/// Raw reports that the log keeps of a device: at one in five seconds, a day.
const KEPT_EVENTS: u64 = 20_000;

/// The device's page, for browsers that run no scripts.
pub fn forms() -> [CommandForm; 1] {
    [CommandForm {
        path: "/devices/{id}",
        command: |path, fields| {
            let id = path.strip_prefix("/devices/")?;
            TopicCommand::to::<Devices>(id, &posted(fields)?).ok()
        },
        then: CommandForm::same_page,
    }]
}

fn posted(fields: &Fields) -> Option<DeviceCommand> {
    let text = |name: &str| fields.get(name).map(|text| text.trim().to_owned());
    let number = |name: &str| match text(name) {
        Some(text) if !text.is_empty() => number::parse_f64(&text).map(Some),
        _ => Some(None),
    };
    Some(match fields.get("act")?.as_str() {
        "threshold" => DeviceCommand::SetThreshold {
            metric: text("metric")?,
            low: number("low")?,
            high: number("high")?,
            hysteresis: number("hysteresis")?.unwrap_or_default(),
        },
        "acknowledge" => DeviceCommand::Acknowledge {
            alarm: text("alarm")?.parse().ok()?,
        },
        "order" => DeviceCommand::Order {
            name: text("order")?,
            argument: text("argument").unwrap_or_default(),
        },
        _ => return None,
    })
}

impl Decider for Devices {
    type ServerCommand = DeviceServerCommand;

    /// Everybody may look. Who may set what a device does, its commands say; a browser is its visitor's alone.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        match topic.rest() {
            id if !is_device(id) => Err(Denied::Unknown),
            id if owner(id).is_some_and(|owner| owner != who.person.id.0) => Ok(Access::Read),
            _ => Ok(Access::Write),
        }
    }

    fn stands(&self, _topic: &TopicName) -> bool {
        false
    }

    fn program_role<'a>(&self, topic: &'a TopicName) -> Needed<'a> {
        Needed::Device(topic.rest())
    }

    fn decide(&self, at: Context<'_>, device: &Device, command: DeviceCommand) -> Result<Vec<DeviceEvent>, Rejection> {
        match command {
            DeviceCommand::Report(report) => from_device(at).and_then(|()| reported(at, device, report)),
            DeviceCommand::SetThreshold {
                metric,
                low,
                high,
                hysteresis,
            } => may_control(at).and_then(|()| set_threshold(at, device, metric, Threshold { low, high, hysteresis })),
            DeviceCommand::Acknowledge { alarm } => may_control(at).and_then(|()| acknowledge(at, device, alarm)),
            DeviceCommand::Order { name, argument } => {
                may_control(at).and_then(|()| order(at, device, name, &argument))
            }
            DeviceCommand::Ack { order, ok, note } => {
                from_device(at).and_then(|()| answer(at, device, order, Outcome::of_answer(ok), &note))
            }
        }
    }

    fn forward(&self, topic: &TopicName, device: &Device, seq: Seq, event: &DeviceEvent) -> Vec<Forward> {
        let id = topic.rest();
        match event {
            DeviceEvent::Reported { .. } | DeviceEvent::Recalled { .. } => to_fleet(id, device),
            DeviceEvent::Raised { .. } | DeviceEvent::Cleared { .. } => {
                let notice = notice(id, device, event).and_then(|notice| {
                    // What a visitor's browser measures, and when that is an alarm, is that visitor's own affair.
                    let audience = match owner(id) {
                        Some(owner) => Audience::Person(PersonId(owner.to_owned())),
                        None => Audience::Group(GROUP.to_owned()),
                    };
                    notify::forward(&audience, &notice)
                });
                to_fleet(id, device).into_iter().chain(notice).collect()
            }
            DeviceEvent::Ordered { name, argument, at, .. } => to_orders(&OrdersCommand::Add(Open {
                device: id.to_owned(),
                order: seq,
                name: name.clone(),
                argument: argument.clone(),
                at: *at,
            })),
            DeviceEvent::Answered { order, .. } => to_orders(&OrdersCommand::Done {
                device: id.to_owned(),
                order: *order,
            }),
            DeviceEvent::ThresholdSet { .. } | DeviceEvent::Acknowledged { .. } | DeviceEvent::Turned { .. } => {
                Vec::new()
            }
        }
    }

    fn refused_parts(event: &DeviceEvent) -> u64 {
        match event {
            DeviceEvent::Reported { refused, .. } | DeviceEvent::Recalled { refused, .. } => refused.len() as u64,
            _ => 0,
        }
    }

    fn retention(&self) -> Retention {
        Retention {
            events: KEPT_EVENTS,
            age: Some(std::time::Duration::from_millis(MAX_AGE)),
        }
    }
}

/// A program with the token, and a visitor for their browser.
fn from_device(at: Context<'_>) -> Result<(), Rejection> {
    let own = owner(at.topic.rest()) == Some(at.who.id.0.as_str());
    let program = at.origin == Origin::Program && owner(at.topic.rest()).is_none();
    if own || program {
        Ok(())
    } else {
        Err(Rejection::refused(why::NOT_YOURS))
    }
}

/// An operator, or everybody where they opened it (`--demo`), and a visitor for their browser. Not the role `device`: it speaks for
/// the device itself.
fn may_control(at: Context<'_>) -> Result<(), Rejection> {
    let own = owner(at.topic.rest()) == Some(at.who.id.0.as_str());
    if own || at.authority.may_control() {
        Ok(())
    } else {
        Err(Rejection::needs_role(Needed::Operator.role()))
    }
}

pub fn bad(at: Context<'_>, why: String) -> Vec<DeviceEvent> {
    vec![DeviceEvent::Reported {
        at: at.now,
        readings: Vec::new(),
        refused: vec![Refusal {
            metric: String::new(),
            why,
        }],
        name: None,
        place: None,
        every: None,
    }]
}

fn set_threshold(
    at: Context<'_>,
    device: &Device,
    metric: String,
    threshold: Threshold,
) -> Result<Vec<DeviceEvent>, Rejection> {
    let Some(known) = device.metrics.get(&metric) else {
        return Err(Rejection::refused(why::NO_METRIC));
    };
    let Threshold { low, high, hysteresis } = threshold;
    let threshold = Threshold {
        low: low.map(kept),
        high: high.map(kept),
        hysteresis: kept(hysteresis),
    };
    let fits = |value: f64| value.is_finite() && value.abs() <= MAX_VALUE;
    let ordered = low
        .zip(high)
        .is_none_or(|(low, high)| low < high && hysteresis < high - low);
    if !(low.is_none_or(fits) && high.is_none_or(fits) && fits(hysteresis) && hysteresis >= 0.0 && ordered) {
        return Err(Rejection::refused(why::BAD_THRESHOLD));
    }
    let threshold = (low.is_some() || high.is_some()).then_some(threshold);
    if known.threshold == threshold {
        return Ok(Vec::new());
    }
    let set = DeviceEvent::ThresholdSet {
        metric: metric.clone(),
        threshold,
        by: at.who.clone(),
        at: at.now,
    };
    let judged = judge(device, &metric, threshold, known.value, at.now);
    Ok(std::iter::once(set).chain(judged).collect())
}

fn acknowledge(at: Context<'_>, device: &Device, id: Seq) -> Result<Vec<DeviceEvent>, Rejection> {
    let alarm = device.alarms.iter().find(|alarm| alarm.id == id);
    let alarm = alarm.ok_or_else(|| Rejection::refused(why::NO_ALARM))?;
    if alarm.acknowledged.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![DeviceEvent::Acknowledged {
        alarm: id,
        by: at.who.clone(),
        at: at.now,
    }])
}

fn order(at: Context<'_>, device: &Device, name: String, argument: &str) -> Result<Vec<DeviceEvent>, Rejection> {
    let argument = argument.trim();
    if device.seen == 0 {
        return Err(Rejection::refused(why::NOT_HEARD));
    }
    if !is_order(&name) {
        return Err(Rejection::refused(why::BAD_ORDER));
    }
    let is_json = argument.is_empty() || json::check(argument.as_bytes()).is_ok();
    if argument.len() > MAX_ARGUMENT || !is_json {
        return Err(Rejection::refused(why::BAD_ARGUMENT));
    }
    // What the list of orders should have ended long ago, it does not know.
    let lost = device.orders.iter().filter(|order| order.is_forgotten(at.now));
    let mut events: Vec<_> = lost
        .map(|order| DeviceEvent::Answered {
            order: order.id,
            outcome: Outcome::TimedOut,
            note: String::new(),
            at: at.now,
        })
        .collect();
    if device.waiting().saturating_sub(events.len()) >= MAX_WAITING {
        return Err(Rejection::refused(why::ORDERS_WAITING));
    }
    events.push(DeviceEvent::Ordered {
        name,
        argument: argument.to_owned(),
        by: at.who.clone(),
        at: at.now,
    });
    Ok(events)
}

/// The first answer counts.
pub fn answer(
    at: Context<'_>,
    device: &Device,
    id: Seq,
    outcome: Outcome,
    note: &str,
) -> Result<Vec<DeviceEvent>, Rejection> {
    let order = device.orders.iter().find(|order| order.id == id);
    let order = order.ok_or_else(|| Rejection::refused(why::NO_ORDER))?;
    if order.outcome != Outcome::Sent {
        return Ok(Vec::new());
    }
    Ok(vec![DeviceEvent::Answered {
        order: id,
        outcome,
        note: tidy(note, MAX_NOTE),
        at: at.now,
    }])
}

/// An older turn that comes late changes nothing; a known one from the future was stamped by a clock that was ahead.
pub fn turn(device: &Device, health: Health, since: Millis, now: Millis) -> Vec<DeviceEvent> {
    let late = since < device.since && device.since <= now;
    if (device.health, device.since) == (health, since) || late {
        return Vec::new();
    }
    vec![DeviceEvent::Turned { health, at: since }]
}

fn to_fleet(id: &str, device: &Device) -> Vec<Forward> {
    // What never said anything that counts is not among the devices.
    if device.seen == 0 && device.metrics.is_empty() {
        return Vec::new();
    }
    let update = FleetCommand::Update {
        id: id.to_owned(),
        news: device.news(),
    };
    forward::<Fleet>(&update)
}

fn to_orders(command: &OrdersCommand) -> Vec<Forward> {
    forward::<Orders>(command)
}

fn forward<D: Decider>(command: &D::ServerCommand) -> Vec<Forward> {
    Forward::server_command::<D>(ALL, command).into_iter().collect()
}

fn notice(id: &str, device: &Device, event: &DeviceEvent) -> Option<Notice> {
    let name = if device.name.is_empty() { id } else { &device.name };
    let (metric, value, at, over) = match event {
        DeviceEvent::Raised { metric, value, at, .. } => (metric, value, at, false),
        DeviceEvent::Cleared { alarm, value, at } => {
            let alarm = device.alarms.iter().find(|one| one.id == *alarm)?;
            (&alarm.metric, value, at, true)
        }
        _ => return None,
    };
    let unit = device.metrics.get(metric).map_or("", |metric| metric.unit.as_str());
    let title = match over {
        true => LocalizedText::new(format!("경보 해제: {name}"), format!("Alarm over: {name}")),
        false => LocalizedText::new(format!("경보: {name}"), format!("Alarm: {name}")),
    };
    let body = match event {
        DeviceEvent::Raised { side, limit, .. } => {
            let (ko, en) = match side {
                Side::High => ("상한", "above"),
                Side::Low => ("하한", "below"),
            };
            LocalizedText::new(
                format!(
                    "{metric} {} {unit} ({ko} {})",
                    number::format(*value),
                    number::format(*limit)
                ),
                format!(
                    "{metric} {} {unit} ({en} {})",
                    number::format(*value),
                    number::format(*limit)
                ),
            )
        }
        _ => LocalizedText::untranslated(&format!("{metric} {} {unit}", number::format(*value))),
    };
    Some(Notice {
        title,
        body,
        link: Some(device_path(id)),
        level: if over { Level::Success } else { Level::Danger },
        expires: Some(at.saturating_add(NOTICE_LIFE)),
    })
}

/// What the device is told, as MQTT carries it. After `expires` nobody waits for it any more, and it must not be done. The argument is
/// as it was typed, to the last digit.
pub fn letter(open: &Open) -> String {
    let letter = OrderLetter {
        id: open.order,
        name: &open.name,
        argument: serde_json::from_str(&open.argument).ok(),
        expires: Some(open.at.saturating_add(ORDER_WAIT)),
    };
    serde_json::to_string(&letter).unwrap_or_default()
}

#[cfg(test)]
mod tests;
