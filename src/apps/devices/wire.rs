//! What is said about devices and by them: commands, events and their bounds. Knows neither state nor page.

use serde::{Deserialize, Serialize};

pub use super::raw::{NO_TEXT, NO_WHOLE, Raw, Reading, Report};
use crate::wire::text;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::topic::NoCommand;

/// Milliseconds since 1970, by the server's clock unless a reading brought its own.
pub type Millis = u64;

/// The only topic of kind `fleet` and of kind `orders`, behind its kind.
pub const ALL: &str = "all";
/// The machine that runs the server, where the operator gave it no name.
pub const THIS_SERVER: &str = "host-server";

/// Before the person's id, in the name of a browser that reports itself.
pub const BROWSER: &str = "browser-";
/// The group that hears of alarms.
pub const GROUP: &str = "devices";

/// Bytes of a device's id.
pub const MAX_ID: usize = 40;
/// Devices in the overview: its state travels whole.
pub const MAX_DEVICES: usize = 1_000;
/// What one device measures: each costs its history in the state.
pub const MAX_METRICS: usize = 12;
/// Characters of a metric's name, of its unit, and of a device's name and place.
pub const MAX_METRIC: usize = 32;
pub const MAX_UNIT: usize = 12;
pub const MAX_LABEL: usize = 60;
/// Readings of one report: what a device kept while it was away comes in several.
pub const MAX_READINGS: usize = 64;
/// Above this a value is an error of the device. A bucket's sum stays exact far beyond what comes in its time.
pub const MAX_VALUE: f64 = 1e12;
/// How far a device's clock may be ahead.
pub const MAX_AHEAD: Millis = 60_000;
/// How old a reading may be: as long as the longest history.
pub const MAX_AGE: Millis = 7 * 24 * 3_600_000;
/// Seconds between two reports, as a device promises them.
pub const MAX_EVERY: u32 = 86_400;
/// What is expected of a device that promises nothing.
pub const DEFAULT_EVERY: u32 = 60;
/// Characters of a command's name, bytes of its argument, and characters of what a device notes in answer.
pub const MAX_ORDER: usize = 32;
pub const MAX_ARGUMENT: usize = 1_024;
pub const MAX_NOTE: usize = 200;
/// Commands of one device that wait for their answer.
pub const MAX_WAITING: usize = 8;
/// How long a device has to answer a command.
pub const ORDER_WAIT: Millis = 30_000;

/// Why something is refused, in the word that the page translates.
pub mod why {
    pub const NOT_A_NUMBER: &str = "not_a_number";
    pub const TOO_LARGE: &str = "too_large";
    pub const IN_FUTURE: &str = "in_future";
    pub const TOO_OLD: &str = "too_old";
    pub const BAD_METRIC: &str = "bad_metric";
    pub const METRICS_FULL: &str = "metrics_full";
    pub const OTHER_UNIT: &str = "other_unit";
    /// What came in the device's name is no report.
    pub const UNREADABLE: &str = "unreadable";
    /// A reading's time is no whole number of milliseconds.
    pub const BAD_TIME: &str = "bad_time";
    /// The interval between two reports is no whole number of seconds.
    pub const BAD_EVERY: &str = "bad_every";
    /// A unit, a name or a place is no text.
    pub const NOT_A_TEXT: &str = "not_a_text";
    /// What was typed is no number.
    pub const BAD_NUMBER: &str = "bad_number";
    pub const TOO_LONG: &str = "too_long";
    pub const TOO_MANY_READINGS: &str = "too_many_readings";
    /// Only the device itself reports and answers.
    pub const NOT_YOURS: &str = "not_yours";
    pub const NO_METRIC: &str = "no_metric";
    pub const BAD_THRESHOLD: &str = "bad_threshold";
    pub const NO_ALARM: &str = "no_alarm";
    pub const BAD_ORDER: &str = "bad_order";
    pub const BAD_ARGUMENT: &str = "bad_argument";
    pub const ORDERS_WAITING: &str = "orders_waiting";
    pub const NO_ORDER: &str = "no_order";
    pub const NOT_HEARD: &str = "not_heard";
    pub const FLEET_FULL: &str = "fleet_full";
}

/// The topics `device/<id>`: what one device measures, its alarms, and what it is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Devices;

/// The topic `fleet/all`: every device at a glance.
#[derive(Debug, Clone, Copy)]
pub struct Fleet;

/// The topic `orders/all`: what devices were asked and have not answered. The server's own.
#[derive(Debug, Clone, Copy)]
pub struct Orders;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// How far back within the limits a value must be before the alarm ends.
    pub hysteresis: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Low,
    High,
}

/// Whether a device is heard as it promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Online,
    Late,
    #[default]
    Offline,
}

/// What became of a command to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Sent,
    Acknowledged,
    Failed,
    TimedOut,
}

impl Outcome {
    /// As the device says it.
    pub const fn of_answer(ok: bool) -> Self {
        if ok { Self::Acknowledged } else { Self::Failed }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceCommand {
    /// From the device.
    Report(Report),
    /// No command: it keeps the places of those behind it in postcard.
    Reserved(NoCommand),
    /// None of both takes the threshold away.
    SetThreshold {
        metric: String,
        low: Option<f64>,
        high: Option<f64>,
        hysteresis: f64,
    },
    Acknowledge {
        alarm: Seq,
    },
    /// Asks the device to do something. `argument`: JSON, or nothing.
    Order {
        name: String,
        #[serde(default)]
        argument: String,
    },
    /// From the device: what became of the order that was made by the event `order`.
    Ack {
        order: Seq,
        ok: bool,
        #[serde(default)]
        note: String,
    },
}

/// A reading that counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    pub metric: String,
    pub value: f64,
    pub unit: String,
    pub at: Millis,
}

/// A reading that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// As far as it can be told.
    pub metric: String,
    pub why: String,
}

/// An alarm's id and an order's id are the seqs of the events that made them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceEvent {
    Reported {
        at: Millis,
        readings: Vec<Taken>,
        refused: Vec<Refusal>,
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
        side: Side,
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
        outcome: Outcome,
        note: String,
        at: Millis,
    },
    Turned {
        health: Health,
        at: Millis,
    },
    /// What a broker had kept of the device, or its will: values that are its last, whose time nobody knows. It is no sign of
    /// life. `at`: when the server was told.
    Recalled {
        at: Millis,
        values: Vec<Recalled>,
        refused: Vec<Refusal>,
        name: Option<String>,
        place: Option<String>,
        every: Option<u32>,
    },
}

/// A value without a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recalled {
    pub metric: String,
    pub value: f64,
    pub unit: String,
}

/// One value in the overview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub metric: String,
    pub value: f64,
    pub unit: String,
    /// It is beyond its threshold.
    pub alarm: bool,
}

/// What a device's topic tells the overview.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct News {
    pub name: String,
    pub place: String,
    /// When it was last heard; 0 is never.
    pub seen: Millis,
    pub every: u32,
    /// That are not over.
    pub alarms: u32,
    pub latest: Vec<Shown>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub news: News,
    pub health: Health,
    /// Since when it is so.
    pub since: Millis,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetEvent {
    /// The whole entry: a reader that missed the one before needs no other. `turned`: its health is another one.
    Entry {
        id: String,
        entry: Entry,
        turned: bool,
    },
    Gone {
        id: String,
    },
    /// At one look these have turned offline; browsers, which come and go, are not among them.
    Silent {
        ids: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    pub device: String,
    pub order: Seq,
    pub name: String,
    pub argument: String,
    pub at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrdersEvent {
    Added(Open),
    Done { device: String, order: Seq },
    Expired { device: String, order: Seq },
}

/// Where a device's page is.
pub fn device_path(id: &str) -> String {
    format!("/devices/{id}")
}

/// 1 to [`MAX_ID`] of `a-z 0-9 - _ .`.
pub fn is_device(id: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(plain) && id != "." && id != ".."
}

/// Whose browser this is, if it is one.
pub fn owner(id: &str) -> Option<&str> {
    id.strip_prefix(BROWSER)
}

pub fn browser_id(person: &PersonId) -> String {
    format!("{BROWSER}{}", person.0)
}

pub fn is_metric(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_METRIC).contains(&name.len()) && name.bytes().all(plain)
}

pub fn is_order(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_ORDER).contains(&name.len()) && name.bytes().all(plain)
}

/// A text of one line, without invisible characters and those that turn the text around them, cut at `most` characters.
pub fn tidy(typed: &str, most: usize) -> String {
    text::truncate(&text::single_line(typed), most).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_have_their_letters() {
        for right in ["a", "sensor-1", "host-a.b_c", &"x".repeat(MAX_ID)] {
            assert!(is_device(right), "{right}");
        }
        for wrong in ["", ".", "..", "A", "a/b", "가", &"x".repeat(MAX_ID + 1)] {
            assert!(!is_device(wrong), "{wrong}");
        }
        assert!(is_metric("net_in") && !is_metric("온도") && !is_metric(""));
        assert_eq!(owner("browser-00ff"), Some("00ff"));
        assert_eq!(tidy(" a\nb ", 2), "a");
        assert_eq!(tidy("Oven\u{202e} 1\u{200b}", 40), "Oven 1");
        assert_eq!(tidy("\u{3164}\u{2800}", 40), "");
    }
}
