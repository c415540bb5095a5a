//! What follows from the events of a device, of the overview and of the list of orders: the same on the server and in the
//! browser. Pure; trusts no event.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::trail::Trail;
pub use super::waiting::{MAX_OPEN, Waiting};
use super::wire::{
    DEFAULT_EVERY, DeviceCommand, DeviceEvent, Devices, Entry, Fleet, FleetEvent, Health, MAX_DEVICES, MAX_METRICS,
    Millis, News, ORDER_WAIT, Outcome, Recalled, Refusal, Shown, Side, Taken, Threshold,
};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::Person;
use duplex_protocol::topic::{Delivery, NoCommand, Topic};

/// What a page shows of the past; the log has more.
pub const KEPT_ALARMS: usize = 40;
pub const KEPT_ORDERS: usize = 20;
pub const KEPT_REFUSALS: usize = 10;
/// Values of a device in the overview.
pub const SHOWN: usize = 4;

/// What one device measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Of the newest reading by its own time, not of the one that came last; or what a broker kept of it since.
    pub value: f64,
    /// Of the newest reading; 0: there was none.
    pub at: Millis,
    pub unit: String,
    pub threshold: Option<Threshold>,
    pub trail: Trail,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub id: Seq,
    pub metric: String,
    pub side: Side,
    pub value: f64,
    pub limit: f64,
    pub raised: Millis,
    pub cleared: Option<Millis>,
    pub acknowledged: Option<(Person, Millis)>,
}

/// A command to the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: Seq,
    pub name: String,
    pub argument: String,
    pub by: Person,
    pub at: Millis,
    pub outcome: Outcome,
    pub answered: Option<Millis>,
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub at: Millis,
    pub refusal: Refusal,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Empty where the device did not say.
    pub name: String,
    pub place: String,
    /// Seconds between two reports; 0 where the device did not say.
    pub every: u32,
    /// The newest reading's time, or when the device last said that it is there; 0 is never.
    pub seen: Millis,
    pub health: Health,
    /// Since when it is so; 0: nobody has looked yet.
    pub since: Millis,
    pub reports: u64,
    /// Readings that came after newer ones.
    pub late: u64,
    /// Readings and messages that do not count.
    pub refused: u64,
    /// The newest of them, newest first; at most [`KEPT_REFUSALS`].
    pub refusals: VecDeque<Refused>,
    /// At most [`MAX_METRICS`].
    pub metrics: BTreeMap<String, Metric>,
    /// Newest first; at most [`KEPT_ALARMS`], those that are not over among them.
    pub alarms: VecDeque<Alarm>,
    /// Newest first; at most [`KEPT_ORDERS`].
    pub orders: VecDeque<Order>,
}

impl Order {
    /// Waits for so much longer than an order may that nothing will end it. By a clock that was ahead it was given in the future.
    pub fn is_forgotten(&self, now: Millis) -> bool {
        self.outcome == Outcome::Sent && now.abs_diff(self.at) > 4 * ORDER_WAIT
    }
}

impl Device {
    /// The alarm of this metric that is not over.
    pub fn alarm(&self, metric: &str) -> Option<&Alarm> {
        self.alarms
            .iter()
            .find(|alarm| alarm.metric == metric && alarm.cleared.is_none())
    }

    pub fn waiting(&self) -> usize {
        let waits = |order: &&Order| order.outcome == Outcome::Sent;
        self.orders.iter().filter(waits).count()
    }

    /// What the overview shows of it.
    pub fn news(&self) -> News {
        let shown = |(name, metric): (&String, &Metric)| Shown {
            metric: name.clone(),
            value: metric.value,
            unit: metric.unit.clone(),
            alarm: self.alarm(name).is_some(),
        };
        let active = self.alarms.iter().filter(|alarm| alarm.cleared.is_none()).count();
        News {
            name: self.name.clone(),
            place: self.place.clone(),
            seen: self.seen,
            every: self.every,
            alarms: u32::try_from(active).unwrap_or(u32::MAX),
            latest: self.metrics.iter().map(shown).take(SHOWN).collect(),
        }
    }

    /// `now`: the server's time of the report. What the server stamped in its own future, by a clock that was ahead, outranks nothing.
    fn take(&mut self, reading: &Taken, now: Millis) {
        let room = self.metrics.len() < MAX_METRICS;
        if !room && !self.metrics.contains_key(&reading.metric) {
            return;
        }
        let metric = self.metrics.entry(reading.metric.clone()).or_insert_with(|| Metric {
            value: reading.value,
            at: reading.at,
            unit: reading.unit.clone(),
            threshold: None,
            trail: Trail::default(),
        });
        metric.trail.add(reading.at, reading.value, now);
        if metric.unit.is_empty() {
            reading.unit.clone_into(&mut metric.unit);
        }
        if metric.is_outranked((reading.at, reading.value), now) {
            (metric.at, metric.value) = (reading.at, reading.value);
        } else if reading.at < metric.at {
            self.late = self.late.saturating_add(1);
        }
        self.seen = latest(self.seen, reading.at, now);
    }

    /// Neither the time of the value nor that of the device moves: nobody knows when it was.
    fn recall(&mut self, recalled: &Recalled) {
        if let Some(metric) = self.metrics.get_mut(&recalled.metric) {
            metric.value = recalled.value;
            recalled.unit.clone_into(&mut metric.unit);
        } else if self.metrics.len() < MAX_METRICS {
            let metric = Metric {
                value: recalled.value,
                at: 0,
                unit: recalled.unit.clone(),
                threshold: None,
                trail: Trail::default(),
            };
            self.metrics.insert(recalled.metric.clone(), metric);
        }
    }

    fn refuse(&mut self, at: Millis, refusal: &Refusal) {
        self.refused = self.refused.saturating_add(1);
        let refusal = refusal.clone();
        self.refusals.push_front(Refused { at, refusal });
        self.refusals.truncate(KEPT_REFUSALS);
    }

    /// The oldest that is over goes first.
    fn trim_alarms(&mut self) {
        while self.alarms.len() > KEPT_ALARMS {
            let over = self.alarms.iter().rposition(|alarm| alarm.cleared.is_some());
            self.alarms.remove(over.unwrap_or(self.alarms.len() - 1));
        }
    }

    fn answer(&mut self, id: Seq, outcome: Outcome, note: &str, at: Millis) {
        let found = self.orders.iter_mut().find(|order| order.id == id);
        if let Some(order) = found.filter(|order| order.outcome == Outcome::Sent) {
            order.outcome = outcome;
            order.answered = Some(at);
            note.clone_into(&mut order.note);
        }
    }
}

impl Metric {
    /// Whether this reading takes the place of the one that is known, at the server's time `now`.
    pub fn is_outranked(&self, reading: (Millis, f64), now: Millis) -> bool {
        self.at > now || is_newer(reading, (self.at, self.value))
    }
}

/// The later of two times, of which the known one counts only if it is not in the future.
pub fn latest(known: Millis, new: Millis, now: Millis) -> Millis {
    if known > now { new } else { known.max(new) }
}

/// Of two readings of the same time the larger counts, in whatever order they come.
pub fn is_newer(reading: (Millis, f64), than: (Millis, f64)) -> bool {
    reading.0.cmp(&than.0).then(reading.1.total_cmp(&than.1)).is_gt()
}

impl Threshold {
    /// On which side the value is out of its limits; `now`: on which it was until now. Back within them by less than the hysteresis, it
    /// still is.
    pub fn side(&self, value: f64, now: Option<Side>) -> Option<Side> {
        let slack = |side| if now == Some(side) { self.hysteresis } else { 0.0 };
        if self.high.is_some_and(|high| value > high - slack(Side::High)) {
            Some(Side::High)
        } else if self.low.is_some_and(|low| value < low + slack(Side::Low)) {
            Some(Side::Low)
        } else {
            None
        }
    }

    pub fn limit(&self, side: Side) -> f64 {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
        .unwrap_or_default()
    }
}

/// Late after two of its intervals without a word, offline after four. Two seconds more are the network's.
pub fn judge(seen: Millis, every: u32, now: Millis) -> Health {
    const SLACK: Millis = 2_000;
    let every = Millis::from(if every == 0 { DEFAULT_EVERY } else { every }) * 1_000;
    match now.saturating_sub(seen) {
        silence if silence <= 2 * every + SLACK => Health::Online,
        silence if silence <= 4 * every + SLACK => Health::Late,
        _ => Health::Offline,
    }
}

impl Topic for Devices {
    const KIND: &'static str = "device";

    type Command = DeviceCommand;
    type Event = DeviceEvent;
    type State = Device;

    fn apply(device: &mut Device, seq: Seq, event: &DeviceEvent) {
        match event {
            DeviceEvent::Reported { .. } | DeviceEvent::Recalled { .. } => reported(device, event),
            DeviceEvent::ThresholdSet { metric, threshold, .. } => {
                if let Some(metric) = device.metrics.get_mut(metric) {
                    metric.threshold = *threshold;
                }
            }
            DeviceEvent::Raised {
                metric,
                side,
                value,
                limit,
                at,
            } => {
                device.alarms.push_front(Alarm {
                    id: seq,
                    metric: metric.clone(),
                    side: *side,
                    value: *value,
                    limit: *limit,
                    raised: *at,
                    cleared: None,
                    acknowledged: None,
                });
                device.trim_alarms();
            }
            DeviceEvent::Cleared { alarm, at, .. } => {
                if let Some(alarm) = device.alarms.iter_mut().find(|one| one.id == *alarm) {
                    alarm.cleared = Some(*at);
                }
            }
            DeviceEvent::Acknowledged { alarm, by, at } => {
                if let Some(alarm) = device.alarms.iter_mut().find(|one| one.id == *alarm) {
                    alarm.acknowledged = Some((by.clone(), *at));
                }
            }
            DeviceEvent::Ordered { name, argument, by, at } => {
                device.orders.push_front(Order {
                    id: seq,
                    name: name.clone(),
                    argument: argument.clone(),
                    by: by.clone(),
                    at: *at,
                    outcome: Outcome::Sent,
                    answered: None,
                    note: String::new(),
                });
                device.orders.truncate(KEPT_ORDERS);
            }
            DeviceEvent::Answered {
                order,
                outcome,
                note,
                at,
            } => device.answer(*order, *outcome, note, *at),
            DeviceEvent::Turned { health, at } => (device.health, device.since) = (*health, *at),
        }
    }
}

fn reported(device: &mut Device, event: &DeviceEvent) {
    let (at, refused, name, place, every) = match event {
        DeviceEvent::Reported {
            at,
            readings,
            refused,
            name,
            place,
            every,
        } => {
            readings.iter().for_each(|reading| device.take(reading, *at));
            if readings.is_empty() && refused.is_empty() {
                device.seen = latest(device.seen, *at, *at);
            }
            (at, refused, name, place, every)
        }
        DeviceEvent::Recalled {
            at,
            values,
            refused,
            name,
            place,
            every,
        } => {
            values.iter().for_each(|value| device.recall(value));
            (at, refused, name, place, every)
        }
        _ => return,
    };
    device.reports = device.reports.saturating_add(1);
    refused.iter().for_each(|refusal| device.refuse(*at, refusal));
    for (said, kept) in [(name, &mut device.name), (place, &mut device.place)] {
        if let Some(said) = said {
            said.clone_into(kept);
        }
    }
    device.every = every.unwrap_or(device.every);
}

/// Every device at a glance; at most [`MAX_DEVICES`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub devices: BTreeMap<String, Entry>,
}

impl Topic for Fleet {
    const KIND: &'static str = "fleet";
    const DELIVERY: Delivery = Delivery::Latest;
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = FleetEvent;
    type State = Overview;

    fn apply(overview: &mut Overview, _seq: Seq, event: &FleetEvent) {
        match event {
            FleetEvent::Entry { id, entry, .. } => {
                if overview.devices.len() < MAX_DEVICES || overview.devices.contains_key(id) {
                    overview.devices.insert(id.clone(), entry.clone());
                }
            }
            FleetEvent::Gone { id } => {
                overview.devices.remove(id);
            }
            FleetEvent::Silent { .. } => {}
        }
    }

    fn key(event: &FleetEvent) -> Option<String> {
        match event {
            FleetEvent::Entry { id, .. } | FleetEvent::Gone { id } => Some(id.clone()),
            FleetEvent::Silent { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_late_and_then_offline() {
        for (silence, health) in [
            (0, Health::Online),
            (22_000, Health::Online),
            (22_001, Health::Late),
            (42_000, Health::Late),
            (42_001, Health::Offline),
        ] {
            assert_eq!(judge(1_000_000, 10, 1_000_000 + silence), health, "{silence}");
        }
        assert_eq!(judge(5, 10, 0), Health::Online, "a clock set back takes nobody offline");
        assert_eq!(
            judge(0, 0, 122_001),
            Health::Late,
            "a minute, where nothing was promised"
        );
        assert_eq!(judge(0, 60, Millis::MAX), Health::Offline);
    }

    #[test]
    fn an_alarm_ends_beyond_the_hysteresis() {
        let threshold = Threshold {
            low: Some(0.0),
            high: Some(30.0),
            hysteresis: 2.0,
        };
        let high = Some(Side::High);
        for (value, now, then) in [
            (30.0, None, None),
            (30.1, None, high),
            (28.5, high, high),
            (28.0, high, None),
            (29.0, None, None),
            (1.0, Some(Side::Low), Some(Side::Low)),
            (2.0, Some(Side::Low), None),
            (-1.0, high, Some(Side::Low)),
        ] {
            assert_eq!(threshold.side(value, now), then, "{value} after {now:?}");
        }
    }

    #[test]
    fn alarms_that_are_not_over_stay_among_the_kept() {
        let mut device = Device::default();
        for seq in 1..=2 * KEPT_ALARMS as Seq {
            let raised = DeviceEvent::Raised {
                metric: format!("m{seq}"),
                side: Side::High,
                value: 1.0,
                limit: 0.0,
                at: seq,
            };
            Devices::apply(&mut device, seq, &raised);
            if seq > 1 {
                let cleared = DeviceEvent::Cleared {
                    alarm: seq,
                    value: 0.0,
                    at: seq,
                };
                Devices::apply(&mut device, 0, &cleared);
            }
        }
        assert_eq!(device.alarms.len(), KEPT_ALARMS);
        assert!(device.alarm("m1").is_some());
    }
}
