//! JSON from programs: same rules on every endpoint; an invalid number rejects only its reading.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::apps::devices::model::Device;
use duplex::apps::devices::wire::{Devices, reason_code};
use duplex::server::token::Token;
use duplex_hub::testing;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::session::{Answer, ClientFrame, CommandId, Rejection, ServerFrame};
use serde_json::{Value, json};

use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, with_timeout};

const TOKEN: &str = "a-token-for-the-tests";
const READINGS: &str = "/api/devices/oven-1/readings";

fn node() -> Node {
    Node::with_apps(|settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
    })
}

async fn post(node: &Node, path: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let answer = with_timeout(node.request(request)).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

async fn device(node: &Node) -> Device {
    testing::state::<Devices>(&node.state.hub, "oven-1").await
}

/// The rejections of a command in a session, posted and over WebSocket.
async fn rejections(node: &Node, command: &str) -> Vec<Rejection> {
    let mut program = Visitor::new(node, Transport::WebSocket(Encoding::Json))
        .await
        .with_token(TOKEN);
    let frame = || ClientFrame::Command {
        topic: "device/oven-1".parse().unwrap(),
        id: CommandId::from_bits(uuid::Uuid::new_v4().as_u128()),
        command: EncodedValue(command.as_bytes().to_vec()),
    };
    let (_, posted) = program.post(&frame()).await;
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(command).unwrap();
    let over_socket = program.command("device/oven-1", &raw).await;
    let posted = match posted {
        Some(ServerFrame::Reply { answer, .. }) => answer,
        other => panic!("{other:?}"),
    };
    let rejected = |answer: Answer| match answer {
        Answer::Rejected(rejection) => rejection,
        Answer::Accepted { .. } => panic!("accepted"),
    };
    [posted, over_socket].map(rejected).to_vec()
}

#[tokio::test]
async fn a_duplicate_json_member_is_rejected_by_name_everywhere() {
    let node = node();
    for (path, body) in [
        (READINGS, r#"{"readings":[{"metric":"t","value":1,"value":2}]}"#),
        (READINGS, r#"{"name":"a","value":1,"value":2}"#),
        (
            "/api/notifications",
            r#"{"to":"everyone","title":"x","value":1,"value":2}"#,
        ),
        (
            "/api/notifications",
            r#"{"to":"everyone","title":{"ko":"a","value":1,"value":2}}"#,
        ),
    ] {
        let (status, problem) = post(&node, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {problem}");
        assert!(problem.to_string().contains("`value` is there twice"), "{problem}");
    }
    for command in [
        r#"{"report":{"readings":[{"metric":"t","value":1,"value":2}]}}"#,
        r#"{"report":{"value":1,"value":2}}"#,
    ] {
        for rejection in rejections(&node, command).await {
            assert!(
                matches!(&rejection, Rejection::Malformed { detail: what } if what.contains("`value` is there twice")),
                "{rejection:?}"
            );
        }
    }
    assert_eq!(device(&node).await.reports, 0);
}

#[tokio::test]
async fn an_invalid_number_does_not_affect_the_readings_beside_it() {
    let node = node();
    let good = r#"{"metric":"t","value":1e-9}"#;
    let mut expected = Vec::new();
    for (invalid, metric, why) in [
        (r#"{"metric":"a","value":1e400}"#, "a", reason_code::NOT_A_NUMBER),
        (r#"{"metric":"a","value":NaN}"#, "a", reason_code::NOT_A_NUMBER),
        (r#"{"metric":"a","value":-Infinity}"#, "a", reason_code::NOT_A_NUMBER),
        (r#"{"metric":"a","value":"12"}"#, "a", reason_code::NOT_A_NUMBER),
        (r#"{"metric":"a","value":[[null]]}"#, "a", reason_code::NOT_A_NUMBER),
        (
            r#"{"metric":"a","value":123456789012345678901234567890}"#,
            "a",
            reason_code::TOO_LARGE,
        ),
        (
            r#"{"metric":"a","value":1,"at":1700000000000.5}"#,
            "a",
            reason_code::BAD_TIME,
        ),
        (r#"{"metric":"a","value":1,"at":-1}"#, "a", reason_code::BAD_TIME),
        (r#"{"metric":"a","value":1,"at":1e400}"#, "a", reason_code::BAD_TIME),
        (r#"{"metric":"a","value":1,"at":"now"}"#, "a", reason_code::BAD_TIME),
        (r#"{"metric":"a","value":1,"unit":5}"#, "a", reason_code::NOT_A_TEXT),
        ("null", "", reason_code::BAD_METRIC),
        ("7", "", reason_code::BAD_METRIC),
    ] {
        let (status, answer) = post(&node, READINGS, &format!(r#"{{"readings":[{invalid},{good}]}}"#)).await;
        let rejected = json!([{ "metric": metric, "why": why }]);
        assert_eq!(
            (status, &answer["refused"]),
            (StatusCode::OK, &rejected),
            "{invalid}: {answer}"
        );
        expected.push(why);
    }
    let deep = format!(r#"{{"metric":"a","value":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
    let (status, _) = post(
        &node,
        READINGS,
        &format!(r#"{{"readings":[{good},{deep}],"every":0.5}}"#),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    expected.extend([reason_code::NOT_A_NUMBER, reason_code::BAD_EVERY]);
    let (_, answer) = post(
        &node,
        READINGS,
        &format!(r#"{{"readings":[{good}],"every":30.0,"name":null}}"#),
    )
    .await;
    assert_eq!(answer["refused"], json!([]));

    let device = device(&node).await;
    assert_eq!(
        (device.metrics.len(), device.metrics["t"].value, device.every),
        (1, 1e-9, 30)
    );
    assert_eq!(device.rejected, expected.len() as u64);
    let newest: Vec<_> = device
        .rejections
        .iter()
        .map(|record| record.reading.why.as_str())
        .collect();
    let reversed: Vec<_> = expected.iter().rev().take(newest.len()).copied().collect();
    assert_eq!(newest, reversed);
    let counted = node.state.hub.rejected_parts();
    assert!(counted.contains(&("device", expected.len() as u64)), "{counted:?}");

    let (status, _) = post(&node, READINGS, r#"{"readings":7}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = post(&node, "/api/notifications", r#"{"to":"everyone","title":NaN}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a notification has no numbers to skip");
}
