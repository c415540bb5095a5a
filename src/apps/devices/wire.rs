//! The devices' wire types: commands, events, entries and their limits. Independent of state and pages.

use serde::{Deserialize, Serialize};

pub use super::report::{INVALID_INTEGER, INVALID_STRING, LenientNumber, Reading, Report};
use crate::wire::text;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::topic::NoCommand;

/// Milliseconds since 1970, by the server's clock unless a reading carries its own time.
pub type Millis = u64;

/// The part after the kind in `fleet/all` and `orders/all`.
pub const ALL: &str = "all";
/// The host device's id, if the operator chose no name.
pub const HOST_ID: &str = "host-server";

/// The prefix of a browser's device id; the person's id follows.
pub const BROWSER_PREFIX: &str = "browser-";
/// The group whose notices report alarms.
pub const NOTICE_GROUP: &str = "devices";

/// Maximum bytes of a device id.
pub const MAX_ID: usize = 40;
/// Maximum devices in the overview. Its state is always sent in full.
pub const MAX_DEVICES: usize = 1_000;
/// Maximum metrics of one device. Each keeps its history in the state.
pub const MAX_METRICS: usize = 12;
/// Maximum characters of a metric's name, of its unit, and of a device's name and place.
pub const MAX_METRIC: usize = 32;
pub const MAX_UNIT: usize = 12;
pub const MAX_LABEL: usize = 60;
/// Maximum readings of one report. A device that buffered more while offline sends several reports.
pub const MAX_READINGS: usize = 64;
/// The largest accepted absolute value. Small enough that a bucket's i128 sum cannot overflow.
pub const MAX_VALUE: f64 = 1e12;
/// How far ahead of the server's clock a reading's time may be.
pub const MAX_CLOCK_SKEW: Millis = 60_000;
/// The maximum age of a reading: the span of the longest history.
pub const MAX_AGE: Millis = 7 * 24 * 3_600_000;
/// The longest report interval that a device may announce, in seconds.
pub const MAX_EVERY: u32 = 86_400;
/// The report interval, in seconds, assumed for a device that announces none.
pub const DEFAULT_EVERY: u32 = 60;
/// Maximum characters of an order's name, bytes of its argument, and characters of the note in a device's answer.
pub const MAX_ORDER: usize = 32;
pub const MAX_ARGUMENT: usize = 1_024;
pub const MAX_NOTE: usize = 200;
/// Maximum unanswered orders of one device.
pub const MAX_PENDING_PER_DEVICE: usize = 8;
/// How long a device has to answer an order.
pub const ORDER_TIMEOUT: Millis = 30_000;

/// Reason codes of rejections. The page translates them.
pub mod reason_code {
    pub const NOT_A_NUMBER: &str = "not_a_number";
    pub const TOO_LARGE: &str = "too_large";
    pub const IN_FUTURE: &str = "in_future";
    pub const TOO_OLD: &str = "too_old";
    pub const BAD_METRIC: &str = "bad_metric";
    pub const METRICS_FULL: &str = "metrics_full";
    pub const OTHER_UNIT: &str = "other_unit";
    /// The message is not a valid report.
    pub const UNREADABLE: &str = "unreadable";
    /// A reading's time is not an integer number of milliseconds.
    pub const BAD_TIME: &str = "bad_time";
    /// The report interval is not an integer number of seconds.
    pub const BAD_EVERY: &str = "bad_every";
    /// A unit, a name or a place is not a string.
    pub const NOT_A_TEXT: &str = "not_a_text";
    /// The text of a form field is not a number.
    pub const BAD_NUMBER: &str = "bad_number";
    pub const TOO_LONG: &str = "too_long";
    pub const TOO_MANY_READINGS: &str = "too_many_readings";
    /// Only the device itself may report and answer orders.
    pub const NOT_THE_DEVICE: &str = "not_yours";
    pub const NO_METRIC: &str = "no_metric";
    pub const BAD_THRESHOLD: &str = "bad_threshold";
    pub const NO_ALARM: &str = "no_alarm";
    pub const BAD_ORDER: &str = "bad_order";
    pub const BAD_ARGUMENT: &str = "bad_argument";
    pub const TOO_MANY_PENDING: &str = "orders_waiting";
    pub const NO_ORDER: &str = "no_order";
    pub const NEVER_SEEN: &str = "not_heard";
    pub const FLEET_FULL: &str = "fleet_full";
}

/// The topics `device/<id>`: one device's readings, alarms and orders.
#[derive(Debug, Clone, Copy)]
pub struct Devices;

/// The topic `fleet/all`: a summary of every device.
#[derive(Debug, Clone, Copy)]
pub struct Fleet;

/// The topic `orders/all`: the unanswered orders of all devices. Only the server reads and writes it.
#[derive(Debug, Clone, Copy)]
pub struct Orders;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// How far within the limits a value must return before the alarm clears.
    pub hysteresis: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    Low,
    High,
}

/// A device's health: how long ago it reported, relative to its announced interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Online,
    Late,
    #[default]
    Offline,
}

/// The state of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    Sent,
    Acknowledged,
    Failed,
    TimedOut,
}

impl OrderStatus {
    pub const fn from_ack(ok: bool) -> Self {
        if ok { Self::Acknowledged } else { Self::Failed }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceCommand {
    /// From the device.
    Report(Report),
    /// Unused; keeps the postcard indices of the following variants stable.
    Reserved(NoCommand),
    /// Removes the threshold if neither limit is given.
    SetThreshold {
        metric: String,
        low: Option<f64>,
        high: Option<f64>,
        hysteresis: f64,
    },
    Acknowledge {
        alarm: Seq,
    },
    /// Sends an order to the device. `argument`: JSON, or empty.
    Order {
        name: String,
        #[serde(default)]
        argument: String,
    },
    /// From the device: the answer to the order whose `Ordered` event has the seq `order`.
    Ack {
        order: Seq,
        ok: bool,
        #[serde(default)]
        note: String,
    },
}

/// A reading that passed validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedReading {
    pub metric: String,
    pub value: f64,
    pub unit: String,
    pub at: Millis,
}

/// A reading that failed validation, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedReading {
    /// The metric or field name; empty if it is unknown.
    pub metric: String,
    pub why: String,
}

/// A rejected reading in the device's state; `at` is when it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectionRecord {
    pub at: Millis,
    #[serde(rename = "refusal")]
    pub reading: RejectedReading,
}

/// An alarm's id is the seq of its `Raised` event, an order's id the seq of its `Ordered` event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceEvent {
    Reported {
        at: Millis,
        readings: Vec<AcceptedReading>,
        #[serde(rename = "refused")]
        rejected: Vec<RejectedReading>,
        name: Option<String>,
        place: Option<String>,
        every: Option<u32>,
    },
    ThresholdSet {
        metric: String,
        threshold: Option<Threshold>,
        by: Person,
        at: Millis,
    },
    Raised {
        metric: String,
        #[serde(rename = "side")]
        limit_kind: LimitKind,
        value: f64,
        limit: f64,
        at: Millis,
    },
    Cleared {
        alarm: Seq,
        value: f64,
        at: Millis,
    },
    Acknowledged {
        alarm: Seq,
        by: Person,
        at: Millis,
    },
    Ordered {
        name: String,
        argument: String,
        by: Person,
        at: Millis,
    },
    Answered {
        order: Seq,
        outcome: OrderStatus,
        note: String,
        at: Millis,
    },
    #[serde(rename = "turned")]
    HealthChanged {
        health: Health,
        at: Millis,
    },
    /// Values of a retained or queued message or of a will: the device's last known values, measured at an unknown time. They do
    /// not update `last_seen`. `at` is when the server received them.
    #[serde(rename = "recalled")]
    LastKnownReported {
        at: Millis,
        values: Vec<UntimestampedValue>,
        #[serde(rename = "refused")]
        rejected: Vec<RejectedReading>,
        name: Option<String>,
        place: Option<String>,
        every: Option<u32>,
    },
}

/// A value measured at an unknown time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UntimestampedValue {
    pub metric: String,
    pub value: f64,
    pub unit: String,
}

/// The current value of one metric, as the overview shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurrentValue {
    pub metric: String,
    pub value: f64,
    pub unit: String,
    /// Whether the metric has an active alarm.
    pub alarm: bool,
}

/// The summary that a device's topic forwards to the overview.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceSummary {
    pub name: String,
    pub place: String,
    /// When the device was last seen; 0 if never.
    #[serde(rename = "seen")]
    pub last_seen: Millis,
    pub every: u32,
    /// Active alarms.
    pub alarms: u32,
    pub latest: Vec<CurrentValue>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetEntry {
    #[serde(rename = "news")]
    pub summary: DeviceSummary,
    pub health: Health,
    /// When `health` last changed.
    #[serde(rename = "since")]
    pub health_since: Millis,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetEvent {
    /// The complete entry, so a reader that missed an earlier one needs nothing else. `health_changed`: `health` differs from the
    /// previous entry.
    Entry {
        id: String,
        entry: FleetEntry,
        #[serde(rename = "turned")]
        health_changed: bool,
    },
    #[serde(rename = "gone")]
    Removed { id: String },
    /// The devices that one health check found newly offline. Browsers are excluded: they disconnect all the time.
    #[serde(rename = "silent")]
    WentOffline { ids: Vec<String> },
}

/// An order that the device has not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingOrder {
    pub device: String,
    pub order: Seq,
    pub name: String,
    pub argument: String,
    pub at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrdersEvent {
    Added(PendingOrder),
    #[serde(rename = "done")]
    Answered {
        device: String,
        order: Seq,
    },
    Expired {
        device: String,
        order: Seq,
    },
}

/// The path of a device's page.
pub fn device_path(id: &str) -> String {
    format!("/devices/{id}")
}

/// 1 to [`MAX_ID`] of `a-z 0-9 - _ .`.
pub fn is_device_id(id: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(is_allowed) && id != "." && id != ".."
}

/// The id of the person whose browser this is; `None` if the device is not a browser.
pub fn browser_owner(id: &str) -> Option<&str> {
    id.strip_prefix(BROWSER_PREFIX)
}

pub fn browser_id(person: &PersonId) -> String {
    format!("{BROWSER_PREFIX}{}", person.0)
}

pub fn is_metric_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_METRIC).contains(&name.len()) && name.bytes().all(is_allowed)
}

pub fn is_order_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_ORDER).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Returns the text on one line, without invisible and bidirectional control characters, truncated to `max_chars`.
pub fn sanitize(text: &str, max_chars: usize) -> String {
    text::truncate(&text::single_line(text), max_chars).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_accept_only_their_alphabet() {
        for right in ["a", "sensor-1", "host-a.b_c", &"x".repeat(MAX_ID)] {
            assert!(is_device_id(right), "{right}");
        }
        for wrong in ["", ".", "..", "A", "a/b", "가", &"x".repeat(MAX_ID + 1)] {
            assert!(!is_device_id(wrong), "{wrong}");
        }
        assert!(is_metric_name("net_in") && !is_metric_name("온도") && !is_metric_name(""));
        assert_eq!(browser_owner("browser-00ff"), Some("00ff"));
        assert_eq!(sanitize(" a\nb ", 2), "a");
        assert_eq!(sanitize("Oven\u{202e} 1\u{200b}", 40), "Oven 1");
        assert_eq!(sanitize("\u{3164}\u{2800}", 40), "");
    }
}
