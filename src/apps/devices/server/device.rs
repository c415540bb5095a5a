//! One device: what it may say, what it may be asked, and who may do so. Pure.

use serde_json::{Value, json};

use super::super::model::{Device, is_newer};
use super::super::wire::{
    ALL, DeviceCommand, DeviceEvent, Devices, Fleet, FleetCommand, GROUP, Health, MAX_AGE, MAX_AHEAD, MAX_ARGUMENT,
    MAX_EVERY, MAX_LABEL, MAX_METRIC, MAX_METRICS, MAX_NOTE, MAX_READINGS, MAX_UNIT, MAX_VALUE, MAX_WAITING, ORDER_WAIT, Open,
    Orders, OrdersCommand, Outcome, Reading, Refusal, Report, Side, Taken, Threshold, device_path, is_device,
    is_metric, is_order, owner, tidy, why,
};
use crate::server::hub::decider::{Access, Context, Decider, Forward, Millis, Retention};
use crate::server::hub::{self, CommandForm};
use crate::wire::cursor::Seq;
use crate::wire::form::Fields;
use crate::wire::notice::{Audience, Level, Notice, Words};
use crate::wire::person::Person;
use crate::wire::session::{Denied, Rejection};
use crate::wire::topic::{Topic, TopicName};

/// Raw reports that the log keeps of a device: at one in five seconds, a day.
const KEPT_EVENTS: u64 = 20_000;
/// How long a notice of an alarm is of use.
const NOTICE_LIFE: Millis = 24 * 3_600_000;

/// The device's page, for browsers that run no scripts.
pub fn forms() -> [CommandForm; 1] {
    [CommandForm {
        path: "/devices/{id}",
        command: |path, fields| {
            let topic = TopicName::of::<Devices>(path.strip_prefix("/devices/")?).ok()?;
            let command = posted(fields)?;
            Some((topic, serde_json::to_value(command).ok()?))
        },
    }]
}

fn posted(fields: &Fields) -> Option<DeviceCommand> {
    let text = |name: &str| fields.get(name).map(|text| text.trim().to_owned());
    let number = |name: &str| match text(name) {
        Some(text) if !text.is_empty() => text.parse().map(Some).ok(),
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
    /// Everybody may look, and set what a device of the place does; a browser is its visitor's alone.
    fn admit(&self, who: &Person, topic: &TopicName) -> Result<Access, Denied> {
        match topic.rest() {
            id if !is_device(id) => Err(Denied::Unknown),
            id if owner(id).is_some_and(|owner| owner != who.id.0) => Ok(Access::Read),
            _ => Ok(Access::Write),
        }
    }

    fn decide(
        &self,
        at: Context<'_>,
        device: &Device,
        command: DeviceCommand,
    ) -> Result<Vec<DeviceEvent>, Rejection> {
        match command {
            DeviceCommand::Report(report) => from_device(at).and_then(|()| reported(at, device, report)),
            DeviceCommand::Bad { why } => from_server(at).map(|()| bad(at, why)),
            DeviceCommand::SetThreshold {
                metric,
                low,
                high,
                hysteresis,
            } => set_threshold(at, device, metric, Threshold { low, high, hysteresis }),
            DeviceCommand::Acknowledge { alarm } => acknowledge(at, device, alarm),
            DeviceCommand::Order { name, argument } => order(at, device, name, &argument),
            DeviceCommand::Ack { order, ok, note } => {
                let outcome = if ok { Outcome::Acknowledged } else { Outcome::Failed };
                from_device(at).and_then(|()| answer(at, device, order, outcome, &note))
            }
            DeviceCommand::Turn { health, at: since } => from_server(at).map(|()| turn(device, health, since)),
            DeviceCommand::Expire { order } => {
                from_server(at).and_then(|()| answer(at, device, order, Outcome::TimedOut, ""))
            }
        }
    }

    fn forward(&self, topic: &TopicName, device: &Device, seq: Seq, event: &DeviceEvent) -> Vec<Forward> {
        let id = topic.rest();
        match event {
            DeviceEvent::Reported { .. } => to_fleet(id, device),
            DeviceEvent::Raised { .. } | DeviceEvent::Cleared { .. } => {
                let notice = notice(id, device, event).and_then(|notice| {
                    let group = Audience::Group(GROUP.to_owned());
                    Forward::notice(&group, &notice)
                });
                to_fleet(id, device).into_iter().chain(notice).collect()
            }
            DeviceEvent::Ordered {
                name, argument, at, ..
            } => to_orders(&OrdersCommand::Add(Open {
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

    fn retention(&self) -> Retention {
        Retention {
            events: KEPT_EVENTS,
            age: Some(std::time::Duration::from_millis(MAX_AGE)),
        }
    }
}

fn from_server(at: Context<'_>) -> Result<(), Rejection> {
    if at.who.id == hub::server().id {
        Ok(())
    } else {
        Err(Rejection::refused(why::NOT_FOR_YOU))
    }
}

/// The server for those behind the broker and for its own machine, a program with the token, a visitor for their browser.
fn from_device(at: Context<'_>) -> Result<(), Rejection> {
    let own = owner(at.topic.rest()) == Some(at.who.id.0.as_str());
    let program = at.who.id == hub::program().id && owner(at.topic.rest()).is_none();
    if own || program || at.who.id == hub::server().id {
        Ok(())
    } else {
        Err(Rejection::refused(why::NOT_YOURS))
    }
}

fn reported(at: Context<'_>, device: &Device, report: Report) -> Result<Vec<DeviceEvent>, Rejection> {
    if report.readings.len() > MAX_READINGS {
        return Err(Rejection::refused(why::TOO_MANY_READINGS));
    }
    let (mut readings, mut refused) = (Vec::new(), Vec::new());
    for reading in report.readings {
        match take(at.now, device, &readings, &reading) {
            Ok(taken) => readings.push(taken),
            Err(why) => refused.push(Refusal {
                metric: tidy(&reading.metric, MAX_METRIC),
                why: why.to_owned(),
            }),
        }
    }
    let alarms = alarms(device, &readings, at.now);
    let said = |label: Option<String>, kept: &str| label.map(|label| tidy(&label, MAX_LABEL)).filter(|said| said != kept);
    let mut events = vec![DeviceEvent::Reported {
        at: at.now,
        readings,
        refused,
        name: said(report.name, &device.name),
        place: said(report.place, &device.place),
        every: report.every.map(|every| every.clamp(1, MAX_EVERY)).filter(|every| *every != device.every),
    }];
    events.extend(alarms);
    Ok(events)
}

/// The reading as it counts, after those of its report that count already.
fn take(now: Millis, device: &Device, before: &[Taken], reading: &Reading) -> Result<Taken, &'static str> {
    let metric = &reading.metric;
    if !is_metric(metric) {
        return Err(why::BAD_METRIC);
    }
    let (value, at) = (reading.value.0, reading.at.unwrap_or(now));
    if !value.is_finite() {
        return Err(why::NOT_A_NUMBER);
    }
    if value.abs() > MAX_VALUE {
        return Err(why::TOO_LARGE);
    }
    if at > now.saturating_add(MAX_AHEAD) {
        return Err(why::IN_FUTURE);
    }
    if at < now.saturating_sub(MAX_AGE) {
        return Err(why::TOO_OLD);
    }
    let unit = reading.unit.as_deref().map(|unit| tidy(unit, MAX_UNIT));
    let told = before.iter().find(|one| one.metric == *metric).map(|one| &one.unit);
    let kept = device.metrics.get(metric).map(|metric| &metric.unit).or(told);
    if kept.is_none() && fresh_metrics(device, before) + device.metrics.len() >= MAX_METRICS {
        return Err(why::METRICS_FULL);
    }
    if unit.as_ref().zip(kept).is_some_and(|(unit, kept)| !kept.is_empty() && unit != kept) {
        return Err(why::OTHER_UNIT);
    }
    Ok(Taken {
        metric: metric.clone(),
        value,
        unit: unit.or_else(|| kept.cloned()).unwrap_or_default(),
        // A clock that is a little ahead must not hold back what is measured next.
        at: at.min(now),
    })
}

fn fresh_metrics(device: &Device, before: &[Taken]) -> usize {
    let mut fresh: Vec<_> = before.iter().map(|one| one.metric.as_str()).collect();
    fresh.retain(|metric| !device.metrics.contains_key(*metric));
    fresh.sort_unstable();
    fresh.dedup();
    fresh.len()
}

/// Each metric is judged by its newest reading, and only if that is newer than what was known.
fn alarms(device: &Device, readings: &[Taken], now: Millis) -> Vec<DeviceEvent> {
    let judged = |(name, metric): (&String, &super::super::model::Metric)| {
        let own = readings.iter().filter(|one| one.metric == *name);
        let newest = own
            .map(|one| (one.at, one.value))
            .filter(|one| is_newer(*one, (metric.at, metric.value)));
        let (_, value) = newest.reduce(|best, one| if is_newer(one, best) { one } else { best })?;
        Some(judge(device, name, metric.threshold, value, now))
    };
    device.metrics.iter().filter_map(judged).flatten().collect()
}

fn judge(device: &Device, metric: &str, threshold: Option<Threshold>, value: f64, now: Millis) -> Vec<DeviceEvent> {
    let active = device.alarm(metric);
    let before = active.map(|alarm| alarm.side);
    let threshold = threshold.unwrap_or_default();
    let side = threshold.side(value, before);
    if side == before {
        return Vec::new();
    }
    let cleared = active.map(|alarm| DeviceEvent::Cleared {
        alarm: alarm.id,
        value,
        at: now,
    });
    let raised = side.map(|side| DeviceEvent::Raised {
        metric: metric.to_owned(),
        side,
        value,
        limit: threshold.limit(side),
        at: now,
    });
    cleared.into_iter().chain(raised).collect()
}

fn bad(at: Context<'_>, why: String) -> Vec<DeviceEvent> {
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
    let fits = |value: f64| value.is_finite() && value.abs() <= MAX_VALUE;
    let ordered = low.zip(high).is_none_or(|(low, high)| low < high && hysteresis < high - low);
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
    let is_json = argument.is_empty() || serde_json::from_str::<Value>(argument).is_ok();
    if argument.len() > MAX_ARGUMENT || !is_json {
        return Err(Rejection::refused(why::BAD_ARGUMENT));
    }
    if device.waiting() >= MAX_WAITING {
        return Err(Rejection::refused(why::ORDERS_WAITING));
    }
    Ok(vec![DeviceEvent::Ordered {
        name,
        argument: argument.to_owned(),
        by: at.who.clone(),
        at: at.now,
    }])
}

/// The first answer counts.
fn answer(
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

fn turn(device: &Device, health: Health, since: Millis) -> Vec<DeviceEvent> {
    if (device.health, device.since) == (health, since) || since < device.since {
        return Vec::new();
    }
    vec![DeviceEvent::Turned { health, at: since }]
}

fn to_fleet(id: &str, device: &Device) -> Vec<Forward> {
    // What never said anything that counts is not among the devices.
    if device.seen == 0 {
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

fn forward<T: Topic>(command: &T::Command) -> Vec<Forward> {
    let forward = TopicName::of::<T>(ALL).ok().zip(serde_json::to_value(command).ok());
    forward.map(|(topic, command)| Forward { topic, command }).into_iter().collect()
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
        true => Words::new(format!("경보 해제: {name}"), format!("Alarm over: {name}")),
        false => Words::new(format!("경보: {name}"), format!("Alarm: {name}")),
    };
    let body = match event {
        DeviceEvent::Raised { side, limit, .. } => {
            let (ko, en) = match side {
                Side::High => ("상한", "above"),
                Side::Low => ("하한", "below"),
            };
            Words::new(
                format!("{metric} {value} {unit} ({ko} {limit})"),
                format!("{metric} {value} {unit} ({en} {limit})"),
            )
        }
        _ => Words::same(&format!("{metric} {value} {unit}")),
    };
    Some(Notice {
        title,
        body,
        link: Some(device_path(id)),
        level: if over { Level::Success } else { Level::Danger },
        expires: Some(at.saturating_add(NOTICE_LIFE)),
    })
}

/// What the device is told, as MQTT carries it. After `expires` nobody waits for it any more, and it must not be done.
pub fn letter(open: &Open) -> Value {
    let argument = serde_json::from_str(&open.argument).unwrap_or(Value::Null);
    let expires = open.at.saturating_add(ORDER_WAIT);
    json!({ "id": open.order, "name": open.name, "argument": argument, "expires": expires })
}
