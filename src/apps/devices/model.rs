//! The states of `device/<id>` and `fleet/all` and their `apply`, shared by server and browser. Pure; enforces the limits again.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::history::MetricHistory;
pub use super::pending_orders::{MAX_PENDING, PendingOrders};
use super::wire::{
    AcceptedReading, CurrentValue, DEFAULT_EVERY, DeviceCommand, DeviceEvent, DeviceSummary, Devices, Fleet,
    FleetEntry, FleetEvent, Health, LimitKind, MAX_DEVICES, MAX_METRICS, Millis, ORDER_TIMEOUT, OrderStatus,
    RejectedReading, RejectionRecord, Threshold, UntimestampedValue,
};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::Person;
use duplex_protocol::topic::{Delivery, NoCommand, Topic};

/// Maximum entries of each kind in the state; the log retains more.
pub const MAX_ALARMS: usize = 40;
pub const MAX_ORDERS: usize = 20;
pub const MAX_REJECTIONS: usize = 10;
/// Maximum values of a device in the overview.
pub const SUMMARY_VALUES: usize = 4;

/// One metric of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The value of the reading with the newest timestamp, unless a last known value (without a timestamp) arrived after it.
    pub value: f64,
    /// The time of the newest reading; 0 if there was none.
    pub at: Millis,
    pub unit: String,
    pub threshold: Option<Threshold>,
    #[serde(rename = "trail")]
    pub history: MetricHistory,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub id: Seq,
    pub metric: String,
    #[serde(rename = "side")]
    pub limit_kind: LimitKind,
    pub value: f64,
    pub limit: f64,
    #[serde(rename = "raised")]
    pub raised_at: Millis,
    #[serde(rename = "cleared")]
    pub cleared_at: Option<Millis>,
    pub acknowledged: Option<(Person, Millis)>,
}

/// An order to the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: Seq,
    pub name: String,
    pub argument: String,
    pub by: Person,
    pub at: Millis,
    pub outcome: OrderStatus,
    #[serde(rename = "answered")]
    pub answered_at: Option<Millis>,
    pub note: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Empty if the device did not announce it.
    pub name: String,
    pub place: String,
    /// Seconds between two reports; 0 if the device did not announce it.
    pub every: u32,
    /// The newest reading's time, or when the device last sent a report without readings; 0 if never.
    #[serde(rename = "seen")]
    pub last_seen: Millis,
    pub health: Health,
    /// When `health` last changed; 0 if it has not been determined yet.
    #[serde(rename = "since")]
    pub health_since: Millis,
    pub reports: u64,
    /// Readings received after newer ones.
    pub late: u64,
    /// Number of rejected readings and messages.
    #[serde(rename = "refused")]
    pub rejected: u64,
    /// The most recent rejections, newest first; at most [`MAX_REJECTIONS`].
    #[serde(rename = "refusals")]
    pub rejections: VecDeque<RejectionRecord>,
    /// At most [`MAX_METRICS`].
    pub metrics: BTreeMap<String, Metric>,
    /// Newest first; at most [`MAX_ALARMS`], including all active ones.
    pub alarms: VecDeque<Alarm>,
    /// Newest first; at most [`MAX_ORDERS`].
    pub orders: VecDeque<Order>,
}

impl Order {
    /// Whether the order is unanswered and its timeout must have been lost; `at` is in the future if the server's clock was ahead.
    pub fn is_stale(&self, now: Millis) -> bool {
        self.outcome == OrderStatus::Sent && now.abs_diff(self.at) > 4 * ORDER_TIMEOUT
    }
}

impl Device {
    /// The metric's active alarm.
    pub fn alarm(&self, metric: &str) -> Option<&Alarm> {
        self.alarms
            .iter()
            .find(|alarm| alarm.metric == metric && alarm.cleared_at.is_none())
    }

    /// The number of unanswered orders.
    pub fn pending_orders(&self) -> usize {
        let is_pending = |order: &&Order| order.outcome == OrderStatus::Sent;
        self.orders.iter().filter(is_pending).count()
    }

    pub fn summary(&self) -> DeviceSummary {
        let current = |(name, metric): (&String, &Metric)| CurrentValue {
            metric: name.clone(),
            value: metric.value,
            unit: metric.unit.clone(),
            alarm: self.alarm(name).is_some(),
        };
        let active = self.alarms.iter().filter(|alarm| alarm.cleared_at.is_none()).count();
        DeviceSummary {
            name: self.name.clone(),
            place: self.place.clone(),
            last_seen: self.last_seen,
            every: self.every,
            alarms: u32::try_from(active).unwrap_or(u32::MAX),
            latest: self.metrics.iter().map(current).take(SUMMARY_VALUES).collect(),
        }
    }

    /// `now` is the report's server time. A stored time later than `now` (the server's clock was ahead) is overwritten.
    fn apply_reading(&mut self, reading: &AcceptedReading, now: Millis) {
        let is_full = self.metrics.len() >= MAX_METRICS;
        if is_full && !self.metrics.contains_key(&reading.metric) {
            return;
        }
        let metric = self.metrics.entry(reading.metric.clone()).or_insert_with(|| Metric {
            value: reading.value,
            at: reading.at,
            unit: reading.unit.clone(),
            threshold: None,
            history: MetricHistory::default(),
        });
        metric.history.add(reading.at, reading.value, now);
        if metric.unit.is_empty() {
            reading.unit.clone_into(&mut metric.unit);
        }
        if metric.is_superseded_by((reading.at, reading.value), now) {
            (metric.at, metric.value) = (reading.at, reading.value);
        } else if reading.at < metric.at {
            self.late = self.late.saturating_add(1);
        }
        self.last_seen = newer_time(self.last_seen, reading.at, now);
    }

    /// Leaves the metric's time and `last_seen` unchanged, because the measurement time is unknown.
    fn apply_untimestamped(&mut self, untimestamped: &UntimestampedValue) {
        if let Some(metric) = self.metrics.get_mut(&untimestamped.metric) {
            metric.value = untimestamped.value;
            untimestamped.unit.clone_into(&mut metric.unit);
        } else if self.metrics.len() < MAX_METRICS {
            let metric = Metric {
                value: untimestamped.value,
                at: 0,
                unit: untimestamped.unit.clone(),
                threshold: None,
                history: MetricHistory::default(),
            };
            self.metrics.insert(untimestamped.metric.clone(), metric);
        }
    }

    fn record_rejection(&mut self, at: Millis, reading: &RejectedReading) {
        self.rejected = self.rejected.saturating_add(1);
        let reading = reading.clone();
        self.rejections.push_front(RejectionRecord { at, reading });
        self.rejections.truncate(MAX_REJECTIONS);
    }

    /// Removes the oldest cleared alarms first.
    fn trim_alarms(&mut self) {
        while self.alarms.len() > MAX_ALARMS {
            let cleared = self.alarms.iter().rposition(|alarm| alarm.cleared_at.is_some());
            self.alarms.remove(cleared.unwrap_or(self.alarms.len() - 1));
        }
    }

    fn record_answer(&mut self, id: Seq, outcome: OrderStatus, note: &str, at: Millis) {
        let found = self.orders.iter_mut().find(|order| order.id == id);
        if let Some(order) = found.filter(|order| order.outcome == OrderStatus::Sent) {
            order.outcome = outcome;
            order.answered_at = Some(at);
            note.clone_into(&mut order.note);
        }
    }
}

impl Metric {
    /// Whether `reading` replaces the current value at the server's time `now`.
    pub fn is_superseded_by(&self, reading: (Millis, f64), now: Millis) -> bool {
        self.at > now || is_newer(reading, (self.at, self.value))
    }
}

/// Returns the later time, or `new` if `known` is later than `now`.
pub fn newer_time(known: Millis, new: Millis, now: Millis) -> Millis {
    if known > now { new } else { known.max(new) }
}

/// Whether `a` has the newer time. At equal times the larger value wins, so that the order of arrival does not matter.
pub fn is_newer(a: (Millis, f64), b: (Millis, f64)) -> bool {
    a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).is_gt()
}

impl Threshold {
    /// Returns the limit that `value` exceeds. `current` is the limit of the active alarm; that alarm clears only when the value is
    /// back inside by more than the hysteresis.
    pub fn violated(&self, value: f64, current: Option<LimitKind>) -> Option<LimitKind> {
        let hysteresis = |kind| if current == Some(kind) { self.hysteresis } else { 0.0 };
        if self.high.is_some_and(|high| value > high - hysteresis(LimitKind::High)) {
            Some(LimitKind::High)
        } else if self.low.is_some_and(|low| value < low + hysteresis(LimitKind::Low)) {
            Some(LimitKind::Low)
        } else {
            None
        }
    }

    pub fn limit(&self, limit_kind: LimitKind) -> f64 {
        match limit_kind {
            LimitKind::Low => self.low,
            LimitKind::High => self.high,
        }
        .unwrap_or_default()
    }
}

/// A device is late after two of its intervals without a report and offline after four, plus two seconds for the network.
pub fn health_at(last_seen: Millis, every: u32, now: Millis) -> Health {
    const SLACK: Millis = 2_000;
    let every = Millis::from(if every == 0 { DEFAULT_EVERY } else { every }) * 1_000;
    match now.saturating_sub(last_seen) {
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
            DeviceEvent::Reported { .. } | DeviceEvent::LastKnownReported { .. } => apply_report_event(device, event),
            DeviceEvent::ThresholdSet { metric, threshold, .. } => {
                if let Some(metric) = device.metrics.get_mut(metric) {
                    metric.threshold = *threshold;
                }
            }
            DeviceEvent::Raised {
                metric,
                limit_kind,
                value,
                limit,
                at,
            } => {
                device.alarms.push_front(Alarm {
                    id: seq,
                    metric: metric.clone(),
                    limit_kind: *limit_kind,
                    value: *value,
                    limit: *limit,
                    raised_at: *at,
                    cleared_at: None,
                    acknowledged: None,
                });
                device.trim_alarms();
            }
            DeviceEvent::Cleared { alarm, at, .. } => {
                if let Some(alarm) = device.alarms.iter_mut().find(|known| known.id == *alarm) {
                    alarm.cleared_at = Some(*at);
                }
            }
            DeviceEvent::Acknowledged { alarm, by, at } => {
                if let Some(alarm) = device.alarms.iter_mut().find(|known| known.id == *alarm) {
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
                    outcome: OrderStatus::Sent,
                    answered_at: None,
                    note: String::new(),
                });
                device.orders.truncate(MAX_ORDERS);
            }
            DeviceEvent::Answered {
                order,
                outcome,
                note,
                at,
            } => device.record_answer(*order, *outcome, note, *at),
            DeviceEvent::HealthChanged { health, at } => (device.health, device.health_since) = (*health, *at),
        }
    }
}

fn apply_report_event(device: &mut Device, event: &DeviceEvent) {
    let (at, rejected, name, place, every) = match event {
        DeviceEvent::Reported {
            at,
            readings,
            rejected,
            name,
            place,
            every,
        } => {
            readings.iter().for_each(|reading| device.apply_reading(reading, *at));
            if readings.is_empty() && rejected.is_empty() {
                device.last_seen = newer_time(device.last_seen, *at, *at);
            }
            (at, rejected, name, place, every)
        }
        DeviceEvent::LastKnownReported {
            at,
            values,
            rejected,
            name,
            place,
            every,
        } => {
            values.iter().for_each(|value| device.apply_untimestamped(value));
            (at, rejected, name, place, every)
        }
        _ => return,
    };
    device.reports = device.reports.saturating_add(1);
    for reading in rejected {
        device.record_rejection(*at, reading);
    }
    for (new, current) in [(name, &mut device.name), (place, &mut device.place)] {
        if let Some(new) = new {
            new.clone_into(current);
        }
    }
    device.every = every.unwrap_or(device.every);
}

/// A summary of every device; at most [`MAX_DEVICES`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetState {
    pub devices: BTreeMap<String, FleetEntry>,
}

impl Topic for Fleet {
    const KIND: &'static str = "fleet";
    const DELIVERY: Delivery = Delivery::Latest;
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = FleetEvent;
    type State = FleetState;

    fn apply(overview: &mut FleetState, _seq: Seq, event: &FleetEvent) {
        match event {
            FleetEvent::Entry { id, entry, .. } => {
                if overview.devices.len() < MAX_DEVICES || overview.devices.contains_key(id) {
                    overview.devices.insert(id.clone(), entry.clone());
                }
            }
            FleetEvent::Removed { id } => {
                overview.devices.remove(id);
            }
            FleetEvent::WentOffline { .. } => {}
        }
    }

    fn key(event: &FleetEvent) -> Option<String> {
        match event {
            FleetEvent::Entry { id, .. } | FleetEvent::Removed { id } => Some(id.clone()),
            FleetEvent::WentOffline { .. } => None,
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
            assert_eq!(health_at(1_000_000, 10, 1_000_000 + silence), health, "{silence}");
        }
        assert_eq!(
            health_at(5, 10, 0),
            Health::Online,
            "a clock that is set back does not make a device offline"
        );
        assert_eq!(
            health_at(0, 0, 122_001),
            Health::Late,
            "the default interval is a minute"
        );
        assert_eq!(health_at(0, 60, Millis::MAX), Health::Offline);
    }

    #[test]
    fn an_alarm_clears_beyond_the_hysteresis() {
        let threshold = Threshold {
            low: Some(0.0),
            high: Some(30.0),
            hysteresis: 2.0,
        };
        let high = Some(LimitKind::High);
        for (value, current, expected) in [
            (30.0, None, None),
            (30.1, None, high),
            (28.5, high, high),
            (28.0, high, None),
            (29.0, None, None),
            (1.0, Some(LimitKind::Low), Some(LimitKind::Low)),
            (2.0, Some(LimitKind::Low), None),
            (-1.0, high, Some(LimitKind::Low)),
        ] {
            assert_eq!(
                threshold.violated(value, current),
                expected,
                "{value} after {current:?}"
            );
        }
    }

    #[test]
    fn trimming_keeps_active_alarms() {
        let mut device = Device::default();
        for seq in 1..=2 * MAX_ALARMS as Seq {
            let raised = DeviceEvent::Raised {
                metric: format!("m{seq}"),
                limit_kind: LimitKind::High,
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
        assert_eq!(device.alarms.len(), MAX_ALARMS);
        assert!(device.alarm("m1").is_some());
    }
}
