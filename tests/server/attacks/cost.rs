//! Expensive requests: response sizes are bounded, and other clients are not blocked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::server::limits;
use duplex_protocol::session::{EVENTS_PATH, MAX_SUBSCRIPTIONS, POLL_PATH, ServerFrame, Verdict};
use duplex_protocol::topic::TopicName;
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::{fill_topics, topics_parameter};
use crate::harness::{Node, with_timeout};

/// Upper bound of a state made by [`fill_topics`], in bytes.
const MAX_STATE_BYTES: usize = 300 << 10;

fn poll(full_topics: &[TopicName], cursors: &BTreeMap<TopicName, String>, wait: &str) -> Request<Body> {
    let topics = topics_parameter(full_topics, cursors);
    Request::get(format!("{POLL_PATH}?session=s-1&topics={topics}{wait}"))
        .header("host", "localhost")
        .header("accept-encoding", "br, gzip")
        .body(Body::empty())
        .unwrap()
}

/// The states of 64 topics add up to 16 MB.
#[tokio::test]
async fn a_large_poll_is_answered_in_several_responses() {
    let node = Node::new();
    let full_topics = fill_topics(&node, MAX_SUBSCRIPTIONS).await;
    let mut cursors = BTreeMap::new();
    let mut polls = 0;
    while cursors.len() < full_topics.len() {
        let wait = if polls == 0 { "&wait=0" } else { "" };
        let request = poll(&full_topics, &cursors, wait);
        let response = with_timeout(node.router.clone().oneshot(request)).await.unwrap();
        assert_ne!(
            response.headers().get("content-encoding").map(|value| value.as_bytes()),
            Some(&b"br"[..])
        );
        let plain = poll(&full_topics, &cursors, wait);
        let (mut parts, body) = plain.into_parts();
        parts.headers.remove("accept-encoding");
        let response = with_timeout(node.request(Request::from_parts(parts, body))).await;
        assert!(
            response.body.len() <= limits::POLL_BYTES + MAX_STATE_BYTES,
            "{} bytes",
            response.body.len()
        );
        let before = cursors.len();
        for frame in serde_json::from_str::<Vec<ServerFrame>>(&response.body).unwrap() {
            if let ServerFrame::Verdict {
                topic,
                verdict: Verdict::Reset { cursor, .. },
            } = frame
            {
                assert!(
                    cursors.insert(topic, cursor.to_string()).is_none(),
                    "a state was sent twice"
                );
            }
        }
        assert!(cursors.len() > before, "a response without a new state");
        polls += 1;
    }
    assert!(polls >= full_topics.len() / 2, "{polls} polls");
}

/// The server serialises the next states only after the client has read the earlier ones.
#[tokio::test]
async fn an_event_stream_sends_states_only_as_they_are_read() {
    let node = Node::new();
    let full_topics = fill_topics(&node, MAX_SUBSCRIPTIONS).await;
    let topics = topics_parameter(&full_topics, &BTreeMap::new());
    let request = Request::get(format!("{EVENTS_PATH}?session=s-1&topics={topics}"))
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    let response = with_timeout(node.router.clone().oneshot(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body().into_data_stream();
    let first = with_timeout(stream.next()).await.unwrap().unwrap();
    assert!(first.len() < 1000, "the first chunk is the welcome frame");
    let sent = node.state.counters.snapshot().sent;
    assert!(sent <= 2, "{sent} frames were sent");
    let mut verdicts = 0;
    while verdicts < full_topics.len() {
        let chunk = with_timeout(stream.next()).await.unwrap().unwrap();
        verdicts += String::from_utf8_lossy(&chunk).matches("data: {\"verdict\"").count();
    }
}

const ATTACKERS: usize = 32;
const POLLS_EACH: usize = 16;

/// A health check is answered before the last expensive poll.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_is_answered_during_an_expensive_poll_flood() {
    let node = Node::new();
    let full_topics = fill_topics(&node, MAX_SUBSCRIPTIONS).await;
    let listening = node.listen().await;
    let completed = Arc::new(AtomicUsize::new(0));
    let path = format!(
        "{POLL_PATH}?session=s-1&topics={}&wait=0",
        topics_parameter(&full_topics, &BTreeMap::new())
    );
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br\r\nConnection: close\r\n\r\n")
    };
    let mut attack = Vec::new();
    for _ in 0..ATTACKERS {
        let (request, addr, completed) = (get(&path), listening.addr, Arc::clone(&completed));
        attack.push(tokio::spawn(async move {
            for _ in 0..POLLS_EACH {
                let mut stream = TcpStream::connect(addr).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut response = Vec::new();
                let _ = stream.read_to_end(&mut response).await;
                completed.fetch_add(1, Relaxed);
            }
        }));
    }
    let mut stream = listening.connect().await;
    stream.write_all(get("/healthz").as_bytes()).await.unwrap();
    let mut health = String::new();
    with_timeout(stream.read_to_string(&mut health)).await.unwrap();
    let before = completed.load(Relaxed);
    assert!(
        health.starts_with("HTTP/1.1 200 ") && health.ends_with("ok\n"),
        "{health}"
    );
    assert!(
        before < ATTACKERS * POLLS_EACH,
        "all {before} polls were answered first"
    );
    for client in attack {
        with_timeout(client).await.unwrap();
    }
}
