//! Devices over a real MQTT broker: readings are stored exactly once across restarts, and orders are delivered.

mod test_hub;

use duplex::apps::devices::model::{Device, FleetState, Metric};
use duplex::apps::devices::wire::{DeviceCommand, Fleet, Health, OrderStatus, reason_code};
use duplex_protocol::session::Answer;

use self::test_hub::{TestHub, now};
use super::harness::broker::Broker;

/// The MQTT topic of the readings of `oven-1`.
const READINGS_TOPIC: &str = "devices/oven-1/readings";

fn reading(value: f64, at: u64) -> String {
    format!(r#"{{"readings":[{{"metric":"temperature","value":{value},"unit":"°C","at":{at}}}],"every":10}}"#)
}

/// The number of readings in the history.
fn reading_count(device: &Device) -> u32 {
    let count = |metric: &Metric| {
        let points = metric.history.points(0, u64::MAX, u64::MAX);
        points.iter().map(|point| point.count).sum()
    };
    device.metrics.get("temperature").map_or(0, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_are_stored() {
    let broker = Broker::start();
    assert_stored(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_are_stored_over_tls() {
    let broker = Broker::with_tls();
    assert_stored(&broker).await;
}

async fn assert_stored(broker: &Broker) {
    let server = TestHub::new(broker).await;
    let oven = broker.device("oven", None).await;
    oven.publish(READINGS_TOPIC, &reading(21.5, now()), false).await;
    let device = server.device_when("oven-1", |device| device.reports == 1).await;
    let metric = &device.metrics["temperature"];
    assert_eq!((metric.value, metric.unit.as_str(), device.every), (21.5, "°C", 10));
    let online = |overview: &FleetState| {
        overview
            .devices
            .get("oven-1")
            .is_some_and(|entry| entry.health == Health::Online)
    };
    let overview = server.wait_for_state::<Fleet>("all", online).await;
    assert_eq!(overview.devices["oven-1"].summary.latest[0].value, 21.5);
    server
        .device_when("oven-1", |device| device.health == Health::Online)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reading_is_lost_when_the_broker_restarts() {
    const READINGS: u64 = 300;
    let mut broker = Broker::start();
    let server = TestHub::new(&broker).await;
    let oven = broker.device("oven", None).await;
    let start = now() - READINGS * 10;
    for number in 0..READINGS {
        oven.publish(READINGS_TOPIC, &reading(number as f64, start + number * 10), false)
            .await;
        if number == READINGS / 3 {
            server.device_when("oven-1", |device| device.reports > 20).await;
            broker.stop();
        }
        if number == READINGS / 2 {
            broker.spawn();
        }
    }
    let device = server
        .device_when("oven-1", |device| reading_count(device) as u64 >= READINGS)
        .await;
    assert_eq!(
        (u64::from(reading_count(&device)), device.reports),
        (READINGS, READINGS),
        "each exactly once"
    );
    assert_eq!(device.metrics["temperature"].value, (READINGS - 1) as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_queues_readings_while_the_server_is_down() {
    let broker = Broker::start();
    let mut server = TestHub::new(&broker).await;
    let mut oven = broker.device("oven", None).await;
    oven.publish(READINGS_TOPIC, &reading(1.0, now()), false).await;
    oven.wait_for_pubacks().await;
    server.device_when("oven-1", |device| device.reports == 1).await;
    server.stop().await;
    let at = now();
    for number in 0..50 {
        oven.publish(READINGS_TOPIC, &reading(2.0, at - number), false).await;
        oven.wait_for_pubacks().await;
    }
    server.start(&broker);
    server.device_when("oven-1", |device| reading_count(device) == 51).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_sent_twice_has_one_effect() {
    let broker = Broker::start();
    let server = TestHub::new(&broker).await;
    let oven = broker.device("oven", None).await;
    let (report, after) = (reading(5.0, now() - 1_000), reading(6.0, now()));
    for payload in [&report, &report, &report, &after] {
        oven.publish(READINGS_TOPIC, payload, false).await;
    }
    let device = server
        .device_when("oven-1", |device| {
            device
                .metrics
                .get("temperature")
                .is_some_and(|metric| metric.value == 6.0)
        })
        .await;
    assert_eq!((device.reports, reading_count(&device)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_value_received_again_counts_once() {
    let broker = Broker::start();
    let mut oven = broker.device("oven", None).await;
    oven.publish(
        READINGS_TOPIC,
        r#"{"readings":[{"metric":"temperature","value":7}]}"#,
        true,
    )
    .await;
    oven.wait_for_pubacks().await;
    let mut server = TestHub::new(&broker).await;
    let device = server.device_when("oven-1", |device| device.reports == 1).await;
    assert_eq!(device.metrics["temperature"].value, 7.0);
    assert_eq!(
        (device.last_seen, device.metrics["temperature"].at),
        (0, 0),
        "the time is unknown"
    );
    let listed = server
        .wait_for_state::<Fleet>("all", |overview| overview.devices.contains_key("oven-1"))
        .await;
    // A retained value does not show that the device is online.
    assert_eq!(listed.devices["oven-1"].health, Health::Offline);
    server.stop().await;
    server.start(&broker);
    // These arrive after the retained message, which the broker delivers again.
    let mut other = broker.device("other", None).await;
    server
        .wait_for_state::<Fleet>("all", |overview| overview.devices.contains_key("oven-1"))
        .await;
    for round in 0..3 {
        other
            .publish("devices/oven-2/readings", &reading(f64::from(round), now()), false)
            .await;
        other.wait_for_pubacks().await;
    }
    server.device_when("oven-2", |device| device.reports > 0).await;
    server.device_when("oven-1", |device| device.reports == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_value_changed_during_downtime_becomes_the_latest() {
    let state = |value: u8| format!(r#"{{"readings":[{{"metric":"temperature","value":{value}}}]}}"#);
    let value = |device: &Device| device.metrics.get("temperature").map(|metric| metric.value);
    let broker = Broker::start();
    let mut server = TestHub::new(&broker).await;
    let mut oven = broker.device("oven", None).await;
    oven.publish_retained(READINGS_TOPIC, &state(1)).await;
    server.device_when("oven-1", |device| value(device) == Some(1.0)).await;
    oven.publish(READINGS_TOPIC, &state(0), false).await;
    let live = server.device_when("oven-1", |device| value(device) == Some(0.0)).await;
    // The value from before the downtime twice, another one, and the first one again.
    let mut before = live.clone();
    for retained in [1, 1, 0, 1] {
        server.stop().await;
        oven.publish_retained(READINGS_TOPIC, &state(retained)).await;
        server.start(&broker);
        // The beacon's reading arrives after the retained messages.
        let beacon = server.device_when("beacon", |_| true).await.reports;
        oven.publish("devices/beacon/readings", &reading(2.0, now()), false)
            .await;
        server.device_when("beacon", |device| device.reports > beacon).await;
        let after = server
            .device_when("oven-1", |device| value(device) == Some(f64::from(retained)))
            .await;
        let changed = u64::from(value(&before) != value(&after));
        assert_eq!(after.reports, before.reports + changed, "no duplicate");
        assert_eq!(
            (after.last_seen, reading_count(&after)),
            (live.last_seen, reading_count(&live)),
            "a retained value does not update `last_seen`"
        );
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_reading_is_rejected_alone() {
    let broker = Broker::start();
    let server = TestHub::new(&broker).await;
    let oven = broker.device("oven", None).await;
    let good = r#"{"metric":"temperature","value":1e-9}"#;
    for invalid in [
        r#"{"metric":"a","value":1e400}"#,
        r#"{"metric":"b","value":NaN}"#,
        r#"{"metric":"c","value":1,"at":5.5}"#,
        "[[[7]]]",
    ] {
        let report = format!(r#"{{"readings":[{invalid},{good}],"every":0.5}}"#);
        oven.publish(READINGS_TOPIC, &report, false).await;
    }
    let device = server.device_when("oven-1", |device| device.reports == 4).await;
    assert_eq!(device.metrics["temperature"].value, 1e-9);
    assert_eq!((device.metrics.len(), device.rejected), (1, 8));
    let reasons: Vec<_> = device
        .rejections
        .iter()
        .rev()
        .map(|record| record.reading.why.as_str())
        .collect();
    let expected = [
        reason_code::NOT_A_NUMBER,
        reason_code::NOT_A_NUMBER,
        reason_code::BAD_TIME,
        reason_code::BAD_METRIC,
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .flat_map(|why| [why, reason_code::BAD_EVERY])
        .collect();
    assert_eq!(reasons, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_payloads_are_counted_and_do_not_block_others() {
    let broker = Broker::start();
    let server = TestHub::new(&broker).await;
    let oven = broker.device("oven", None).await;
    let ahead = reading(1.0, now() + 3_600_000);
    let text = r#"{"readings":[{"metric":"temperature","value":"NaN"}]}"#;
    let long = format!("{:>1$}", "{}", 20_000);
    for payload in ["", "{", "nonsense", text, &ahead, &long] {
        oven.publish(READINGS_TOPIC, payload, false).await;
    }
    oven.publish("devices/OVEN/readings", "{}", false).await;
    oven.publish(READINGS_TOPIC, &reading(21.0, now()), false).await;
    let device = server
        .device_when("oven-1", |device| device.rejected == 5 && device.metrics.len() == 1)
        .await;
    let mut reasons: Vec<_> = device
        .rejections
        .iter()
        .map(|record| record.reading.why.as_str())
        .collect();
    reasons.sort_unstable();
    let unreadable = reason_code::UNREADABLE;
    assert_eq!(
        reasons,
        [
            reason_code::IN_FUTURE,
            reason_code::NOT_A_NUMBER,
            reason_code::TOO_LONG,
            unreadable,
            unreadable
        ],
        "clearing a retained message is not an error"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_reaches_its_device_and_the_acknowledgement_returns() {
    let broker = Broker::start();
    let server = TestHub::new(&broker).await;
    let mut oven = broker.device("oven", Some("devices/oven-1/commands")).await;
    oven.publish(READINGS_TOPIC, &reading(20.0, now()), false).await;
    server.device_when("oven-1", |device| device.reports == 1).await;
    let order = DeviceCommand::Order {
        name: "set-interval".to_owned(),
        argument: r#"{"seconds":5}"#.to_owned(),
    };
    assert!(matches!(
        server.command("oven-1", &order).await,
        Answer::Accepted { .. }
    ));
    let (topic, payload) = oven.next_message().await;
    let message: serde_json::Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(
        (topic.as_str(), &message["argument"]["seconds"]),
        ("devices/oven-1/commands", &serde_json::json!(5))
    );
    let ack = format!(r#"{{"id":{},"ok":false,"note":"too hot"}}"#, message["id"]);
    for _ in 0..2 {
        oven.publish("devices/oven-1/acks", &ack, false).await;
    }
    let device = server
        .device_when("oven-1", |device| device.orders[0].outcome != OrderStatus::Sent)
        .await;
    assert_eq!(
        (device.orders[0].outcome, device.orders[0].note.as_str()),
        (OrderStatus::Failed, "too hot")
    );
}
