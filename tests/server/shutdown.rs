//! Shutdown of a node: clients are notified, in-flight requests complete, and a deadline bounds the drain.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::raw::RawConnection;
use crate::harness::{ECHO_PATH, Node, SOCKET_PATH, with_timeout};

#[tokio::test]
async fn a_shutdown_closes_open_websockets_and_ends_the_node() {
    let node = Node::new();
    let listening = node.listen().await;
    let mut clients = Vec::new();
    for path in [SOCKET_PATH, ECHO_PATH] {
        let mut client = listening.websocket(path).await;
        client.send_and_receive("hello").await;
        clients.push(client);
    }
    node.state.shutdown.begin();
    for client in &mut clients {
        assert_eq!(
            client.expect_close().await,
            Some((1001, "the server is going away".to_owned()))
        );
    }
    drop(clients);
    with_timeout(listening.task).await.unwrap();
    assert_eq!(node.vitals().await.vitals.connections, 0);
    assert!(
        tokio::net::TcpStream::connect(listening.addr).await.is_err(),
        "the node still listens"
    );
}

#[tokio::test]
async fn messages_before_a_shutdown_are_answered() {
    let node = Node::new();
    let listening = node.listen().await;
    let mut client = listening.websocket(ECHO_PATH).await;
    assert_eq!(client.send_and_receive("before").await, Message::text("before"));
    node.state.shutdown.begin();
    assert_eq!(client.expect_close().await.map(|(code, _)| code), Some(1001));
    drop(client);
    with_timeout(listening.task).await.unwrap();
}

/// The server has begun to read the request's body when the shutdown begins.
#[tokio::test]
async fn a_started_request_completes_during_a_shutdown() {
    let node = Node::new();
    let mut raw = RawConnection(node.connect());
    raw.write(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\
          Content-Type: application/x-www-form-urlencoded\r\n\r\n",
    )
    .await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 100 "));
    node.state.shutdown.begin();
    raw.write(b"message=hello").await;
    let head = raw.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.contains("connection: close"),
        "{head}"
    );
    let mut body = String::new();
    with_timeout(raw.0.read_to_string(&mut body)).await.unwrap();
    assert!(body.contains("서버 응답: hello"), "{body}");
}

/// A client that neither reads nor answers holds the node no longer than the deadline.
#[tokio::test]
async fn the_drain_deadline_ends_the_node() {
    let node = Node::with_settings(|settings| settings.drain_deadline = Duration::from_millis(50));
    let listening = node.listen().await;
    let _client = RawConnection::open(listening.connect().await, ECHO_PATH).await;
    node.wait_for_connections(1).await;
    node.state.shutdown.begin();
    with_timeout(listening.task).await.unwrap();
    assert_eq!(
        node.vitals().await.vitals.connections,
        1,
        "the connection was still open at the deadline"
    );
}

#[tokio::test]
async fn a_draining_node_is_not_ready() {
    let node = Node::new();
    assert_eq!(node.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(node.get("/readyz").await.status, StatusCode::OK);
    let mut early = RawConnection(node.connect());
    early.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(early.read_head().await.starts_with("HTTP/1.1 200 "));
    node.state.shutdown.begin();
    assert_eq!(node.get("/healthz").await.status, StatusCode::OK);
    let ready = node.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.header("retry-after"), "5");
}
