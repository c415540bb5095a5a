//! Tests of the device decider, without a hub.

use std::ops::{Deref, DerefMut};

use proptest::prelude::*;

use super::super::super::model::{MAX_ALARMS, MAX_ORDERS, MAX_REJECTIONS};
use super::super::super::wire::{LenientNumber, MAX_CLOCK_SKEW, MAX_METRICS, Reading, Report};
use super::*;
use duplex_hub::Authority;
use duplex_hub::testing::DeciderHarness;
use duplex_protocol::codec::Encoding;
use duplex_protocol::person::Person;

const NOW: Millis = 1_800_000_000_000;

/// A device's topic without a hub. Commands have an operator's rights unless a test sets another authority.
struct DeviceHarness(DeciderHarness<Devices>);

impl Deref for DeviceHarness {
    type Target = DeciderHarness<Devices>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for DeviceHarness {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl DeviceHarness {
    fn new(id: &str) -> Self {
        let mut harness = DeciderHarness::new(Devices, id);
        harness.now = NOW;
        harness.authority = Authority::OPERATOR;
        Self(harness)
    }

    fn send<'a>(
        &mut self,
        who: impl Into<Principal<'a>>,
        command: DeviceCommand,
    ) -> Result<Vec<DeviceEvent>, Rejection> {
        let count = self.execute(who, command)?;
        Ok(self.newest(count))
    }

    fn send_as_server(&mut self, command: DeviceServerCommand) -> Result<Vec<DeviceEvent>, Rejection> {
        let count = self.execute_as_server(command)?;
        Ok(self.newest(count))
    }

    fn newest(&self, count: usize) -> Vec<DeviceEvent> {
        let newest = &self.events[self.events.len() - count..];
        newest.iter().map(|(_, event)| event.clone()).collect()
    }

    fn report(&mut self, readings: Vec<Reading>) -> Vec<DeviceEvent> {
        let report = Report {
            readings,
            ..Report::default()
        };
        self.send(Principal::program(), DeviceCommand::Report(report)).unwrap()
    }

    fn value(&self, metric: &str) -> f64 {
        self.state.metrics[metric].value
    }

    fn active(&self) -> Vec<LimitKind> {
        let active = self.state.alarms.iter().filter(|alarm| alarm.cleared_at.is_none());
        active.map(|alarm| alarm.limit_kind).collect()
    }
}

fn person(id: u8) -> Person {
    Person {
        id: PersonId(format!("{id:016x}")),
        name: String::new(),
    }
}

fn reading(metric: &str, value: f64, at: Option<Millis>) -> Reading {
    Reading {
        metric: metric.to_owned(),
        value: LenientNumber(value),
        unit: Some("°C".to_owned()),
        at,
    }
}

fn rejected<T>(why: &str) -> Result<T, Rejection> {
    Err(Rejection::custom(why))
}

fn threshold(low: Option<f64>, high: Option<f64>, hysteresis: f64) -> DeviceCommand {
    DeviceCommand::SetThreshold {
        metric: "t".to_owned(),
        low,
        high,
        hysteresis,
    }
}

const DAY: Millis = 24 * 3_600_000;

/// The clock was ahead and has been corrected.
#[test]
fn times_in_the_future_are_superseded() {
    for ahead in [1_000, 3_600_000, DAY, 400 * DAY] {
        let mut harness = DeviceHarness::new("a");
        harness.now = NOW + ahead;
        harness.report(vec![reading("t", 20.0, None)]);
        harness.send(&person(1), threshold(None, Some(30.0), 0.0)).unwrap();
        let set_health = |health, at| DeviceServerCommand::SetHealth { health, at };
        harness.send_as_server(set_health(Health::Late, NOW + ahead)).unwrap();
        harness.now = NOW;
        let events = harness.report(vec![reading("t", 31.0, None)]);
        assert!(
            matches!(events[..], [_, DeviceEvent::Raised { .. }]),
            "{ahead}: it raises an alarm"
        );
        assert_eq!((harness.value("t"), harness.state.last_seen), (31.0, NOW));
        harness.send_as_server(set_health(Health::Online, NOW)).unwrap();
        assert_eq!(
            (harness.state.health, harness.state.health_since),
            (Health::Online, NOW)
        );
        harness.now = NOW + 500;
        let points = |device: &Device| device.metrics["t"].history.points(NOW - 3_600_000, u64::MAX, NOW);
        harness.report(vec![reading("t", 29.0, None)]);
        assert_eq!((harness.value("t"), harness.active().len()), (29.0, 0));
        assert!(points(&harness.state).iter().all(|point| point.at <= NOW + 30_000));
        assert_eq!(harness.state.late, 0);
    }
}

#[test]
fn dated_readings_keep_their_order_under_any_server_clock() {
    let mut harness = DeviceHarness::new("a");
    harness.now = NOW + DAY;
    harness.report(vec![
        reading("t", 2.0, Some(NOW - 10_000)),
        reading("t", 1.0, Some(NOW - 20_000)),
    ]);
    harness.now = NOW;
    harness.report(vec![reading("t", 3.0, Some(NOW - 15_000))]);
    assert_eq!((harness.value("t"), harness.state.late), (2.0, 2));
    harness.report(vec![reading("t", 4.0, Some(NOW - 5_000))]);
    assert_eq!((harness.value("t"), harness.state.last_seen), (4.0, NOW - 5_000));
}

#[test]
fn stale_orders_are_timed_out_by_the_next_order() {
    let mut harness = DeviceHarness::new("a");
    harness.report(vec![reading("t", 1.0, None)]);
    let order = || DeviceCommand::Order {
        name: "reboot".to_owned(),
        argument: String::new(),
    };
    for _ in 0..MAX_PENDING_PER_DEVICE {
        harness.send(&person(1), order()).unwrap();
    }
    assert_eq!(
        harness.send(&person(1), order()),
        rejected(reason_code::TOO_MANY_PENDING)
    );
    // Simulates a restart that lost the forwards.
    harness.now += 5 * ORDER_TIMEOUT;
    assert_eq!(
        harness.send(&person(1), order()).unwrap().len(),
        MAX_PENDING_PER_DEVICE + 1
    );
    assert_eq!(harness.state.pending_orders(), 1);
    let timed_out = |order: &&super::super::super::model::Order| order.outcome == OrderStatus::TimedOut;
    assert_eq!(
        harness.state.orders.iter().filter(timed_out).count(),
        MAX_PENDING_PER_DEVICE
    );
}

#[test]
fn invalid_readings_are_rejected_with_a_reason_and_counted() {
    let mut harness = DeviceHarness::new("a");
    let mut other = reading("t", 1.0, None);
    other.unit = Some("°F".to_owned());
    let readings = vec![
        reading("t", 21.0, None),
        reading("t", f64::NAN, None),
        reading("t", f64::INFINITY, None),
        reading("t", 1e13, None),
        reading("t", 1.0, Some(NOW + MAX_CLOCK_SKEW + 1)),
        reading("t", 1.0, Some(NOW - MAX_AGE - 1)),
        reading("온도", 1.0, None),
        other,
    ];
    harness.report(readings);
    let reasons: Vec<_> = harness
        .state
        .rejections
        .iter()
        .rev()
        .map(|record| record.reading.why.as_str())
        .collect();
    let expected = [
        reason_code::NOT_A_NUMBER,
        reason_code::NOT_A_NUMBER,
        reason_code::TOO_LARGE,
        reason_code::IN_FUTURE,
        reason_code::TOO_OLD,
        reason_code::BAD_METRIC,
        reason_code::OTHER_UNIT,
    ];
    assert_eq!(reasons, expected);
    assert_eq!((harness.state.rejected, harness.value("t")), (7, 21.0));
    let invalid = DeviceServerCommand::InvalidMessage {
        why: reason_code::UNREADABLE.to_owned(),
    };
    harness.send_as_server(invalid).unwrap();
    assert_eq!(harness.state.rejected, 8);
    assert_eq!(harness.state.metrics["t"].unit, "°C");
}

#[test]
fn a_last_known_report_sets_the_value_but_not_the_time_seen() {
    let mut harness = DeviceHarness::new("a");
    let last = |readings: Vec<Reading>| {
        DeviceServerCommand::LastKnown(Report {
            readings,
            ..Report::default()
        })
    };
    assert_eq!(harness.send_as_server(last(Vec::new())), Ok(Vec::new()));
    harness.send_as_server(last(vec![reading("t", 9.0, None)])).unwrap();
    assert_eq!((harness.value("t"), harness.state.last_seen), (9.0, 0));
    let forwards = Devices.forward(&harness.topic, &harness.state, 1, &harness.events[0].1);
    assert_eq!(forwards[0].command().topic().as_str(), "fleet/all");

    harness.report(vec![reading("t", 1.0, None)]);
    harness.send(&person(1), threshold(None, Some(5.0), 0.0)).unwrap();
    harness.now += 60_000;
    for (value, events) in [(1.0, 0), (7.0, 2), (7.0, 0), (1.0, 2)] {
        let new = harness.send_as_server(last(vec![reading("t", value, None)])).unwrap();
        assert_eq!((new.len(), harness.value("t")), (events, value), "{new:?}");
        assert_eq!((harness.state.last_seen, harness.state.metrics["t"].at), (NOW, NOW));
    }
    // Dated readings are ordered by their time; an invalid one is counted once.
    let mixed = last(vec![
        reading("t", 3.0, Some(NOW - 1)),
        reading("t", f64::NAN, None),
        reading("t", 4.0, Some(NOW + 1)),
    ]);
    assert_eq!(harness.send_as_server(mixed.clone()).unwrap().len(), 2);
    assert_eq!(
        (harness.value("t"), harness.state.last_seen, harness.state.rejected),
        (4.0, NOW + 1, 1)
    );
    assert_eq!(harness.send_as_server(mixed), Ok(Vec::new()));
    harness.report(vec![reading("t", 2.0, None)]);
    assert_eq!((harness.value("t"), harness.state.last_seen), (2.0, harness.now));
}

#[test]
fn normalizing_keeps_fifteen_digits_and_no_negative_zero() {
    for value in [1e-9, 0.000123, 123_456_789.123, 1e-300, 5e-324, 999_999_999_999.0, 0.1] {
        for value in [value, -value] {
            assert_eq!(normalize(value), value);
        }
    }
    assert_eq!((normalize(0.1 + 0.2), normalize(21.299_999_999_999_997)), (0.3, 21.3));
    assert!(normalize(-0.0).is_sign_positive());
}

#[test]
fn a_late_reading_does_not_replace_a_newer_value() {
    let mut harness = DeviceHarness::new("a");
    harness.report(vec![reading("t", 5.0, Some(NOW - 1_000))]);
    harness.report(vec![
        reading("t", 9.0, Some(NOW - 2_000)),
        reading("t", 8.0, Some(NOW - 3_000)),
    ]);
    assert_eq!((harness.value("t"), harness.state.late), (5.0, 2));
    assert_eq!(
        harness.state.metrics["t"]
            .history
            .points(NOW - 60_000, NOW, NOW)
            .iter()
            .map(|point| point.count)
            .sum::<u32>(),
        3
    );
    harness.report(vec![reading("t", 6.0, Some(NOW + 5_000))]);
    assert_eq!(
        harness.state.metrics["t"].at, NOW,
        "a device's time ahead of the server's is clamped"
    );
}

#[test]
fn an_alarm_is_raised_once_cleared_once_and_notified() {
    let mut harness = DeviceHarness::new("a");
    harness.report(vec![reading("t", 20.0, None)]);
    harness.send(&person(1), threshold(None, Some(30.0), 2.0)).unwrap();
    for (later, value, active) in [(1, 31.0, 1), (2, 35.0, 1), (3, 29.0, 1), (4, 27.0, 0), (5, 29.0, 0)] {
        harness.now = NOW + later;
        harness.report(vec![reading("t", value, None)]);
        assert_eq!(harness.active().len(), active, "{value}");
    }
    let raised = harness
        .events
        .iter()
        .position(|(_, event)| matches!(event, DeviceEvent::Raised { .. }))
        .unwrap();
    let forwards = Devices.forward(
        &harness.topic,
        &harness.state,
        raised as Seq + 1,
        &harness.events[raised].1,
    );
    let topics: Vec<_> = forwards
        .iter()
        .map(|forward| forward.command().topic().as_str())
        .collect();
    assert_eq!(topics, ["fleet/all", "notices/devices"]);
    let command: serde_json::Value = serde_json::from_str(forwards[1].command().json()).unwrap();
    let notice: Notice = serde_json::from_value(command["send"].clone()).unwrap();
    assert_eq!(
        (notice.level, notice.link.as_deref()),
        (Level::Danger, Some("/devices/a"))
    );
    assert_eq!(notice.body.en, "t 31 °C (above 30)");
    let id = harness.state.alarms[0].id;
    harness
        .send(&person(2), DeviceCommand::Acknowledge { alarm: id })
        .unwrap();
    assert_eq!(
        harness.send(&person(3), DeviceCommand::Acknowledge { alarm: id }),
        Ok(Vec::new())
    );
    assert_eq!(harness.state.alarms[0].acknowledged, Some((person(2), NOW + 5)));
    assert_eq!(
        harness.send(&person(3), DeviceCommand::Acknowledge { alarm: 99 }),
        rejected(reason_code::NO_ALARM)
    );
}

#[test]
fn a_threshold_applies_at_once_and_is_validated() {
    let mut harness = DeviceHarness::new("a");
    assert_eq!(
        harness.send(&person(1), threshold(None, Some(1.0), 0.0)),
        rejected(reason_code::NO_METRIC)
    );
    harness.report(vec![reading("t", 50.0, None)]);
    for wrong in [
        threshold(Some(5.0), Some(5.0), 0.0),
        threshold(Some(0.0), Some(5.0), 5.0),
        threshold(None, Some(5.0), -1.0),
        threshold(None, Some(f64::NAN), 0.0),
    ] {
        assert_eq!(harness.send(&person(1), wrong), rejected(reason_code::BAD_THRESHOLD));
    }
    harness.send(&person(1), threshold(None, Some(40.0), 0.0)).unwrap();
    assert_eq!(harness.active(), [LimitKind::High]);
    harness.send(&person(1), threshold(Some(60.0), None, 0.0)).unwrap();
    assert_eq!(harness.active(), [LimitKind::Low]);
    harness.send(&person(1), threshold(None, None, 0.0)).unwrap();
    assert_eq!(
        (harness.active(), harness.state.metrics["t"].threshold),
        (Vec::new(), None)
    );
}

#[test]
fn an_order_is_forwarded_and_its_first_answer_counts() {
    let mut harness = DeviceHarness::new("a");
    let order = |name: &str, argument: &str| DeviceCommand::Order {
        name: name.to_owned(),
        argument: argument.to_owned(),
    };
    assert_eq!(
        harness.send(&person(1), order("reboot", "")),
        rejected(reason_code::NEVER_SEEN)
    );
    harness.report(Vec::new());
    assert_eq!(
        harness.send(&person(1), order("re boot", "")),
        rejected(reason_code::BAD_ORDER)
    );
    for wrong in ["{", "{\"in\":1,5}", "{\"in\":1,\"in\":2}", "1e400", "NaN"] {
        assert_eq!(
            harness.send(&person(1), order("reboot", wrong)),
            rejected(reason_code::BAD_ARGUMENT)
        );
    }
    let events = harness.send(&person(1), order("reboot", "{\"in\":5}")).unwrap();
    let forwards = Devices.forward(&harness.topic, &harness.state, 2, &events[0]);
    assert_eq!(forwards[0].command().topic().as_str(), "orders/all");
    let Ok(OrdersCommand::Add(pending)) = serde_json::from_str(forwards[0].command().json()) else {
        panic!("not added")
    };
    let expires = NOW + ORDER_TIMEOUT;
    assert_eq!(
        order_message(&pending),
        format!(r#"{{"id":2,"name":"reboot","argument":{{"in":5}},"expires":{expires}}}"#)
    );
    let exact = PendingOrder {
        argument: r#"{"n": 12345678901234567890.10}"#.to_owned(),
        ..pending
    };
    assert!(
        order_message(&exact).contains(&exact.argument),
        "every digit is preserved"
    );
    let ack = |ok| DeviceCommand::Ack {
        order: 2,
        ok,
        note: "done".to_owned(),
    };
    assert_eq!(
        harness.send(&person(1), ack(true)),
        rejected(reason_code::NOT_THE_DEVICE)
    );
    let expire = DeviceServerCommand::Expire { order: 2 };
    harness.send(Principal::program(), ack(true)).unwrap();
    assert_eq!(harness.send_as_server(expire), Ok(Vec::new()));
    assert_eq!(harness.state.orders[0].outcome, OrderStatus::Acknowledged);
    for _ in 0..MAX_PENDING_PER_DEVICE {
        harness.send(&person(1), order("identify", "")).unwrap();
    }
    assert_eq!(
        harness.send(&person(1), order("identify", "")),
        rejected(reason_code::TOO_MANY_PENDING)
    );
}

#[test]
fn control_requires_an_operator_or_the_demo_flag() {
    let controls = [
        threshold(None, Some(5.0), 0.0),
        DeviceCommand::Acknowledge { alarm: 1 },
        DeviceCommand::Order {
            name: "reboot".to_owned(),
            argument: String::new(),
        },
    ];
    let needs_operator = Err(Rejection::missing_role("operator"));
    let demo = Authority {
        demo: true,
        ..Authority::VISITOR
    };
    for control in controls {
        for who in [Principal::visitor(&person(1)), Principal::program()] {
            let result = |authority| {
                let mut harness = DeviceHarness::new("a");
                harness.report(vec![reading("t", 1.0, None)]);
                harness.authority = authority;
                harness.send(who, control.clone())
            };
            assert_eq!(result(Authority::VISITOR), needs_operator, "{control:?}");
            assert_ne!(result(Authority::OPERATOR), needs_operator);
            assert_ne!(result(demo), needs_operator);
        }
        let mut own = DeviceHarness::new(&format!("browser-{}", person(1).id.0));
        own.authority = Authority::VISITOR;
        assert_ne!(own.send(&person(1), control.clone()), needs_operator);
        assert_eq!(own.send(&person(2), control), needs_operator);
    }
}

#[test]
fn a_browsers_alarm_is_sent_to_its_visitor_only() {
    let audience = |id: &str| {
        let mut harness = DeviceHarness::new(id);
        harness
            .send_as_server(DeviceServerCommand::Report(Report {
                readings: vec![reading("t", 1.0, None)],
                ..Report::default()
            }))
            .unwrap();
        let raised = harness
            .send(&person(1), threshold(None, Some(0.5), 0.0))
            .unwrap()
            .pop()
            .unwrap();
        let forwards = Devices.forward(&harness.topic, &harness.state, 3, &raised);
        let topics = forwards
            .iter()
            .map(|forward| forward.command().topic().as_str().to_owned());
        topics.filter(|topic| topic != "fleet/all").collect::<Vec<_>>()
    };
    assert_eq!(audience("oven-1"), ["notices/devices"]);
    let me = person(1).id.0;
    assert_eq!(audience(&format!("browser-{me}")), [format!("inbox/{me}")]);
}

#[test]
fn a_browser_is_writable_by_its_visitor_only() {
    let me = person(7);
    let own = format!("browser-{}", me.id.0);
    let topic = TopicName::of::<Devices>(&own).unwrap();
    assert_eq!(Devices.admit(Principal::visitor(&me), &topic), Ok(Access::Write));
    assert_eq!(Devices.admit(Principal::visitor(&person(8)), &topic), Ok(Access::Read));
    assert_eq!(
        Devices.admit(Principal::visitor(&me), &TopicName::of::<Devices>("a/b").unwrap()),
        Err(Denial::Unknown)
    );
    let report = DeviceCommand::Report(Report::default());
    assert!(DeviceHarness::new(&own).send(&me, report.clone()).is_ok());
    for who in [Principal::visitor(&person(8)), Principal::program()] {
        assert_eq!(
            DeviceHarness::new(&own).send(who, report.clone()),
            rejected(reason_code::NOT_THE_DEVICE)
        );
    }
    assert_eq!(
        DeviceHarness::new("a").send(&me, report),
        rejected(reason_code::NOT_THE_DEVICE)
    );
}

#[test]
fn a_form_post_becomes_a_command_to_its_device() {
    let form = |fields: &[(&str, &str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        (forms()[0].command)("/devices/oven-1", &fields)
    };
    let command = form(&[
        ("act", "threshold"),
        ("metric", "t"),
        ("low", ""),
        ("high", "30,5"),
        ("hysteresis", ""),
    ])
    .unwrap();
    assert_eq!(command.topic().as_str(), "device/oven-1");
    assert_eq!(command.decode::<Devices>(), Ok(threshold(None, Some(30.5), 0.0)));
    assert!(form(&[("act", "order"), ("order", "identify")]).is_some());
    assert!(form(&[("act", "acknowledge"), ("alarm", "3")]).is_some());
    for wrong in [
        &[("act", "report")][..],
        &[("act", "threshold"), ("metric", "t"), ("low", "x")],
        &[("act", "threshold"), ("metric", "t"), ("low", "1,2,3")],
        &[("act", "threshold"), ("metric", "t"), ("high", "inf")],
        &[],
    ] {
        assert_eq!(form(wrong), None);
    }
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let metric = prop_oneof!["t", "h", "v"];
    // Few distinct times and values, so that readings collide on the same time.
    let at = prop_oneof![0..50_u64, (0..MAX_AGE / 1_000).prop_map(|second| second * 1_000)];
    let one = (metric, -60..60_i32, at);
    prop::collection::vec(
        one.prop_map(|(metric, value, ago)| reading(&metric, f64::from(value), Some(NOW - ago))),
        1..80,
    )
}

/// A visitor's command (`Ok`) or a server command (`Err`).
type AnyCommand = Result<DeviceCommand, DeviceServerCommand>;

fn commands() -> impl Strategy<Value = (bool, AnyCommand)> {
    let number = prop_oneof![Just(f64::NAN), -1e13..1e13, -50.0..50.0_f64];
    let one = (
        "[a-z]{0,2}",
        number.clone(),
        prop::option::of(NOW - 2 * MAX_AGE..NOW + 2 * MAX_CLOCK_SKEW),
        prop::option::of("[a-z]{0,2}"),
    );
    let one = one.prop_map(|(metric, value, at, unit)| Reading {
        metric,
        value: LenientNumber(value),
        unit,
        at,
    });
    let report = (
        prop::collection::vec(one, 0..70),
        prop::option::of(".{0,80}"),
        any::<Option<u32>>(),
    );
    let report = report.prop_map(|(readings, name, every)| Report {
        readings,
        name,
        place: None,
        every,
    });
    let limit = prop::option::of(number.clone());
    let command = prop_oneof![
        2 => report.clone().prop_map(|report| Err(DeviceServerCommand::Report(report))),
        4 => report.prop_map(|report| Ok(DeviceCommand::Report(report))),
        2 => ("[a-z]{1,2}", limit.clone(), limit, number).prop_map(|(metric, low, high, hysteresis)| Ok(DeviceCommand::SetThreshold { metric, low, high, hysteresis })),
        1 => (0..60_u64).prop_map(|alarm| Ok(DeviceCommand::Acknowledge { alarm })),
        2 => ("[a-z ]{0,3}", "[0-9{]{0,3}").prop_map(|(name, argument)| Ok(DeviceCommand::Order { name, argument })),
        2 => (0..60_u64, any::<bool>(), ".{0,300}").prop_map(|(order, ok, note)| Ok(DeviceCommand::Ack { order, ok, note })),
        1 => (0..60_u64).prop_map(|order| Err(DeviceServerCommand::Expire { order })),
    ];
    (any::<bool>(), command)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Values, histories, `last_seen` and, without hysteresis, the active alarms do not depend on the order of the readings.
    #[test]
    fn readings_in_any_order_give_the_same_state(readings in readings(), keys in prop::collection::vec(any::<u32>(), 80), size in 1..20_usize) {
        let outcome = |readings: &[Reading], size: usize| {
            let mut harness = DeviceHarness::new("a");
            let first = ["t", "h", "v"].map(|metric| reading(metric, 0.0, Some(NOW - MAX_AGE)));
            harness.report(first.to_vec());
            harness.send(&person(1), threshold(Some(-30.0), Some(30.0), 0.0)).unwrap();
            for chunk in readings.chunks(size) {
                harness.report(chunk.to_vec());
            }
            (harness.active(), harness.state.last_seen, harness.0.state.metrics)
        };
        let mut shuffled: Vec<_> = keys.iter().zip(readings.clone()).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(_, reading)| reading).collect();
        prop_assert_eq!(outcome(&readings, size), outcome(&shuffled, 1));
    }

    /// Any commands by any sender leave the state within its limits and identical in both encodings.
    #[test]
    fn a_device_stays_within_its_limits(commands in prop::collection::vec(commands(), 0..60)) {
        let mut harness = DeviceHarness::new("a");
        for (program, command) in commands {
            let visitor = person(1);
            let who = if program { Principal::program() } else { Principal::visitor(&visitor) };
            harness.now += 10_000;
            let _ = match command {
                Ok(command) => harness.send(who, command),
                Err(command) => harness.send_as_server(command),
            };
        }
        let device = &harness.state;
        prop_assert!(device.metrics.len() <= MAX_METRICS && device.alarms.len() <= MAX_ALARMS);
        prop_assert!(device.orders.len() <= MAX_ORDERS && device.rejections.len() <= MAX_REJECTIONS && device.pending_orders() <= MAX_PENDING_PER_DEVICE);
        prop_assert!(device.metrics.values().all(|metric| metric.value.is_finite() && metric.at <= harness.now));
        for metric in device.metrics.keys() {
            let active = device.alarms.iter().filter(|alarm| alarm.metric == *metric && alarm.cleared_at.is_none());
            prop_assert!(active.count() <= 1);
        }
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(device).unwrap();
            prop_assert_eq!(&encoding.decode::<Device>(&bytes).unwrap(), device);
        }
    }
}
