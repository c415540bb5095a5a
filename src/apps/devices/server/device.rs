//! The decider of `device/<id>`: handles one device's reports, thresholds, alarms and orders, and authorizes their senders. Pure.

use super::super::model::Device;

use super::super::wire::{
    ALL, DeviceCommand, DeviceEvent, Devices, Fleet, Health, LimitKind, MAX_AGE, MAX_ARGUMENT, MAX_NOTE,
    MAX_PENDING_PER_DEVICE, MAX_VALUE, NOTICE_GROUP, ORDER_TIMEOUT, OrderStatus, Orders, PendingOrder, RejectedReading,
    Threshold, browser_owner, device_path, is_device_id, is_order_name, reason_code, sanitize,
};
use super::NOTICE_LIFETIME;
use super::commands::{DeviceServerCommand, FleetCommand, OrdersCommand};
use super::mqtt_message::OrderMessage;
use super::readings::{alarm_events, normalize, report_live};
use crate::server::forms::CommandForm;
use crate::server::notify;
use crate::wire::form::Fields;
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use crate::wire::number;
use duplex_hub::decider::{Access, Context, Decider, Forward, Millis, Principal, Retention, SenderKind};
use duplex_hub::{RequiredRole, TopicCommand, json};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

/// Maximum events in a device's log: one day at one report every five seconds.
const RETAINED_EVENTS: u64 = 20_000;

/// The forms of the device's page, for browsers without scripts.
pub fn forms() -> [CommandForm; 1] {
    [CommandForm {
        path: "/devices/{id}",
        command: |path, fields| {
            let id = path.strip_prefix("/devices/")?;
            TopicCommand::to::<Devices>(id, &parse_form(fields)?).ok()
        },
        redirect_to: CommandForm::same_page,
    }]
}

fn parse_form(fields: &Fields) -> Option<DeviceCommand> {
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

    /// Everyone may read. Only its own visitor may write to a browser's topic; `decide` checks each command's rights.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        match topic.rest() {
            id if !is_device_id(id) => Err(Denial::Unknown),
            id if browser_owner(id).is_some_and(|owner| owner != who.person.id.0) => Ok(Access::Read),
            _ => Ok(Access::Write),
        }
    }

    fn starts_on_read(&self, _topic: &TopicName) -> bool {
        false
    }

    fn program_role<'a>(&self, topic: &'a TopicName) -> RequiredRole<'a> {
        RequiredRole::Device(topic.rest())
    }

    fn decide(
        &self,
        context: Context<'_>,
        device: &Device,
        command: DeviceCommand,
    ) -> Result<Vec<DeviceEvent>, Rejection> {
        match command {
            DeviceCommand::Report(report) => {
                authorize_device(context).and_then(|()| report_live(context, device, report))
            }
            DeviceCommand::SetThreshold {
                metric,
                low,
                high,
                hysteresis,
            } => may_control(context)
                .and_then(|()| set_threshold(context, device, metric, Threshold { low, high, hysteresis })),
            DeviceCommand::Acknowledge { alarm } => {
                may_control(context).and_then(|()| acknowledge_alarm(context, device, alarm))
            }
            DeviceCommand::Order { name, argument } => {
                may_control(context).and_then(|()| send_order(context, device, name, &argument))
            }
            DeviceCommand::Ack { order, ok, note } => authorize_device(context)
                .and_then(|()| record_answer(context, device, order, OrderStatus::from_ack(ok), &note)),
        }
    }

    fn forward(&self, topic: &TopicName, device: &Device, seq: Seq, event: &DeviceEvent) -> Vec<Forward> {
        let id = topic.rest();
        match event {
            DeviceEvent::Reported { .. } | DeviceEvent::LastKnownReported { .. } => forward_summary(id, device),
            DeviceEvent::Raised { .. } | DeviceEvent::Cleared { .. } => {
                let notice = alarm_notice(id, device, event).and_then(|notice| {
                    // Alarms of a browser are sent to its visitor alone.
                    let audience = match browser_owner(id) {
                        Some(owner) => Audience::Person(PersonId(owner.to_owned())),
                        None => Audience::Group(NOTICE_GROUP.to_owned()),
                    };
                    notify::forward(&audience, &notice)
                });
                forward_summary(id, device).into_iter().chain(notice).collect()
            }
            DeviceEvent::Ordered { name, argument, at, .. } => forward_to_orders(&OrdersCommand::Add(PendingOrder {
                device: id.to_owned(),
                order: seq,
                name: name.clone(),
                argument: argument.clone(),
                at: *at,
            })),
            DeviceEvent::Answered { order, .. } => forward_to_orders(&OrdersCommand::Answered {
                device: id.to_owned(),
                order: *order,
            }),
            DeviceEvent::ThresholdSet { .. } | DeviceEvent::Acknowledged { .. } | DeviceEvent::HealthChanged { .. } => {
                Vec::new()
            }
        }
    }

    fn rejected_parts(event: &DeviceEvent) -> u64 {
        match event {
            DeviceEvent::Reported { rejected, .. } | DeviceEvent::LastKnownReported { rejected, .. } => {
                rejected.len() as u64
            }
            _ => 0,
        }
    }

    fn retention(&self) -> Retention {
        Retention {
            events: RETAINED_EVENTS,
            age: Some(std::time::Duration::from_millis(MAX_AGE)),
        }
    }
}

/// Allows programs to act as any device except a browser, and a visitor to act as their own browser.
fn authorize_device(context: Context<'_>) -> Result<(), Rejection> {
    let is_owner = browser_owner(context.topic.rest()) == Some(context.sender.id.0.as_str());
    let program = context.sender_kind == SenderKind::Program && browser_owner(context.topic.rest()).is_none();
    if is_owner || program {
        Ok(())
    } else {
        Err(Rejection::custom(reason_code::NOT_THE_DEVICE))
    }
}

/// Allows an operator, everyone with `--demo`, and a visitor for their own browser. The role `device` does not grant this: it only
/// lets a program act as the device.
fn may_control(context: Context<'_>) -> Result<(), Rejection> {
    let is_owner = browser_owner(context.topic.rest()) == Some(context.sender.id.0.as_str());
    if is_owner || context.authority.may_control() {
        Ok(())
    } else {
        Err(Rejection::missing_role(RequiredRole::Operator.name()))
    }
}

pub fn invalid_message(context: Context<'_>, why: String) -> Vec<DeviceEvent> {
    vec![DeviceEvent::Reported {
        at: context.now,
        readings: Vec::new(),
        rejected: vec![RejectedReading {
            metric: String::new(),
            why,
        }],
        name: None,
        place: None,
        every: None,
    }]
}

fn set_threshold(
    context: Context<'_>,
    device: &Device,
    metric: String,
    threshold: Threshold,
) -> Result<Vec<DeviceEvent>, Rejection> {
    let Some(known) = device.metrics.get(&metric) else {
        return Err(Rejection::custom(reason_code::NO_METRIC));
    };
    let Threshold { low, high, hysteresis } = threshold;
    let threshold = Threshold {
        low: low.map(normalize),
        high: high.map(normalize),
        hysteresis: normalize(hysteresis),
    };
    let is_valid = |value: f64| value.is_finite() && value.abs() <= MAX_VALUE;
    let ordered = low
        .zip(high)
        .is_none_or(|(low, high)| low < high && hysteresis < high - low);
    let limits_valid = low.is_none_or(is_valid) && high.is_none_or(is_valid);
    if !(limits_valid && is_valid(hysteresis) && hysteresis >= 0.0 && ordered) {
        return Err(Rejection::custom(reason_code::BAD_THRESHOLD));
    }
    let threshold = (low.is_some() || high.is_some()).then_some(threshold);
    if known.threshold == threshold {
        return Ok(Vec::new());
    }
    let set = DeviceEvent::ThresholdSet {
        metric: metric.clone(),
        threshold,
        by: context.sender.clone(),
        at: context.now,
    };
    let alarms = alarm_events(device, &metric, threshold, known.value, context.now);
    Ok(std::iter::once(set).chain(alarms).collect())
}

fn acknowledge_alarm(context: Context<'_>, device: &Device, id: Seq) -> Result<Vec<DeviceEvent>, Rejection> {
    let alarm = device.alarms.iter().find(|alarm| alarm.id == id);
    let alarm = alarm.ok_or_else(|| Rejection::custom(reason_code::NO_ALARM))?;
    if alarm.acknowledged.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![DeviceEvent::Acknowledged {
        alarm: id,
        by: context.sender.clone(),
        at: context.now,
    }])
}

fn send_order(
    context: Context<'_>,
    device: &Device,
    name: String,
    argument: &str,
) -> Result<Vec<DeviceEvent>, Rejection> {
    let argument = argument.trim();
    if device.last_seen == 0 {
        return Err(Rejection::custom(reason_code::NEVER_SEEN));
    }
    if !is_order_name(&name) {
        return Err(Rejection::custom(reason_code::BAD_ORDER));
    }
    let is_json = argument.is_empty() || json::validate(argument.as_bytes()).is_ok();
    if argument.len() > MAX_ARGUMENT || !is_json {
        return Err(Rejection::custom(reason_code::BAD_ARGUMENT));
    }
    // Time out stale orders here: `orders/all` no longer knows them.
    let stale = device.orders.iter().filter(|order| order.is_stale(context.now));
    let mut events: Vec<_> = stale
        .map(|order| DeviceEvent::Answered {
            order: order.id,
            outcome: OrderStatus::TimedOut,
            note: String::new(),
            at: context.now,
        })
        .collect();
    if device.pending_orders().saturating_sub(events.len()) >= MAX_PENDING_PER_DEVICE {
        return Err(Rejection::custom(reason_code::TOO_MANY_PENDING));
    }
    events.push(DeviceEvent::Ordered {
        name,
        argument: argument.to_owned(),
        by: context.sender.clone(),
        at: context.now,
    });
    Ok(events)
}

/// Records an answer; only the first one counts.
pub fn record_answer(
    context: Context<'_>,
    device: &Device,
    id: Seq,
    outcome: OrderStatus,
    note: &str,
) -> Result<Vec<DeviceEvent>, Rejection> {
    let order = device.orders.iter().find(|order| order.id == id);
    let order = order.ok_or_else(|| Rejection::custom(reason_code::NO_ORDER))?;
    if order.outcome != OrderStatus::Sent {
        return Ok(Vec::new());
    }
    Ok(vec![DeviceEvent::Answered {
        order: id,
        outcome,
        note: sanitize(note, MAX_NOTE),
        at: context.now,
    }])
}

/// Records a change of health. A change older than the recorded one is ignored, unless the recorded time is in the future, stamped
/// while the server's clock was ahead.
pub fn set_health(device: &Device, health: Health, since: Millis, now: Millis) -> Vec<DeviceEvent> {
    let is_outdated = since < device.health_since && device.health_since <= now;
    if (device.health, device.health_since) == (health, since) || is_outdated {
        return Vec::new();
    }
    vec![DeviceEvent::HealthChanged { health, at: since }]
}

fn forward_summary(id: &str, device: &Device) -> Vec<Forward> {
    // A device without an accepted report is not listed.
    if device.last_seen == 0 && device.metrics.is_empty() {
        return Vec::new();
    }
    let update = FleetCommand::Update {
        id: id.to_owned(),
        summary: device.summary(),
    };
    forward::<Fleet>(&update)
}

fn forward_to_orders(command: &OrdersCommand) -> Vec<Forward> {
    forward::<Orders>(command)
}

fn forward<D: Decider>(command: &D::ServerCommand) -> Vec<Forward> {
    Forward::server_command::<D>(ALL, command).into_iter().collect()
}

fn alarm_notice(id: &str, device: &Device, event: &DeviceEvent) -> Option<Notice> {
    let name = if device.name.is_empty() { id } else { &device.name };
    let (metric, value, at, is_cleared) = match event {
        DeviceEvent::Raised { metric, value, at, .. } => (metric, value, at, false),
        DeviceEvent::Cleared { alarm, value, at } => {
            let alarm = device.alarms.iter().find(|known| known.id == *alarm)?;
            (&alarm.metric, value, at, true)
        }
        _ => return None,
    };
    let unit = device.metrics.get(metric).map_or("", |metric| metric.unit.as_str());
    let title = match is_cleared {
        true => LocalizedText::new(format!("경보 해제: {name}"), format!("Alarm over: {name}")),
        false => LocalizedText::new(format!("경보: {name}"), format!("Alarm: {name}")),
    };
    let body = match event {
        DeviceEvent::Raised { limit_kind, limit, .. } => {
            let (ko, en) = match limit_kind {
                LimitKind::High => ("상한", "above"),
                LimitKind::Low => ("하한", "below"),
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
        level: if is_cleared { Level::Success } else { Level::Danger },
        expires: Some(at.saturating_add(NOTICE_LIFETIME)),
    })
}

/// Serializes the order for MQTT. The argument is copied verbatim.
pub fn order_message(order: &PendingOrder) -> String {
    let message = OrderMessage {
        id: order.order,
        name: &order.name,
        argument: serde_json::from_str(&order.argument).ok(),
        expires: Some(order.at.saturating_add(ORDER_TIMEOUT)),
    };
    serde_json::to_string(&message).unwrap_or_default()
}

#[cfg(test)]
mod tests;
