//! The handshake record of a connection, and the vitals.

use axum::http::StatusCode;
use duplex_protocol::code::ClosedBy;
use duplex_protocol::handshake::{ConnectionEnd, Handshake};

use crate::harness::{ECHO_PATH, Node, SOCKET_PATH, close_frame, open, wait_until};

const TRACE: &str = "0123456789abcdef-_";

async fn record(node: &Node) -> Option<Handshake> {
    let answer = node.get(&format!("/api/handshake/{TRACE}")).await;
    (answer.status == StatusCode::OK).then(|| {
        assert_eq!(answer.header("cache-control"), "no-store");
        serde_json::from_str(&answer.body).unwrap()
    })
}

/// Waits for the end of the recorded connection.
async fn ended(node: &Node) -> ConnectionEnd {
    wait_until(async || record(node).await.is_some_and(|record| record.ended.is_some())).await;
    record(node).await.unwrap().ended.unwrap()
}

#[tokio::test]
async fn the_record_shows_the_handshake_as_the_server_received_it() {
    let node = Node::new();
    let listening = node.listen().await;
    let headers = [
        ("cookie", "session=secret"),
        ("sec-websocket-protocol", "a, b"),
        ("origin", "http://localhost"),
    ];
    let stream = listening.connect().await;
    let local = stream.local_addr().unwrap().to_string();
    let target = format!("{SOCKET_PATH}?trace={TRACE}");
    let (_client, response) = open(stream, &target, &headers).await.unwrap();
    let record = record(&node).await.unwrap();
    assert_eq!(record.method, "GET");
    assert_eq!(record.target, target);
    assert_eq!(record.version, "HTTP/1.1");
    assert_eq!(record.peer, Some(local));
    assert_eq!(record.status, 101);
    assert_eq!(record.subprotocol.as_deref(), Some("a"));
    assert_eq!(record.ended, None);
    assert!(record.request.contains(&("cookie".to_owned(), "<14 bytes>".to_owned())));
    assert!(record.request.contains(&("upgrade".to_owned(), "websocket".to_owned())));
    let received: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let sorted = |mut headers: Vec<_>| {
        headers.sort();
        headers
    };
    assert_eq!(
        sorted(record.response),
        sorted(received),
        "the record differs from the response"
    );
}

#[tokio::test]
async fn the_record_shows_which_side_closed_the_connection_and_how() {
    let target = format!("{ECHO_PATH}?trace={TRACE}");

    let node = Node::new();
    let mut client = node.websocket(&target).await;
    client.close(Some(close_frame(4000, "my own"))).await;
    let by_client = ended(&node).await;
    assert_eq!(
        (by_client.by, by_client.code, by_client.reason.as_str()),
        (ClosedBy::Client, Some(4000), "my own")
    );

    let node = Node::new();
    drop(node.websocket(&target).await);
    let by_network = ended(&node).await;
    assert_eq!((by_network.by, by_network.code), (ClosedBy::Network, None));

    let node = Node::with_settings(|settings| settings.max_message = 125);
    let mut client = node.websocket(&target).await;
    client.send("x".repeat(126)).await;
    client.expect_close().await;
    let by_server = ended(&node).await;
    assert_eq!((by_server.by, by_server.code), (ClosedBy::Server, Some(1009)));
}

#[tokio::test]
async fn a_connection_without_a_long_trace_id_is_not_recorded() {
    let node = Node::new();
    assert!(
        node.get("/api/handshake/0123456789abcdef")
            .await
            .problem()
            .contains("No handshake record")
    );
    let _client = node.websocket(&format!("{ECHO_PATH}?trace=short")).await;
    assert_eq!(node.get("/api/handshake/short").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn vitals_are_published_every_second_with_that_seconds_messages() {
    let node = Node::with_settings(|settings| settings.node = "n1".to_owned());
    duplex::server::vitals::spawn_vitals(&node.state);
    let mut client = node.websocket(ECHO_PATH).await;
    wait_until(async || node.vitals().await.vitals.beat == 1).await;
    for _ in 0..7 {
        client.send_and_receive("x").await;
    }
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    wait_until(async || node.vitals().await.vitals.beat == 2).await;
    let vitals = node.vitals().await.vitals;
    assert_eq!(
        (vitals.node.as_str(), vitals.connections, vitals.received, vitals.sent),
        ("n1", 1, 7, 7)
    );
    assert_eq!(vitals.uptime_seconds, 1);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    wait_until(async || node.vitals().await.vitals.beat == 3).await;
    assert_eq!(node.vitals().await.vitals.received, 0);
}
