//! WebSocket handshakes: method, version, origin, subprotocol, extensions and the connection limit.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::raw::{RawConnection, handshake_request};
use crate::harness::{ECHO_PATH, Headers, Node, Response, SOCKET_PATH, close_frame, open};

const LEPTOS_WS: &str = "/api/leptos_ws_websocket";

async fn request(node: &Node, method: &str, path: &str, headers: Headers<'_>) -> Response {
    let request = Request::builder().method(method).uri(path);
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    node.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_plain_http_request_is_answered_with_426_and_a_description() {
    let node = Node::new();
    for (path, description) in [(SOCKET_PATH, "with a prefix"), (ECHO_PATH, "with the same message")] {
        let answer = node.get(path).await;
        assert_eq!(answer.status, StatusCode::UPGRADE_REQUIRED);
        assert_eq!(answer.header("upgrade"), "websocket");
        assert_eq!(answer.header("connection"), "Upgrade");
        let detail = answer.problem();
        assert!(
            detail.contains(description) && detail.contains(&format!("ws://HOST{path}")),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn an_invalid_handshake_is_rejected_with_the_cause() {
    let node = Node::new();
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade")];
    let version = ("sec-websocket-version", "13");

    let old = [upgrade.as_slice(), &[("sec-websocket-version", "8")]].concat();
    let answer = request(&node, "GET", ECHO_PATH, &old).await;
    assert_eq!(
        (answer.status, answer.header("sec-websocket-version")),
        (StatusCode::UPGRADE_REQUIRED, "13")
    );

    let without_key = request(&node, "GET", ECHO_PATH, &[upgrade.as_slice(), &[version]].concat()).await;
    assert_eq!(without_key.status, StatusCode::BAD_REQUEST);
    assert!(without_key.problem().contains("Sec-WebSocket-Key"));

    let posted = request(&node, "POST", ECHO_PATH, &[]).await;
    assert_eq!(
        (posted.status, posted.header("allow")),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, CONNECT")
    );
}

#[tokio::test]
async fn only_same_origin_or_listed_origins_open_websockets() {
    let node = Node::with_settings(|settings| settings.origins = vec!["https://app.example".parse().unwrap()]);
    for path in [SOCKET_PATH, ECHO_PATH, LEPTOS_WS] {
        for (origin, expected) in [
            ("http://localhost", 101),
            ("https://localhost", 403),
            ("https://app.example", 101),
            ("http://app.example", 403),
            ("http://evil.example", 403),
            ("http://localhost:8080", 403),
            ("null", 403),
        ] {
            assert_eq!(
                node.handshake_status(path, &[("origin", origin)]).await,
                expected,
                "{path} {origin}"
            );
        }
        assert_eq!(node.handshake_status(path, &[]).await, 101, "{path}: without an origin");
    }
}

#[tokio::test]
async fn a_rejected_origin_is_named_in_the_response() {
    let node = Node::new();
    let answer = request(
        &node,
        "POST",
        "/",
        &[("host", "localhost"), ("origin", "http://evil.example")],
    )
    .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.problem().contains("http://evil.example"));
    let two = request(
        &node,
        "POST",
        "/",
        &[
            ("host", "localhost"),
            ("host", "evil.example"),
            ("origin", "http://evil.example"),
        ],
    );
    assert_eq!(two.await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_first_offered_subprotocol_is_selected() {
    let node = Node::new();
    let (_, response) = open(
        node.connect(),
        ECHO_PATH,
        &[("sec-websocket-protocol", "chat.v2, chat.v1")],
    )
    .await
    .unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v2");
    let (_, response) = open(node.connect(), ECHO_PATH, &[]).await.unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
}

#[tokio::test]
async fn compression_is_negotiated() {
    const DEFAULT: &str = "permessage-deflate; client_no_context_takeover";
    let node = Node::new();
    for path in [ECHO_PATH, SOCKET_PATH] {
        for (offer, accepted) in [
            ("permessage-deflate; client_max_window_bits", Some(DEFAULT)),
            (
                "x-unknown, permessage-deflate; unknown=1, permessage-deflate",
                Some(DEFAULT),
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            ),
            ("x-webkit-deflate-frame", None),
            ("permessage-deflate; server_max_window_bits=99", None),
        ] {
            let (mut client, response) = open(node.connect(), path, &[("sec-websocket-extensions", offer)])
                .await
                .unwrap();
            let negotiated = response.headers().get("sec-websocket-extensions");
            assert_eq!(
                negotiated.map(|value| value.to_str().unwrap()),
                accepted,
                "{path}: {offer}"
            );
            if path == ECHO_PATH {
                assert_eq!(client.send_and_receive("plain").await, Message::text("plain"));
            }
        }
    }
}

#[tokio::test]
async fn a_connection_beyond_the_limit_gets_503_and_retry_after() {
    let node = Node::with_settings(|settings| settings.max_connections = 2);
    let mut first = node.websocket(ECHO_PATH).await;
    let _second = node.websocket(SOCKET_PATH).await;
    let mut raw = RawConnection(node.connect());
    raw.write(handshake_request(ECHO_PATH).as_bytes()).await;
    let head = raw.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 5"),
        "{head}"
    );
    assert_eq!(
        first.send_and_receive("not disturbed").await,
        Message::text("not disturbed")
    );
    first.close(Some(close_frame(1000, ""))).await;
    first.expect_close().await;
    node.wait_for_connections(1).await;
    assert_eq!(node.handshake_status(ECHO_PATH, &[]).await, 101);
}

/// A connection without a complete request times out; a connection may be idle after a request.
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_times_out() {
    use tokio::io::AsyncReadExt as _;

    let node = Node::new();
    for written in ["", "P", "GET / HTTP/1.1\r\nHost:"] {
        let mut raw = RawConnection(node.connect());
        raw.write(written.as_bytes()).await;
        let start = tokio::time::Instant::now();
        assert!(raw.0.read(&mut [0]).await.is_ok_and(|read| read == 0), "{written:?}");
        assert_eq!(start.elapsed().as_secs(), 10, "{written:?}");
    }
}
