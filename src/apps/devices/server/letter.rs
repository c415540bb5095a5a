//! What comes in a device's name from outside, as a command with an id: what comes twice has its effect once. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::super::wire::{MAX_AHEAD, MAX_READINGS, NO_WHOLE, Report, why};
use super::commands::DeviceServerCommand;
use duplex_hub::decider::Millis;
use duplex_hub::json;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::CommandId;

/// Bytes of a report: 64 readings with long names fit twice.
pub const MAX_BODY: usize = 16 << 10;

/// A device's answer to a command.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ack {
    pub id: Seq,
    #[serde(default = "yes")]
    pub ok: bool,
    #[serde(default)]
    pub note: String,
}

const fn yes() -> bool {
    true
}

/// An order as a device hears it.
#[derive(Debug, Serialize, Deserialize)]
pub struct OrderLetter<'a> {
    pub id: Seq,
    #[serde(borrow)]
    pub name: &'a str,
    /// As it was typed; null where nothing was.
    #[serde(borrow)]
    pub argument: Option<&'a RawValue>,
    /// After this time nobody waits for it any more, and it must not be done.
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
    /// None where the argument is neither.
    pub fn read(argument: &str) -> Option<u64> {
        match serde_json::from_str(argument).ok()? {
            Self::Seconds(seconds) | Self::Named { seconds } => Some(seconds),
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    pub command: DeviceServerCommand,
    /// It says the time of each reading.
    pub dated: bool,
    /// It says that the device is gone: what stands beside that is the device's last, and no sign of life.
    pub will: bool,
}

impl From<DeviceServerCommand> for Letter {
    /// An answer: its order's id says that it is the same.
    fn from(command: DeviceServerCommand) -> Self {
        Self {
            command,
            dated: true,
            will: false,
        }
    }
}

/// A report, or why it is none. What is wrong within it is refused by itself: see [`Report`].
pub fn report(payload: &[u8]) -> Letter {
    let bad = |why: &str| Letter {
        command: DeviceServerCommand::Bad { why: why.to_owned() },
        dated: false,
        will: false,
    };
    if payload.len() > MAX_BODY {
        return bad(why::TOO_LONG);
    }
    let payload = json::mend(payload);
    let is_object = payload.trim_ascii_start().starts_with(b"{");
    if !is_object || json::check(&payload).is_err() {
        return bad(why::UNREADABLE);
    }
    match serde_json::from_slice::<Report>(&payload) {
        Ok(report) if report.readings.len() > MAX_READINGS => bad(why::TOO_MANY_READINGS),
        Ok(report) => Letter {
            dated: report.is_dated(),
            will: serde_json::from_slice(&payload).is_ok_and(|Will { online }| online == Some(Value::Bool(false))),
            command: DeviceServerCommand::Report(report),
        },
        Err(_) => bad(why::UNREADABLE),
    }
}

#[derive(Deserialize)]
struct Will {
    #[serde(default)]
    online: Option<Value>,
}

pub fn ack(payload: &[u8]) -> DeviceServerCommand {
    let unreadable = || DeviceServerCommand::Bad {
        why: why::UNREADABLE.to_owned(),
    };
    let payload = payload.get(..MAX_BODY.min(payload.len())).unwrap_or_default();
    match serde_json::from_slice::<Ack>(payload) {
        Ok(Ack { id, ok, note }) if json::check(payload).is_ok() => DeviceServerCommand::Ack { order: id, ok, note },
        _ => unreadable(),
    }
}

/// The same for the same parts.
pub fn digest_of(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    CommandId::digest_bits(&hash.finalize())
}

pub fn same_id(parts: &[&[u8]]) -> CommandId {
    CommandId::without_time(digest_of(parts))
}

/// The same for the same parts. Of a report that says the times of its readings it carries the newest: it has its effect once,
/// however late it comes again.
pub fn dated_id(command: &DeviceServerCommand, parts: &[&[u8]], now: Millis) -> CommandId {
    let time = match command {
        DeviceServerCommand::Report(report) => newest(report, now),
        _ => None,
    };
    match time {
        Some(at) => CommandId::at(at, digest_of(parts)),
        None => same_id(parts),
    }
}

/// The newest time that a report says. None ahead of the clock: that is not the reading's, and must not stop those that come
/// after it.
pub fn newest(report: &Report, now: Millis) -> Option<Millis> {
    let times = report.readings.iter().filter_map(|reading| reading.at);
    let newest = times.filter(|at| *at != NO_WHOLE).max();
    newest.filter(|at| *at <= now.saturating_add(MAX_AHEAD))
}

pub fn new_id() -> CommandId {
    CommandId::from_bits(uuid::Uuid::new_v4().as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_fuzz::fuzz;

    #[test]
    fn payloads_are_reports_or_have_a_reason() {
        let reason = |payload: &[u8]| match report(payload).command {
            DeviceServerCommand::Bad { why } => why,
            other => panic!("{other:?}"),
        };
        for bad in [
            &b"x"[..],
            b"",
            b"[]",
            b"{\"readings\":5}",
            b"{\"name\":\"a\",\"name\":\"b\"}",
            b"\xff",
        ] {
            assert_eq!(reason(bad), why::UNREADABLE);
        }
        assert_eq!(reason(&[b' '; MAX_BODY + 1]), why::TOO_LONG);
        let many = format!(r#"{{"readings":[{}]}}"#, [r#"{"metric":"t","value":1}"#; 65].join(","));
        assert_eq!(reason(many.as_bytes()), why::TOO_MANY_READINGS);
        let dated = |payload: &[u8]| report(payload).dated;
        assert!(dated(br#"{"readings":[{"metric":"t","value":1,"at":5}]}"#));
        assert!(!dated(
            br#"{"readings":[{"metric":"t","value":1,"at":5},{"metric":"t","value":1}]}"#
        ));
        assert!(!dated(b"{}"), "that a device is there can be said again");
        assert!(!dated(br#"{"readings":[{"metric":"t","value":1,"at":5.5}]}"#));
        assert!(report(br#"{"online":false}"#).will);
        assert!(!report(br#"{"online":true}"#).will && !report(b"{}").will);
    }

    #[test]
    fn an_answer_is_yes_unless_it_says_no() {
        let answered = |payload: &[u8]| match ack(payload) {
            DeviceServerCommand::Ack { order, ok, note } => Some((order, ok, note)),
            _ => None,
        };
        assert_eq!(answered(br#"{"id":7}"#), Some((7, true, String::new())));
        assert_eq!(
            answered(br#"{"id":7,"ok":false,"note":"hot"}"#),
            Some((7, false, "hot".to_owned()))
        );
        assert_eq!(answered(b"7"), None);
    }

    /// As a command that the hub can keep, and always the same for the same bytes.
    #[test]
    fn no_payload_breaks_the_broker_connection() {
        fuzz("mqtt", |bytes| {
            let command = report(bytes).command;
            assert!(!matches!(&command, DeviceServerCommand::Report(report) if report.readings.len() > MAX_READINGS));
            for command in [command, ack(bytes)] {
                let json = |command: &DeviceServerCommand| serde_json::to_value(command).unwrap();
                let read: DeviceServerCommand = serde_json::from_value(json(&command)).unwrap();
                assert_eq!(json(&read), json(&command));
            }
        });
    }

    #[test]
    fn the_id_of_a_dated_report_carries_its_newest_time() {
        let payload = br#"{"readings":[{"metric":"t","value":1,"at":7000000},{"metric":"t","value":1,"at":5000}]}"#;
        let command = report(payload).command;
        let parts = [&b"a"[..], payload];
        let id = dated_id(&command, &parts, 7_000_000);
        assert_eq!(
            (id.time(), &id),
            (Some(7_000_000), &dated_id(&command, &parts, 1 << 40))
        );
        assert_eq!(
            dated_id(&command, &parts, 7_000_000 - MAX_AHEAD).time(),
            Some(7_000_000)
        );
        assert_eq!(dated_id(&command, &parts, 6_999_999 - MAX_AHEAD), same_id(&parts));
        assert_eq!(dated_id(&ack(br#"{"id":7}"#), &parts, 7_000_000), same_id(&parts));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_eq!(digest_of(&[b"a", b"b"]), digest_of(&[b"a", b"b"]));
        assert_ne!(digest_of(&[b"a", b"b"]), digest_of(&[b"ab", b""]));
    }
}
