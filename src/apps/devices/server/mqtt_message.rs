//! The payloads that devices exchange over MQTT, and the command ids that deduplicate redelivered messages. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::super::wire::{INVALID_INTEGER, MAX_CLOCK_SKEW, MAX_READINGS, Report, reason_code};
use super::commands::DeviceServerCommand;
use duplex_hub::decider::Millis;
use duplex_hub::json;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::CommandId;

/// Maximum bytes of a report: twice the size of 64 readings with long names.
pub const MAX_BODY: usize = 16 << 10;

/// A device's answer to an order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ack {
    pub id: Seq,
    #[serde(default = "default_ok")]
    pub ok: bool,
    #[serde(default)]
    pub note: String,
}

const fn default_ok() -> bool {
    true
}

/// An order, as it is published to a device.
#[derive(Debug, Serialize, Deserialize)]
pub struct OrderMessage<'a> {
    pub id: Seq,
    #[serde(borrow)]
    pub name: &'a str,
    /// The argument as entered by the sender, verbatim JSON; null if empty.
    #[serde(borrow)]
    pub argument: Option<&'a RawValue>,
    /// After this time the server no longer waits for an answer, and the device must not execute the order.
    pub expires: Option<Millis>,
}

/// The argument of `set-interval`: a number of seconds, alone or as the member `seconds`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum Interval {
    Seconds(u64),
    Named { seconds: u64 },
}

impl Interval {
    /// `None` if the argument is neither.
    pub fn parse(argument: &str) -> Option<u64> {
        match serde_json::from_str(argument).ok()? {
            Self::Seconds(seconds) | Self::Named { seconds } => Some(seconds),
        }
    }
}

/// A parsed message.
#[derive(Debug, Clone, PartialEq)]
pub struct MqttMessage {
    pub command: DeviceServerCommand,
    /// Whether every reading has a timestamp.
    pub is_timestamped: bool,
    /// The message is a will with `"online": false`: its readings are last known values and do not show that the device is online.
    pub is_last_will: bool,
}

impl From<DeviceServerCommand> for MqttMessage {
    /// For an `Ack`: the order's id makes it unique, so it counts as timestamped.
    fn from(command: DeviceServerCommand) -> Self {
        Self {
            command,
            is_timestamped: true,
            is_last_will: false,
        }
    }
}

/// Parses a report. Never fails: a payload that is not one becomes `InvalidMessage`. Invalid fields within a report are rejected
/// individually: see [`Report`].
pub fn parse_report(payload: &[u8]) -> MqttMessage {
    let invalid = |why: &str| MqttMessage {
        command: DeviceServerCommand::InvalidMessage { why: why.to_owned() },
        is_timestamped: false,
        is_last_will: false,
    };
    if payload.len() > MAX_BODY {
        return invalid(reason_code::TOO_LONG);
    }
    let payload = json::sanitize(payload);
    let is_object = payload.trim_ascii_start().starts_with(b"{");
    if !is_object || json::validate(&payload).is_err() {
        return invalid(reason_code::UNREADABLE);
    }
    match serde_json::from_slice::<Report>(&payload) {
        Ok(report) if report.readings.len() > MAX_READINGS => invalid(reason_code::TOO_MANY_READINGS),
        Ok(report) => MqttMessage {
            is_timestamped: report.is_timestamped(),
            is_last_will: serde_json::from_slice(&payload)
                .is_ok_and(|Will { online }| online == Some(Value::Bool(false))),
            command: DeviceServerCommand::Report(report),
        },
        Err(_) => invalid(reason_code::UNREADABLE),
    }
}

#[derive(Deserialize)]
struct Will {
    #[serde(default)]
    online: Option<Value>,
}

pub fn parse_ack(payload: &[u8]) -> DeviceServerCommand {
    let unreadable = || DeviceServerCommand::InvalidMessage {
        why: reason_code::UNREADABLE.to_owned(),
    };
    let payload = payload.get(..MAX_BODY.min(payload.len())).unwrap_or_default();
    match serde_json::from_slice::<Ack>(payload) {
        Ok(Ack { id, ok, note }) if json::validate(payload).is_ok() => DeviceServerCommand::Ack { order: id, ok, note },
        _ => unreadable(),
    }
}

/// A digest of the sequence of parts. Length-prefixed, so `[a, b]` and `[ab]` differ.
pub fn digest(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    CommandId::digest_bits(&hash.finalize())
}

/// A command id without a time, derived from the parts.
pub fn id_from_content(parts: &[&[u8]]) -> CommandId {
    CommandId::without_time(digest(parts))
}

/// A command id derived from the parts. For a timestamped report it contains the newest reading's time, so a redelivery is
/// deduplicated even after the deduplication window.
pub fn command_id(command: &DeviceServerCommand, parts: &[&[u8]], now: Millis) -> CommandId {
    let time = match command {
        DeviceServerCommand::Report(report) => newest_reading_time(report, now),
        _ => None,
    };
    match time {
        Some(at) => CommandId::from_time(at, digest(parts)),
        None => id_from_content(parts),
    }
}

/// The newest time of the report's readings. `None` if it is too far ahead of the server's clock: such a time is wrong and must not
/// block later reports.
pub fn newest_reading_time(report: &Report, now: Millis) -> Option<Millis> {
    let times = report.readings.iter().filter_map(|reading| reading.at);
    let newest = times.filter(|at| *at != INVALID_INTEGER).max();
    newest.filter(|at| *at <= now.saturating_add(MAX_CLOCK_SKEW))
}

pub fn random_id() -> CommandId {
    CommandId::from_bits(uuid::Uuid::new_v4().as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_fuzz::fuzz;

    #[test]
    fn a_payload_is_a_report_or_has_a_reason() {
        let reason = |payload: &[u8]| match parse_report(payload).command {
            DeviceServerCommand::InvalidMessage { why } => why,
            other => panic!("{other:?}"),
        };
        for invalid in [
            &b"x"[..],
            b"",
            b"[]",
            b"{\"readings\":5}",
            b"{\"name\":\"a\",\"name\":\"b\"}",
            b"\xff",
        ] {
            assert_eq!(reason(invalid), reason_code::UNREADABLE);
        }
        assert_eq!(reason(&[b' '; MAX_BODY + 1]), reason_code::TOO_LONG);
        let many = format!(r#"{{"readings":[{}]}}"#, [r#"{"metric":"t","value":1}"#; 65].join(","));
        assert_eq!(reason(many.as_bytes()), reason_code::TOO_MANY_READINGS);
        let is_timestamped = |payload: &[u8]| parse_report(payload).is_timestamped;
        assert!(is_timestamped(br#"{"readings":[{"metric":"t","value":1,"at":5}]}"#));
        assert!(!is_timestamped(
            br#"{"readings":[{"metric":"t","value":1,"at":5},{"metric":"t","value":1}]}"#
        ));
        assert!(!is_timestamped(b"{}"), "a heartbeat may be repeated");
        assert!(!is_timestamped(br#"{"readings":[{"metric":"t","value":1,"at":5.5}]}"#));
        assert!(parse_report(br#"{"online":false}"#).is_last_will);
        assert!(!parse_report(br#"{"online":true}"#).is_last_will && !parse_report(b"{}").is_last_will);
    }

    #[test]
    fn an_answer_is_ok_by_default() {
        let parsed = |payload: &[u8]| match parse_ack(payload) {
            DeviceServerCommand::Ack { order, ok, note } => Some((order, ok, note)),
            _ => None,
        };
        assert_eq!(parsed(br#"{"id":7}"#), Some((7, true, String::new())));
        assert_eq!(
            parsed(br#"{"id":7,"ok":false,"note":"hot"}"#),
            Some((7, false, "hot".to_owned()))
        );
        assert_eq!(parsed(b"7"), None);
    }

    #[test]
    fn every_payload_becomes_a_serializable_command() {
        fuzz("mqtt", |bytes| {
            let command = parse_report(bytes).command;
            assert!(!matches!(&command, DeviceServerCommand::Report(report) if report.readings.len() > MAX_READINGS));
            for command in [command, parse_ack(bytes)] {
                let json = |command: &DeviceServerCommand| serde_json::to_value(command).unwrap();
                let read: DeviceServerCommand = serde_json::from_value(json(&command)).unwrap();
                assert_eq!(json(&read), json(&command));
            }
        });
    }

    #[test]
    fn the_id_of_a_dated_report_carries_its_newest_time() {
        let payload = br#"{"readings":[{"metric":"t","value":1,"at":7000000},{"metric":"t","value":1,"at":5000}]}"#;
        let command = parse_report(payload).command;
        let parts = [&b"a"[..], payload];
        let id = command_id(&command, &parts, 7_000_000);
        assert_eq!(
            (id.time(), &id),
            (Some(7_000_000), &command_id(&command, &parts, 1 << 40))
        );
        assert_eq!(
            command_id(&command, &parts, 7_000_000 - MAX_CLOCK_SKEW).time(),
            Some(7_000_000)
        );
        assert_eq!(
            command_id(&command, &parts, 6_999_999 - MAX_CLOCK_SKEW),
            id_from_content(&parts)
        );
        assert_eq!(
            command_id(&parse_ack(br#"{"id":7}"#), &parts, 7_000_000),
            id_from_content(&parts)
        );
    }

    #[test]
    fn the_digest_includes_part_boundaries() {
        assert_eq!(digest(&[b"a", b"b"]), digest(&[b"a", b"b"]));
        assert_ne!(digest(&[b"a", b"b"]), digest(&[b"ab", b""]));
    }
}
