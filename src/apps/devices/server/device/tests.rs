//! The decider without a hub.

use std::ops::{Deref, DerefMut};

use proptest::prelude::*;

use super::super::super::model::{KEPT_ALARMS, KEPT_ORDERS, KEPT_REFUSALS};
use super::super::super::wire::{MAX_AHEAD, MAX_METRICS, Raw, Reading, Report};
use super::*;
use duplex_hub::Authority;
use duplex_hub::testing::DeciderHarness;
use duplex_protocol::codec::Encoding;
use duplex_protocol::person::Person;

const NOW: Millis = 1_800_000_000_000;

/// A device's topic, without a hub. What is commanded has an operator's rights, unless a test takes them away.
struct Place(DeciderHarness<Devices>);

impl Deref for Place {
    type Target = DeciderHarness<Devices>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Place {
    fn new(id: &str) -> Self {
        let mut harness = DeciderHarness::new(Devices, id);
        harness.now = NOW;
        harness.authority = Authority::OPERATOR;
        Self(harness)
    }

    fn say<'a>(
        &mut self,
        who: impl Into<Principal<'a>>,
        command: DeviceCommand,
    ) -> Result<Vec<DeviceEvent>, Rejection> {
        let count = self.made(who, command)?;
        Ok(self.newest(count))
    }

    fn told(&mut self, command: DeviceServerCommand) -> Result<Vec<DeviceEvent>, Rejection> {
        let count = self.made_by_server(command)?;
        Ok(self.newest(count))
    }

    fn newest(&self, count: usize) -> Vec<DeviceEvent> {
        let newest = &self.log[self.log.len() - count..];
        newest.iter().map(|(_, event)| event.clone()).collect()
    }

    fn report(&mut self, readings: Vec<Reading>) -> Vec<DeviceEvent> {
        let report = Report {
            readings,
            ..Report::default()
        };
        self.say(Principal::program(), DeviceCommand::Report(report)).unwrap()
    }

    fn value(&self, metric: &str) -> f64 {
        self.state.metrics[metric].value
    }

    fn active(&self) -> Vec<Side> {
        let active = self.state.alarms.iter().filter(|alarm| alarm.cleared.is_none());
        active.map(|alarm| alarm.side).collect()
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
        value: Raw(value),
        unit: Some("°C".to_owned()),
        at,
    }
}

fn refused<T>(why: &str) -> Result<T, Rejection> {
    Err(Rejection::refused(why))
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

/// The first run was a day ahead, and now the clock is right.
#[test]
fn what_was_stamped_in_the_future_holds_nothing_up() {
    for ahead in [1_000, 3_600_000, DAY, 400 * DAY] {
        let mut place = Place::new("a");
        place.now = NOW + ahead;
        place.report(vec![reading("t", 20.0, None)]);
        place.say(&person(1), threshold(None, Some(30.0), 0.0)).unwrap();
        let turn = |health, at| DeviceServerCommand::Turn { health, at };
        place.told(turn(Health::Late, NOW + ahead)).unwrap();
        place.now = NOW;
        let events = place.report(vec![reading("t", 31.0, None)]);
        assert!(
            matches!(events[..], [_, DeviceEvent::Raised { .. }]),
            "{ahead}: it is judged"
        );
        assert_eq!((place.value("t"), place.state.seen), (31.0, NOW));
        place.told(turn(Health::Online, NOW)).unwrap();
        assert_eq!((place.state.health, place.state.since), (Health::Online, NOW));
        place.now = NOW + 500;
        let points = |device: &Device| device.metrics["t"].trail.points(NOW - 3_600_000, u64::MAX, NOW);
        place.report(vec![reading("t", 29.0, None)]);
        assert_eq!((place.value("t"), place.active().len()), (29.0, 0));
        assert!(points(&place.state).iter().all(|point| point.at <= NOW + 30_000));
        assert_eq!(place.state.late, 0);
    }
}

#[test]
fn readings_with_times_of_their_own_keep_their_order_whatever_the_clock() {
    let mut place = Place::new("a");
    place.now = NOW + DAY;
    place.report(vec![
        reading("t", 2.0, Some(NOW - 10_000)),
        reading("t", 1.0, Some(NOW - 20_000)),
    ]);
    place.now = NOW;
    place.report(vec![reading("t", 3.0, Some(NOW - 15_000))]);
    assert_eq!((place.value("t"), place.state.late), (2.0, 2));
    place.report(vec![reading("t", 4.0, Some(NOW - 5_000))]);
    assert_eq!((place.value("t"), place.state.seen), (4.0, NOW - 5_000));
}

#[test]
fn orders_that_nothing_ended_make_room_for_the_next() {
    let mut place = Place::new("a");
    place.report(vec![reading("t", 1.0, None)]);
    let order = || DeviceCommand::Order {
        name: "reboot".to_owned(),
        argument: String::new(),
    };
    for _ in 0..MAX_WAITING {
        place.say(&person(1), order()).unwrap();
    }
    assert_eq!(place.say(&person(1), order()), refused(why::ORDERS_WAITING));
    // A restart without the forwards of before.
    place.now += 5 * ORDER_WAIT;
    assert_eq!(place.say(&person(1), order()).unwrap().len(), MAX_WAITING + 1);
    assert_eq!(place.state.waiting(), 1);
    let timed_out = |order: &&super::super::super::model::Order| order.outcome == Outcome::TimedOut;
    assert_eq!(place.state.orders.iter().filter(timed_out).count(), MAX_WAITING);
}

#[test]
fn what_cannot_be_is_refused_with_a_reason_and_counted() {
    let mut place = Place::new("a");
    let mut other = reading("t", 1.0, None);
    other.unit = Some("°F".to_owned());
    let readings = vec![
        reading("t", 21.0, None),
        reading("t", f64::NAN, None),
        reading("t", f64::INFINITY, None),
        reading("t", 1e13, None),
        reading("t", 1.0, Some(NOW + MAX_AHEAD + 1)),
        reading("t", 1.0, Some(NOW - MAX_AGE - 1)),
        reading("온도", 1.0, None),
        other,
    ];
    place.report(readings);
    let whys: Vec<_> = place
        .state
        .refusals
        .iter()
        .rev()
        .map(|one| one.refusal.why.as_str())
        .collect();
    let expected = [
        why::NOT_A_NUMBER,
        why::NOT_A_NUMBER,
        why::TOO_LARGE,
        why::IN_FUTURE,
        why::TOO_OLD,
        why::BAD_METRIC,
        why::OTHER_UNIT,
    ];
    assert_eq!(whys, expected);
    assert_eq!((place.state.refused, place.value("t")), (7, 21.0));
    let bad = DeviceServerCommand::Bad {
        why: why::UNREADABLE.to_owned(),
    };
    place.told(bad).unwrap();
    assert_eq!(place.state.refused, 8);
    assert_eq!(place.state.metrics["t"].unit, "°C");
}

#[test]
fn the_last_word_sets_the_value_and_is_no_sign_of_life() {
    let mut place = Place::new("a");
    let last = |readings: Vec<Reading>| {
        DeviceServerCommand::Last(Report {
            readings,
            ..Report::default()
        })
    };
    assert_eq!(place.told(last(Vec::new())), Ok(Vec::new()));
    place.told(last(vec![reading("t", 9.0, None)])).unwrap();
    assert_eq!((place.value("t"), place.state.seen), (9.0, 0));
    let told = Devices.forward(&place.topic, &place.state, 1, &place.log[0].1);
    assert_eq!(told[0].command().topic().as_str(), "fleet/all");

    place.report(vec![reading("t", 1.0, None)]);
    place.say(&person(1), threshold(None, Some(5.0), 0.0)).unwrap();
    place.now += 60_000;
    for (value, events) in [(1.0, 0), (7.0, 2), (7.0, 0), (1.0, 2)] {
        let made = place.told(last(vec![reading("t", value, None)])).unwrap();
        assert_eq!((made.len(), place.value("t")), (events, value), "{made:?}");
        assert_eq!((place.state.seen, place.state.metrics["t"].at), (NOW, NOW));
    }
    // What brings its own time is ordered by it; what is wrong is counted once.
    let mixed = last(vec![
        reading("t", 3.0, Some(NOW - 1)),
        reading("t", f64::NAN, None),
        reading("t", 4.0, Some(NOW + 1)),
    ]);
    assert_eq!(place.told(mixed.clone()).unwrap().len(), 2);
    assert_eq!(
        (place.value("t"), place.state.seen, place.state.refused),
        (4.0, NOW + 1, 1)
    );
    assert_eq!(place.told(mixed), Ok(Vec::new()));
    place.report(vec![reading("t", 2.0, None)]);
    assert_eq!((place.value("t"), place.state.seen), (2.0, place.now));
}

#[test]
fn no_reading_becomes_zero_or_loses_its_digits() {
    for value in [1e-9, 0.000123, 123_456_789.123, 1e-300, 5e-324, 999_999_999_999.0, 0.1] {
        for value in [value, -value] {
            assert_eq!(kept(value), value);
        }
    }
    assert_eq!((kept(0.1 + 0.2), kept(21.299_999_999_999_997)), (0.3, 21.3));
    assert!(kept(-0.0).is_sign_positive());
}

#[test]
fn a_late_reading_does_not_turn_the_value_back() {
    let mut place = Place::new("a");
    place.report(vec![reading("t", 5.0, Some(NOW - 1_000))]);
    place.report(vec![
        reading("t", 9.0, Some(NOW - 2_000)),
        reading("t", 8.0, Some(NOW - 3_000)),
    ]);
    assert_eq!((place.value("t"), place.state.late), (5.0, 2));
    assert_eq!(
        place.state.metrics["t"]
            .trail
            .points(NOW - 60_000, NOW, NOW)
            .iter()
            .map(|point| point.count)
            .sum::<u32>(),
        3
    );
    place.report(vec![reading("t", 6.0, Some(NOW + 5_000))]);
    assert_eq!(place.state.metrics["t"].at, NOW, "a clock that is ahead is set to ours");
}

#[test]
fn an_alarm_is_raised_once_cleared_once_and_told() {
    let mut place = Place::new("a");
    place.report(vec![reading("t", 20.0, None)]);
    place.say(&person(1), threshold(None, Some(30.0), 2.0)).unwrap();
    for (later, value, active) in [(1, 31.0, 1), (2, 35.0, 1), (3, 29.0, 1), (4, 27.0, 0), (5, 29.0, 0)] {
        place.now = NOW + later;
        place.report(vec![reading("t", value, None)]);
        assert_eq!(place.active().len(), active, "{value}");
    }
    let raised = place
        .log
        .iter()
        .position(|(_, event)| matches!(event, DeviceEvent::Raised { .. }))
        .unwrap();
    let told = Devices.forward(&place.topic, &place.state, raised as Seq + 1, &place.log[raised].1);
    let topics: Vec<_> = told.iter().map(|forward| forward.command().topic().as_str()).collect();
    assert_eq!(topics, ["fleet/all", "notices/devices"]);
    let sent: serde_json::Value = serde_json::from_str(told[1].command().json()).unwrap();
    let notice: Notice = serde_json::from_value(sent["send"].clone()).unwrap();
    assert_eq!(
        (notice.level, notice.link.as_deref()),
        (Level::Danger, Some("/devices/a"))
    );
    assert_eq!(notice.body.en, "t 31 °C (above 30)");
    let id = place.state.alarms[0].id;
    place.say(&person(2), DeviceCommand::Acknowledge { alarm: id }).unwrap();
    assert_eq!(
        place.say(&person(3), DeviceCommand::Acknowledge { alarm: id }),
        Ok(Vec::new())
    );
    assert_eq!(place.state.alarms[0].acknowledged, Some((person(2), NOW + 5)));
    assert_eq!(
        place.say(&person(3), DeviceCommand::Acknowledge { alarm: 99 }),
        refused(why::NO_ALARM)
    );
}

#[test]
fn a_threshold_judges_at_once_and_must_make_sense() {
    let mut place = Place::new("a");
    assert_eq!(
        place.say(&person(1), threshold(None, Some(1.0), 0.0)),
        refused(why::NO_METRIC)
    );
    place.report(vec![reading("t", 50.0, None)]);
    for wrong in [
        threshold(Some(5.0), Some(5.0), 0.0),
        threshold(Some(0.0), Some(5.0), 5.0),
        threshold(None, Some(5.0), -1.0),
        threshold(None, Some(f64::NAN), 0.0),
    ] {
        assert_eq!(place.say(&person(1), wrong), refused(why::BAD_THRESHOLD));
    }
    place.say(&person(1), threshold(None, Some(40.0), 0.0)).unwrap();
    assert_eq!(place.active(), [Side::High]);
    place.say(&person(1), threshold(Some(60.0), None, 0.0)).unwrap();
    assert_eq!(place.active(), [Side::Low]);
    place.say(&person(1), threshold(None, None, 0.0)).unwrap();
    assert_eq!((place.active(), place.state.metrics["t"].threshold), (Vec::new(), None));
}

#[test]
fn an_order_goes_out_and_its_first_answer_counts() {
    let mut place = Place::new("a");
    let order = |name: &str, argument: &str| DeviceCommand::Order {
        name: name.to_owned(),
        argument: argument.to_owned(),
    };
    assert_eq!(place.say(&person(1), order("reboot", "")), refused(why::NOT_HEARD));
    place.report(Vec::new());
    assert_eq!(place.say(&person(1), order("re boot", "")), refused(why::BAD_ORDER));
    for wrong in ["{", "{\"in\":1,5}", "{\"in\":1,\"in\":2}", "1e400", "NaN"] {
        assert_eq!(
            place.say(&person(1), order("reboot", wrong)),
            refused(why::BAD_ARGUMENT)
        );
    }
    let events = place.say(&person(1), order("reboot", "{\"in\":5}")).unwrap();
    let told = Devices.forward(&place.topic, &place.state, 2, &events[0]);
    assert_eq!(told[0].command().topic().as_str(), "orders/all");
    let Ok(OrdersCommand::Add(open)) = serde_json::from_str(told[0].command().json()) else {
        panic!("not added")
    };
    let expires = NOW + ORDER_WAIT;
    assert_eq!(
        letter(&open),
        format!(r#"{{"id":2,"name":"reboot","argument":{{"in":5}},"expires":{expires}}}"#)
    );
    let exact = Open {
        argument: r#"{"n": 12345678901234567890.10}"#.to_owned(),
        ..open
    };
    assert!(letter(&exact).contains(&exact.argument), "to the last digit");
    let ack = |ok| DeviceCommand::Ack {
        order: 2,
        ok,
        note: "done".to_owned(),
    };
    assert_eq!(place.say(&person(1), ack(true)), refused(why::NOT_YOURS));
    let expire = DeviceServerCommand::Expire { order: 2 };
    place.say(Principal::program(), ack(true)).unwrap();
    assert_eq!(place.told(expire), Ok(Vec::new()));
    assert_eq!(place.state.orders[0].outcome, Outcome::Acknowledged);
    for _ in 0..MAX_WAITING {
        place.say(&person(1), order("identify", "")).unwrap();
    }
    assert_eq!(
        place.say(&person(1), order("identify", "")),
        refused(why::ORDERS_WAITING)
    );
}

#[test]
fn to_control_a_device_takes_an_operator_or_the_demo() {
    let controls = [
        threshold(None, Some(5.0), 0.0),
        DeviceCommand::Acknowledge { alarm: 1 },
        DeviceCommand::Order {
            name: "reboot".to_owned(),
            argument: String::new(),
        },
    ];
    let needs_operator = Err(Rejection::needs_role("operator"));
    let demo = Authority {
        demo: true,
        ..Authority::VISITOR
    };
    for control in controls {
        for who in [Principal::visitor(&person(1)), Principal::program()] {
            let said = |authority| {
                let mut place = Place::new("a");
                place.report(vec![reading("t", 1.0, None)]);
                place.authority = authority;
                place.say(who, control.clone())
            };
            assert_eq!(said(Authority::VISITOR), needs_operator, "{control:?}");
            assert_ne!(said(Authority::OPERATOR), needs_operator);
            assert_ne!(said(demo), needs_operator);
        }
        let mut own = Place::new(&format!("browser-{}", person(1).id.0));
        own.authority = Authority::VISITOR;
        assert_ne!(own.say(&person(1), control.clone()), needs_operator);
        assert_eq!(own.say(&person(2), control), needs_operator);
    }
}

#[test]
fn a_browsers_alarm_is_told_to_its_visitor_alone() {
    let audience = |id: &str| {
        let mut place = Place::new(id);
        place
            .told(DeviceServerCommand::Report(Report {
                readings: vec![reading("t", 1.0, None)],
                ..Report::default()
            }))
            .unwrap();
        let raised = place
            .say(&person(1), threshold(None, Some(0.5), 0.0))
            .unwrap()
            .pop()
            .unwrap();
        let forwards = Devices.forward(&place.topic, &place.state, 3, &raised);
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
fn a_browser_is_its_visitors_alone() {
    let me = person(7);
    let own = format!("browser-{}", me.id.0);
    let topic = TopicName::of::<Devices>(&own).unwrap();
    assert_eq!(Devices.admit(Principal::visitor(&me), &topic), Ok(Access::Write));
    assert_eq!(Devices.admit(Principal::visitor(&person(8)), &topic), Ok(Access::Read));
    assert_eq!(
        Devices.admit(Principal::visitor(&me), &TopicName::of::<Devices>("a/b").unwrap()),
        Err(Denied::Unknown)
    );
    let report = DeviceCommand::Report(Report::default());
    assert!(Place::new(&own).say(&me, report.clone()).is_ok());
    for who in [Principal::visitor(&person(8)), Principal::program()] {
        assert_eq!(Place::new(&own).say(who, report.clone()), refused(why::NOT_YOURS));
    }
    assert_eq!(Place::new("a").say(&me, report), refused(why::NOT_YOURS));
}

#[test]
fn a_plain_form_is_a_command_to_its_page() {
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
    // Close times and few values: the same time with another value is among them.
    let at = prop_oneof![0..50_u64, (0..MAX_AGE / 1_000).prop_map(|second| second * 1_000)];
    let one = (metric, -60..60_i32, at);
    prop::collection::vec(
        one.prop_map(|(metric, value, ago)| reading(&metric, f64::from(value), Some(NOW - ago))),
        1..80,
    )
}

/// A visitor's command, or the server's.
type Said = Result<DeviceCommand, DeviceServerCommand>;

fn commands() -> impl Strategy<Value = (bool, Said)> {
    let number = prop_oneof![Just(f64::NAN), -1e13..1e13, -50.0..50.0_f64];
    let one = (
        "[a-z]{0,2}",
        number.clone(),
        prop::option::of(NOW - 2 * MAX_AGE..NOW + 2 * MAX_AHEAD),
        prop::option::of("[a-z]{0,2}"),
    );
    let one = one.prop_map(|(metric, value, at, unit)| Reading {
        metric,
        value: Raw(value),
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

    /// Values, histories, when it was seen and, without hysteresis, which alarms are active: all the same in any order.
    #[test]
    fn readings_in_any_order_give_the_same_state(readings in readings(), keys in prop::collection::vec(any::<u32>(), 80), size in 1..20_usize) {
        let live = |readings: &[Reading], size: usize| {
            let mut place = Place::new("a");
            let first = ["t", "h", "v"].map(|metric| reading(metric, 0.0, Some(NOW - MAX_AGE)));
            place.report(first.to_vec());
            place.say(&person(1), threshold(Some(-30.0), Some(30.0), 0.0)).unwrap();
            for some in readings.chunks(size) {
                place.report(some.to_vec());
            }
            (place.active(), place.state.seen, place.0.state.metrics)
        };
        let mut shuffled: Vec<_> = keys.iter().zip(readings.clone()).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(_, reading)| reading).collect();
        prop_assert_eq!(live(&readings, size), live(&shuffled, 1));
    }

    /// Whatever is asked by whomever: the bounds hold, and the state is the same in both encodings.
    #[test]
    fn a_device_keeps_its_bounds(commands in prop::collection::vec(commands(), 0..60)) {
        let mut place = Place::new("a");
        for (program, command) in commands {
            let visitor = person(1);
            let who = if program { Principal::program() } else { Principal::visitor(&visitor) };
            place.now += 10_000;
            let _ = match command {
                Ok(command) => place.say(who, command),
                Err(command) => place.told(command),
            };
        }
        let device = &place.state;
        prop_assert!(device.metrics.len() <= MAX_METRICS && device.alarms.len() <= KEPT_ALARMS);
        prop_assert!(device.orders.len() <= KEPT_ORDERS && device.refusals.len() <= KEPT_REFUSALS && device.waiting() <= MAX_WAITING);
        prop_assert!(device.metrics.values().all(|metric| metric.value.is_finite() && metric.at <= place.now));
        for metric in device.metrics.keys() {
            let active = device.alarms.iter().filter(|alarm| alarm.metric == *metric && alarm.cleared.is_none());
            prop_assert!(active.count() <= 1);
        }
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(device).unwrap();
            prop_assert_eq!(&encoding.decode::<Device>(&bytes).unwrap(), device);
        }
    }
}
