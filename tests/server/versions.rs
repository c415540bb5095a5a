//! Both versions of the session protocol over every transport.

use axum::http::StatusCode;
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{EVENTS_PATH, POLL_PATH, SESSION_PATH};
use duplex_protocol::subprotocol::{Subprotocol, Version};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::kinds::Note;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, WebSocketClient, open};

const NOTES: &str = "notes/a";

async fn websocket(node: &Node, subprotocol: &str) -> WebSocketClient<DuplexStream> {
    let headers = [("sec-websocket-protocol", subprotocol)];
    let (client, response) = open(node.connect(), SESSION_PATH, &headers).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], subprotocol);
    client
}

async fn add(node: &Node) {
    Visitor::new(node, Transport::Sse)
        .await
        .command(NOTES, &Note::Add("x".to_owned()))
        .await;
}

/// The next frame other than presence.
async fn next_frame(client: &mut WebSocketClient<DuplexStream>) -> Value {
    loop {
        let frame: Value = serde_json::from_slice(&client.receive().await.into_data()).unwrap();
        if frame.get("presence").is_none() {
            return frame;
        }
    }
}

#[tokio::test]
async fn each_json_version_has_its_own_fields() {
    let node = Node::new();
    add(&node).await;
    for (subprotocol, has_checksum) in [("duplex.v1.json", false), ("duplex.v2.json", true)] {
        let mut client = websocket(&node, subprotocol).await;
        client
            .send(Message::text(r#"{"hello":{"build":"","name":null}}"#))
            .await;
        let welcome = next_frame(&mut client).await;
        assert_eq!(welcome["welcome"]["now_ms"].is_u64(), has_checksum);
        let subscribe = format!(r#"{{"subscribe":{{"topic":"{NOTES}","cursor":null}}}}"#);
        client.send(Message::text(subscribe)).await;
        let verdict = next_frame(&mut client).await;
        let cursor = verdict["verdict"]["verdict"]["reset"]["cursor"].clone();
        assert_eq!(
            (cursor["check"].is_u64(), cursor["seq"].is_u64()),
            (has_checksum, true),
            "{verdict}"
        );
        add(&node).await;
        let event = next_frame(&mut client).await;
        assert_eq!(event["event"]["check"].is_u64(), has_checksum, "{event}");
        // The client reconnects with the cursor that it got.
        let mut reconnected = websocket(&node, subprotocol).await;
        reconnected
            .send(Message::text(r#"{"hello":{"build":"","name":null}}"#))
            .await;
        next_frame(&mut reconnected).await;
        let subscribe = serde_json::json!({ "subscribe": { "topic": NOTES, "cursor": cursor } });
        reconnected.send(Message::text(subscribe.to_string())).await;
        let verdict = next_frame(&mut reconnected).await;
        let resumed = &verdict["verdict"]["verdict"]["resumed"];
        assert_eq!(resumed["replayed"], 1, "{verdict}");
        assert_eq!(next_frame(&mut reconnected).await, event);
    }
}

#[tokio::test]
async fn version_1_postcard_is_served() {
    let node = Node::new();
    add(&node).await;
    let mut client = websocket(&node, Subprotocol::new(Version::V1, Encoding::Postcard).subprotocol()).await;
    client.send(Message::binary(vec![0, 0, 0])).await;
    let mut subscribe = vec![1, 7];
    subscribe.extend(NOTES.as_bytes());
    // A cursor of two numbers: epoch 7, seq 0.
    subscribe.extend([1, 7, 0]);
    client.send(Message::binary(subscribe)).await;
    let mut frame = client.receive().await.into_data();
    while frame[0] != 1 {
        frame = client.receive().await.into_data();
    }
    let mut resumed = vec![1, 7];
    resumed.extend(NOTES.as_bytes());
    resumed.extend([0, 1, 7, 1]);
    assert_eq!(&frame[..], resumed, "resumed, 1 replayed, head 7:1");
    while frame[0] != 2 {
        frame = client.receive().await.into_data();
    }
    let mut event = vec![2, 7];
    event.extend(NOTES.as_bytes());
    // Its seq, and the content's three bytes.
    event.extend([1, 3, 0, 1, b'x']);
    assert_eq!(&frame[..], event);
}

#[tokio::test]
async fn the_query_selects_the_version_over_http() {
    let node = Node::new();
    add(&node).await;
    for (version, has_checksum) in [("", false), ("&v=1", false), ("&v=2", true)] {
        let answer = node
            .get(&format!("{POLL_PATH}?session=s{version}&topics={NOTES}&wait=0"))
            .await;
        let frames: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(frames[0]["welcome"]["now_ms"].is_u64(), has_checksum, "{frames}");
        let cursor = &frames[1]["verdict"]["verdict"]["reset"]["cursor"];
        assert_eq!(
            (cursor["check"].is_u64(), cursor["seq"].is_u64()),
            (has_checksum, true),
            "{frames}"
        );
    }
    for path in [POLL_PATH, EVENTS_PATH] {
        let answer = node.get(&format!("{path}?session=s&v=3&topics={NOTES}&wait=0")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    }
}

#[tokio::test]
async fn an_unknown_version_is_rejected() {
    let node = Node::new();
    let mut client = websocket(&node, "duplex.v3.json").await;
    let closing = next_frame(&mut client).await;
    assert_eq!(closing["closing"]["reason"], "reload");
    let (closed, _) = client.expect_close().await.unwrap();
    assert_eq!(closed, code::RELOAD);
    assert!(Subprotocol::from_subprotocol("duplex.v3.json").is_none());
}
