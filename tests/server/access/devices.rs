//! Authorization of device orders and thresholds.

use axum::http::StatusCode;
use duplex::apps::devices::wire::{DeviceCommand, Devices, Report};
use duplex_hub::Rights;
use duplex_hub::testing;
use duplex_protocol::codec::Encoding;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Rejection, ServerFrame};
use serde_json::json;

use super::{TOKEN, node, node_with_demo, outcome, post_form, request, sign_in};
use crate::harness::Node;
use crate::harness::visitor::{Transport, Visitor};

fn order() -> serde_json::Value {
    json!({ "order": { "name": "reboot", "argument": "" } })
}

/// Adds a device by sending its first report.
async fn add_device(node: &Node, id: &str) {
    let report = DeviceCommand::Report(
        serde_json::from_value::<Report>(json!({
            "readings": [{ "metric": "t", "value": 1.0 }]
        }))
        .unwrap(),
    );
    let answer = node
        .state
        .hub
        .send::<Devices>(id, CommandId::from_bits(7), &report)
        .await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

/// The id of the device's newest alarm.
async fn alarm(node: &Node) -> u64 {
    let device = testing::state::<Devices>(&node.state.hub, "oven-1").await;
    device.alarms.front().unwrap().id
}

#[tokio::test]
async fn controlling_a_device_requires_an_operator_on_every_transport() {
    let (node, demo) = (node(), node_with_demo(true));
    add_device(&node, "oven-1").await;
    add_device(&demo, "oven-1").await;
    let cookie = sign_in(&node, TOKEN).await;
    let threshold = json!({ "set_threshold": { "metric": "t", "low": null, "high": 0.5, "hysteresis": 0.0 } });
    for transport in [Transport::WebSocket(Encoding::Json), Transport::Sse, Transport::Poll] {
        for step in 0..3 {
            let command = match step {
                0 => order(),
                1 => threshold.clone(),
                _ => json!({ "acknowledge": { "alarm": alarm(&node).await } }),
            };
            let mut visitor = Visitor::new(&node, transport).await;
            let rejected = visitor.command("device/oven-1", &command).await;
            assert_eq!(
                rejected,
                Answer::Rejected(Rejection::missing_role("operator")),
                "{transport:?}"
            );
            let mut operator = Visitor::new(&node, transport).await.with_cookie(&cookie);
            assert_eq!(
                outcome(&operator.command("device/oven-1", &command).await),
                "accepted",
                "{transport:?} {command}"
            );
            let mut demo_visitor = Visitor::new(&demo, transport).await;
            let answer = demo_visitor.command("device/oven-1", &command).await;
            // The alarm's id is of the other node.
            assert!(step == 2 || outcome(&answer) == "accepted", "{answer:?}");
            assert_ne!(outcome(&answer), "role");
        }
    }
    let notices = node
        .state
        .hub
        .events(&"notices/devices".parse().unwrap(), 0, 10)
        .await
        .unwrap();
    assert!(notices.0.len() <= 1, "only the operator's threshold raised an alarm");
}

#[tokio::test]
async fn a_visitor_controls_only_their_own_browser() {
    let node = node();
    let mut me = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    let ServerFrame::Welcome(welcome) = me.next_frame().await else {
        panic!("no welcome")
    };
    let PersonId(id) = welcome.person.id;
    let own = format!("device/browser-{id}");
    let report = json!({ "report": { "readings": [{ "metric": "t", "value": 1 }] } });
    assert_eq!(outcome(&me.command(&own, &report).await), "accepted");
    let threshold = json!({ "set_threshold": { "metric": "t", "low": null, "high": 0.5, "hysteresis": 0.0 } });
    assert_eq!(outcome(&me.command(&own, &threshold).await), "accepted");
    assert_eq!(outcome(&me.command(&own, &order()).await), "accepted");
    let mut other = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    assert_eq!(outcome(&other.command(&own, &order()).await), "forbidden");
    let notices = node.state.hub.open(&"notices/devices".parse().unwrap()).await.unwrap();
    assert_eq!(
        notices.head().seq,
        0,
        "an alarm of a visitor's own browser notifies no one else"
    );
}

#[tokio::test]
async fn the_device_page_shows_only_permitted_controls() {
    let (node, demo) = (node(), node_with_demo(true));
    add_device(&node, "oven-1").await;
    add_device(&demo, "oven-1").await;
    let cookie = sign_in(&node, TOKEN).await;
    let fields = "act=order&order=reboot&argument=";
    let english = ("accept-language", "en");
    let page =
        async |node: &Node, headers: &[(&str, &str)]| request(node, ("GET", "/devices/oven-1"), headers, "").await.body;
    let has_controls = |page: &str| page.contains(r#"name="order""#) && page.contains(r#"name="hysteresis""#);
    assert!(!has_controls(&page(&node, &[english]).await));
    assert!(has_controls(&page(&node, &[english, ("cookie", &cookie)]).await));
    let demo_page = page(&demo, &[english]).await;
    assert!(has_controls(&demo_page) && demo_page.contains("--demo"));
    assert!(page(&demo, &[("accept-language", "ko")]).await.contains("--demo"));
    assert!(!page(&node, &[english]).await.contains("--demo"));

    let rejected = post_form(&node, "/devices/oven-1", &[english], fields).await;
    assert_eq!(rejected.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(rejected.body.contains("operator"), "{}", rejected.body);
    let rejected = post_form(&node, "/devices/oven-1", &[("accept-language", "ko")], fields).await;
    assert!(rejected.body.contains("운영자"));
    let accepted = post_form(&node, "/devices/oven-1", &[english, ("cookie", &cookie)], fields).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{}", accepted.body);
    let accepted = post_form(&demo, "/devices/oven-1", &[english], fields).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn waking_a_topic_with_operator_rights_leaves_no_rights_behind() {
    let node = node();
    let topic = "device/oven-1".parse().unwrap();
    // A handle with operator rights stays open; the visitor's session uses the visitor's rights.
    let _handle = node
        .state
        .hub
        .with_rights(Rights::operator())
        .open(&topic)
        .await
        .unwrap();
    add_device(&node, "oven-1").await;
    let mut visitor = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    visitor.subscribe("device/oven-1", None).await;
    assert_eq!(outcome(&visitor.command("device/oven-1", &order()).await), "role");
}
