//! Orders to devices, and their thresholds.

use axum::http::StatusCode;
use duplex::apps::devices::wire::{DeviceCommand, Devices, Report};
use duplex_hub::Rights;
use duplex_hub::testing;
use duplex_protocol::codec::Encoding;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Rejection, ServerFrame};
use serde_json::json;

use super::{TOKEN, ask, form, node, node_with, said, sign_in};
use crate::harness::Node;
use crate::harness::visitor::{Transport, Visitor};

fn order() -> serde_json::Value {
    json!({ "order": { "name": "reboot", "argument": "" } })
}

/// A device that was heard.
async fn with_device(node: &Node, id: &str) {
    let report = DeviceCommand::Report(
        serde_json::from_value::<Report>(json!({
            "readings": [{ "metric": "t", "value": 1.0 }]
        }))
        .unwrap(),
    );
    let told = node
        .state
        .hub
        .tell::<Devices>(id, CommandId::from_bits(7), &report)
        .await;
    assert!(matches!(told, Answer::Accepted { .. }), "{told:?}");
}

/// The id of the device's newest alarm.
async fn alarm(node: &Node) -> u64 {
    let device = testing::state::<Devices>(&node.state.hub, "oven-1").await;
    device.alarms.front().unwrap().id
}

#[tokio::test]
async fn controlling_a_device_requires_an_operator_on_every_transport() {
    let (node, demo) = (node(), node_with(true));
    with_device(&node, "oven-1").await;
    with_device(&demo, "oven-1").await;
    let cookie = sign_in(&node, TOKEN).await;
    let threshold = json!({ "set_threshold": { "metric": "t", "low": null, "high": 0.5, "hysteresis": 0.0 } });
    for transport in [Transport::WebSocket(Encoding::Json), Transport::Sse, Transport::Poll] {
        for step in 0..3 {
            let command = match step {
                0 => order(),
                1 => threshold.clone(),
                _ => json!({ "acknowledge": { "alarm": alarm(&node).await } }),
            };
            let mut stranger = Visitor::new(&node, transport).await;
            let refused = stranger.command("device/oven-1", &command).await;
            assert_eq!(
                refused,
                Answer::Rejected(Rejection::needs_role("operator")),
                "{transport:?}"
            );
            let mut operator = Visitor::new(&node, transport).await.with_cookie(&cookie);
            assert_eq!(
                said(&operator.command("device/oven-1", &command).await),
                "accepted",
                "{transport:?} {command}"
            );
            let mut shown_around = Visitor::new(&demo, transport).await;
            let answer = shown_around.command("device/oven-1", &command).await;
            // The alarm's id is the other node's.
            assert!(step == 2 || said(&answer) == "accepted", "{answer:?}");
            assert_ne!(said(&answer), "role");
        }
    }
    let kept = node
        .state
        .hub
        .events(&"notices/devices".parse().unwrap(), 0, 10)
        .await
        .unwrap();
    assert!(kept.0.len() <= 1, "only the operator's threshold raised an alarm");
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
    assert_eq!(said(&me.command(&own, &report).await), "accepted");
    let threshold = json!({ "set_threshold": { "metric": "t", "low": null, "high": 0.5, "hysteresis": 0.0 } });
    assert_eq!(said(&me.command(&own, &threshold).await), "accepted");
    assert_eq!(said(&me.command(&own, &order()).await), "accepted");
    let mut other = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    assert_eq!(said(&other.command(&own, &order()).await), "forbidden");
    let notices = node.state.hub.open(&"notices/devices".parse().unwrap()).await.unwrap();
    assert_eq!(notices.head().seq, 0, "one's own alarm is told to nobody else");
}

#[tokio::test]
async fn the_device_page_shows_only_permitted_controls() {
    let (node, demo) = (node(), node_with(true));
    with_device(&node, "oven-1").await;
    with_device(&demo, "oven-1").await;
    let cookie = sign_in(&node, TOKEN).await;
    let fields = "act=order&order=reboot&argument=";
    let english = ("accept-language", "en");
    let page =
        async |node: &Node, headers: &[(&str, &str)]| ask(node, ("GET", "/devices/oven-1"), headers, "").await.body;
    let offers = |page: &str| page.contains(r#"name="order""#) && page.contains(r#"name="hysteresis""#);
    assert!(!offers(&page(&node, &[english]).await));
    assert!(offers(&page(&node, &[english, ("cookie", &cookie)]).await));
    let shown_around = page(&demo, &[english]).await;
    assert!(offers(&shown_around) && shown_around.contains("--demo"));
    assert!(page(&demo, &[("accept-language", "ko")]).await.contains("--demo"));
    assert!(!page(&node, &[english]).await.contains("--demo"));

    let refused = form(&node, "/devices/oven-1", &[english], fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("operator"), "{}", refused.body);
    let refused = form(&node, "/devices/oven-1", &[("accept-language", "ko")], fields).await;
    assert!(refused.body.contains("운영자"));
    let done = form(&node, "/devices/oven-1", &[english, ("cookie", &cookie)], fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let done = form(&demo, "/devices/oven-1", &[english], fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn waking_a_topic_with_operator_rights_leaves_no_rights_behind() {
    let node = node();
    let topic = "device/oven-1".parse().unwrap();
    // The operator's handle stays; a visitor's of the same topic has the visitor's rights.
    let _operators = node
        .state
        .hub
        .with_rights(Rights::operator())
        .open(&topic)
        .await
        .unwrap();
    with_device(&node, "oven-1").await;
    let mut stranger = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    stranger.subscribe("device/oven-1", None).await;
    assert_eq!(said(&stranger.command("device/oven-1", &order()).await), "role");
}
