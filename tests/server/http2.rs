//! WebSocket over HTTP/2 (RFC 8441): one stream of a multiplexed connection.

use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::harness::{ECHO_PATH, Node, PIPE_CAPACITY, SOCKET_PATH, WebSocketClient, close_frame, with_timeout};

/// An HTTP/2 connection that has received the server's settings.
async fn connect(node: &Node) -> SendRequest<Bytes> {
    let (mut requests, connection) = with_timeout(h2::client::handshake(node.connect())).await.unwrap();
    tokio::spawn(connection);
    let health = Request::get("http://localhost/healthz").body(()).unwrap();
    let (response, _) = requests.send_request(health, true).unwrap();
    assert_eq!(with_timeout(response).await.unwrap().status(), StatusCode::OK);
    assert!(requests.is_extended_connect_protocol_enabled());
    requests
}

async fn open_websocket(
    requests: &mut SendRequest<Bytes>,
    path: &str,
    headers: &[(&str, &str)],
) -> (axum::http::response::Parts, WebSocketClient<DuplexStream>) {
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://localhost{path}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13");
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    let (response, sending) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    let (parts, receiving) = with_timeout(response).await.unwrap().into_parts();
    let (client, relayed) = duplex(PIPE_CAPACITY);
    let (read, write) = split(relayed);
    tokio::spawn(copy_to_stream(read, sending));
    tokio::spawn(copy_from_stream(receiving, write));
    (
        parts,
        WebSocketClient(WebSocketStream::from_raw_socket(client, Role::Client, None).await),
    )
}

async fn copy_to_stream(mut from: ReadHalf<DuplexStream>, mut to: SendStream<Bytes>) {
    let mut buffer = vec![0; 4096];
    while let Ok(read) = from.read(&mut buffer).await {
        let _ = to.send_data(Bytes::copy_from_slice(&buffer[..read]), read == 0);
        if read == 0 {
            break;
        }
    }
}

async fn copy_from_stream(mut from: RecvStream, mut to: WriteHalf<DuplexStream>) {
    while let Some(Ok(data)) = from.data().await {
        from.flow_control().release_capacity(data.len()).unwrap();
        to.write_all(&data).await.unwrap();
    }
    let _ = to.shutdown().await;
}

#[tokio::test]
async fn a_websocket_shares_its_http2_connection() {
    let node = Node::new();
    let mut requests = connect(&node).await;
    let (opened, mut echo) = open_websocket(&mut requests, ECHO_PATH, &[("sec-websocket-protocol", "a, b")]).await;
    assert_eq!(opened.status, StatusCode::OK);
    assert_eq!(opened.headers["sec-websocket-protocol"], "a");
    assert!(!opened.headers.contains_key("sec-websocket-accept"));
    let (_, mut socket) = open_websocket(&mut requests, SOCKET_PATH, &[]).await;
    assert_eq!(echo.send_and_receive("one").await, Message::text("one"));
    assert_eq!(socket.send_and_receive("two").await, Message::text("서버 응답: two"));
    let large = Message::binary(vec![4; 300_000]);
    assert_eq!(echo.send_and_receive(large.clone()).await, large);
    echo.close(Some(close_frame(1000, "done"))).await;
    assert_eq!(echo.expect_close().await, Some((1000, "done".to_owned())));
    node.wait_for_connections(1).await;
    assert_eq!(
        socket.send_and_receive("still here").await,
        Message::text("서버 응답: still here")
    );
}

#[tokio::test]
async fn the_handshake_record_shows_http2() {
    let node = Node::new();
    let mut requests = connect(&node).await;
    let (_, _client) = open_websocket(&mut requests, &format!("{ECHO_PATH}?trace=0123456789abcdef"), &[]).await;
    let record: duplex_protocol::handshake::Handshake =
        serde_json::from_str(&node.get("/api/handshake/0123456789abcdef").await.body).unwrap();
    assert_eq!(
        (record.method.as_str(), record.version.as_str(), record.status),
        ("CONNECT", "HTTP/2.0", 200)
    );
    assert!(
        record
            .request
            .contains(&(":protocol".to_owned(), "websocket".to_owned()))
    );
}

#[tokio::test]
async fn http2_handshakes_pass_the_same_checks() {
    let node = Node::new();
    let mut requests = connect(&node).await;
    let (foreign, _) = open_websocket(&mut requests, ECHO_PATH, &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let (own, _) = open_websocket(&mut requests, ECHO_PATH, &[("origin", "http://localhost")]).await;
    assert_eq!(own.status, StatusCode::OK);
    let plain = Request::get(format!("http://localhost{ECHO_PATH}")).body(()).unwrap();
    let (response, _) = requests.send_request(plain, true).unwrap();
    assert_eq!(
        with_timeout(response).await.unwrap().status(),
        StatusCode::UPGRADE_REQUIRED
    );
}

#[tokio::test]
async fn a_shutdown_is_announced_over_http2() {
    let node = Node::new();
    let mut requests = connect(&node).await;
    let (_, mut client) = open_websocket(&mut requests, ECHO_PATH, &[]).await;
    assert_eq!(client.send_and_receive("x").await, Message::text("x"));
    node.state.shutdown.begin();
    assert_eq!(
        client.expect_close().await,
        Some((1001, "the server is going away".to_owned()))
    );
    node.wait_for_connections(0).await;
}
