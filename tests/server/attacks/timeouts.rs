//! Clients that stall: request bodies that never end, and responses that are not read.

use std::time::Duration;

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use duplex::server::limits;
use duplex_axum::connection::DisconnectReason;
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::yield_now;
use tokio::time::{Instant, advance};

use crate::harness::raw::RawConnection;
use crate::harness::{Node, with_timeout};

/// One path of each kind of route that accepts a body.
const POSTS: [&str; 10] = [
    "/api/session/command?session=s-1",
    "/preferences",
    "/api/compare/echo",
    "/api/compare/say?run=0123456789abcdef&box=a",
    "/api/operator/sign-in",
    "/api/faults",
    "/devices/a",
    "/chat/lobby",
    "/",
    "/nowhere",
];

async fn read_to_end(raw: &mut RawConnection<tokio::io::DuplexStream>) -> String {
    let mut response = Vec::new();
    // The connection may end with an error.
    let _ = raw.0.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

fn unfinished(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 100\r\n\r\na"
    )
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_body_times_out_on_every_route() {
    let node = Node::new();
    for path in POSTS {
        let mut raw = RawConnection(node.connect());
        let start = Instant::now();
        raw.write(unfinished(path).as_bytes()).await;
        let response = read_to_end(&mut raw).await;
        assert!(response.starts_with("HTTP/1.1 4"), "{path}: {response}");
        assert!(start.elapsed() <= limits::BODY_IDLE, "{path}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_timeout_is_answered_with_408() {
    let node = Node::new();
    let mut raw = RawConnection(node.connect());
    raw.write(unfinished(POSTS[0]).as_bytes()).await;
    let response = read_to_end(&mut raw).await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(
        response.contains("application/problem+json") && response.contains("connection: close"),
        "{response}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_trickling_body_times_out() {
    let node = Node::new();
    let mut raw = RawConnection(node.connect());
    let start = Instant::now();
    raw.write(unfinished(POSTS[0]).as_bytes()).await;
    let mut head = [0; 13];
    let mut writes = 0;
    while raw.0.read_exact(&mut head).now_or_never().is_none() {
        advance(limits::BODY_IDLE / 2).await;
        let _ = raw.0.write_all(b"a").await;
        yield_until_idle().await;
        writes += 1;
        assert!(writes < 99, "the body never times out");
    }
    assert_eq!(&head, b"HTTP/1.1 408 ");
    assert!(start.elapsed() <= limits::BODY_DEADLINE + limits::BODY_IDLE / 2);
}

/// Yields until all ready tasks have run.
async fn yield_until_idle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_body_times_out_over_http2() {
    let node = Node::new();
    let (mut requests, connection) = h2::client::handshake(node.connect()).await.unwrap();
    tokio::spawn(connection);
    let start = Instant::now();
    let post = Request::post(format!("http://localhost{}", POSTS[0])).body(()).unwrap();
    let (response, mut body) = requests.send_request(post, false).unwrap();
    body.send_data(Bytes::from_static(b"a"), false).unwrap();
    assert_eq!(response.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(start.elapsed(), limits::BODY_IDLE);
}

/// The response is larger than the connection's buffers, and the client reads nothing.
#[tokio::test(start_paused = true)]
async fn an_unread_response_is_aborted() {
    let node = Node::new();
    let mut raw = RawConnection(node.connect());
    raw.write(b"GET /api/compare/document?bytes=2000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let start = Instant::now();
    let cut_offs = || node.state.counters.snapshot().disconnects(DisconnectReason::Slow);
    while cut_offs() == 0 {
        advance(Duration::from_secs(1)).await;
        yield_until_idle().await;
    }
    assert!(start.elapsed() <= 2 * limits::WRITE_STALL, "{:?}", start.elapsed());
    let response = read_to_end(&mut raw).await;
    assert!(response.len() < 200_000, "{} bytes", response.len());
    assert_eq!(node.state.buffers.buffered(), 0);
}

/// Without a flow-control window the responses stay buffered while the connection itself is writable.
#[tokio::test(start_paused = true)]
async fn http2_streams_without_a_window_are_limited_and_end() {
    let node = Node::new();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let (requests, connection) = builder.handshake::<_, Bytes>(node.connect()).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut open = Vec::new();
    for _ in 0..3 * limits::HTTP2_STREAMS {
        let get = Request::get("http://localhost/api/compare/document?bytes=100000")
            .body(())
            .unwrap();
        let requests = requests.clone();
        open.push(tokio::spawn(async move {
            let mut ready = requests.ready().await.ok()?;
            let response = ready.send_request(get, true).ok()?.0.await.ok()?;
            // Keeps the response without reading it.
            std::future::pending::<()>().await;
            Some(response)
        }));
    }
    let start = Instant::now();
    yield_until_idle().await;
    advance(Duration::from_secs(5)).await;
    yield_until_idle().await;
    let buffered = node.state.buffers.buffered();
    let limit = limits::HTTP2_STREAMS as usize * 100_000;
    assert!(buffered > 0 && buffered <= limit, "{buffered} bytes are buffered");
    let _ = within_minutes(connection).await;
    assert!(start.elapsed() <= 2 * limits::WRITE_STALL, "{:?}", start.elapsed());
    assert_eq!(node.state.buffers.buffered(), 0);
    open.iter().for_each(tokio::task::JoinHandle::abort);
}

/// The write timeout also applies after the first bytes of a response.
#[tokio::test(start_paused = true)]
async fn a_one_byte_window_does_not_hold_a_response_open() {
    let node = Node::new();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1);
    let (mut requests, connection) = builder.handshake::<_, Bytes>(node.connect()).await.unwrap();
    let connection = tokio::spawn(connection);
    let get = Request::get("http://localhost/api/compare/document?bytes=10000")
        .body(())
        .unwrap();
    let (response, _) = requests.send_request(get, true).unwrap();
    let _response = response.await.unwrap();
    let start = Instant::now();
    let _ = within_minutes(connection).await;
    assert!(start.elapsed() <= 2 * limits::WRITE_STALL, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_is_closed() {
    let node = Node::new();
    let (mut requests, connection) = h2::client::handshake(node.connect()).await.unwrap();
    let connection = tokio::spawn(connection);
    let get = Request::get("http://localhost/healthz").body(()).unwrap();
    let (response, _) = requests.send_request(get, true).unwrap();
    let mut body = with_timeout(response).await.unwrap().into_body();
    while let Some(data) = body.data().await {
        let _ = body.flow_control().release_capacity(data.unwrap().len());
    }
    let start = Instant::now();
    let _ = within_minutes(connection).await;
    assert!(start.elapsed() >= limits::CONNECTION_IDLE);
    assert!(start.elapsed() <= limits::CONNECTION_IDLE + limits::WRITE_STALL);
}

async fn within_minutes<T>(expected: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), expected).await.unwrap()
}
