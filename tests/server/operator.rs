//! The operator's metrics and status topic match the traffic exactly and are denied to visitors.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::apps::status::wire::{NODE, NodeStatus};
use duplex::server::token::Token;
use duplex::wire::status::{STATUS, Sample, Series};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, CommandId, Denial, HISTORY_PATH, Rejection, Verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::kinds::{Note, Notes};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{ECHO_PATH, Node, Response, wait_until, with_timeout};

const TOKEN: &str = "a-token-for-the-tests";
fn node() -> Node {
    Node::with_settings(|settings| settings.token = Some(Token::new(TOKEN).unwrap()))
}

async fn request(node: &Node, (method, path): (&str, &str), headers: &[(&str, &str)]) -> Response {
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    node.page(builder.body(Body::empty()).unwrap()).await
}

/// The values of all metrics, by name and labels.
async fn metrics(node: &Node) -> BTreeMap<String, f64> {
    let bearer = format!("Bearer {TOKEN}");
    let answer = request(node, ("GET", "/metrics"), &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn expect(metrics: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        assert_eq!(metrics.get(*name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn metrics_match_the_traffic() {
    let node = node();
    let mut writer = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    let mut reader = Visitor::new(&node, Transport::WebSocket(Encoding::Postcard)).await;
    let mut stream = Visitor::new(&node, Transport::Sse).await;
    for visitor in [&mut writer, &mut reader, &mut stream] {
        assert!(matches!(
            visitor.subscribe("notes/a", None).await,
            Verdict::Reset { .. }
        ));
    }
    for number in 1..=3 {
        let id = CommandId::from_bits(number);
        let note = Note::Add(number.to_string());
        let (answer, is_duplicate) = writer.command_with_id("notes/a", id, &note).await;
        assert_eq!((answer, is_duplicate), (Answer::Accepted { seq: number as u64 }, false));
    }
    let (_, is_duplicate) = writer
        .command_with_id("notes/a", CommandId::from_bits(1), &Note::Add("1".to_owned()))
        .await;
    assert!(is_duplicate);
    let rejected = writer.command("notes/a", &Note::Add(String::new())).await;
    assert!(matches!(rejected, Answer::Rejected(Rejection::Custom { .. })));
    for visitor in [&mut writer, &mut reader, &mut stream] {
        for seq in 1..=3 {
            assert_eq!(visitor.next_event::<Notes>().await.0, seq);
        }
    }
    let mut echo = node.websocket(ECHO_PATH).await;
    echo.send_and_receive("hello").await;
    let metrics_now = metrics(&node).await;
    expect(
        &metrics_now,
        &[
            (r#"duplex_connections{transport="websocket"}"#, 2.0),
            (r#"duplex_connections{transport="sse"}"#, 1.0),
            (r#"duplex_connections{transport="echo"}"#, 1.0),
            (r#"duplex_connections{transport="poll"}"#, 0.0),
            (r#"duplex_connections{transport="stage"}"#, 0.0),
            (r#"duplex_topics{kind="notes"}"#, 1.0),
            (r#"duplex_members{kind="notes"}"#, 3.0),
            (r#"duplex_commands_total{kind="notes",outcome="accepted"}"#, 3.0),
            (r#"duplex_commands_total{kind="notes",outcome="again"}"#, 1.0),
            (r#"duplex_commands_total{kind="notes",outcome="rejected"}"#, 1.0),
            (r#"duplex_commands_total{kind="prices",outcome="accepted"}"#, 0.0),
            (r#"duplex_events_total{kind="notes"}"#, 3.0),
            (r#"duplex_deliveries_total{kind="notes"}"#, 9.0),
            (r#"duplex_cut_offs_total{reason="slow"}"#, 0.0),
            // Two hello frames, two subscribes, five commands, one echo.
            ("duplex_messages_received_total", 10.0),
        ],
    );
    drop((writer, reader, stream, echo));
    wait_until(async || metrics(&node).await[r#"duplex_connections{transport="websocket"}"#] == 0.0).await;
    wait_until(async || node.vitals().await.vitals.connections == 0).await;
    let metrics_now = metrics(&node).await;
    expect(
        &metrics_now,
        &[
            (r#"duplex_connections{transport="sse"}"#, 0.0),
            (r#"duplex_members{kind="notes"}"#, 0.0),
            (r#"duplex_connections_opened_total{transport="websocket"}"#, 2.0),
            (r#"duplex_connections_opened_total{transport="sse"}"#, 1.0),
            (r#"duplex_connections_opened_total{transport="echo"}"#, 1.0),
        ],
    );
}

#[tokio::test]
async fn metrics_count_bytes_and_responses() {
    let node = node();
    let listening = node.listen().await;
    let mut stream = listening.connect().await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    with_timeout(stream.read_to_end(&mut answer)).await.unwrap();
    let before = metrics(&node).await;
    expect(
        &before,
        &[
            ("duplex_network_received_bytes_total", request.len() as f64),
            ("duplex_network_sent_bytes_total", answer.len() as f64),
        ],
    );
    let missing = node.get("/api/nothing").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let after = metrics(&node).await;
    let more = |class: &str| {
        let name = format!(r#"duplex_http_responses_total{{class="{class}"}}"#);
        after[&name] - before[&name]
    };
    assert_eq!((more("4xx"), more("2xx"), more("5xx")), (1.0, 1.0, 0.0));
}

#[tokio::test]
async fn a_disconnect_is_counted_by_reason() {
    let node = node();
    let mut client = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    client.websocket().await.send("no frame at all").await;
    wait_until(async || metrics(&node).await[r#"duplex_cut_offs_total{reason="breach"}"#] == 1.0).await;
}

#[tokio::test]
async fn the_status_topic_is_denied_to_visitors_on_every_transport() {
    for transport in Transport::ALL {
        let node = node();
        let mut visitor = Visitor::new(&node, transport).await;
        let verdict = visitor.subscribe(STATUS, None).await;
        assert!(
            matches!(
                verdict,
                Verdict::Denied {
                    reason: Denial::Forbidden
                }
            ),
            "{transport:?}"
        );
        let mut operator = Visitor::new(&node, transport).await.with_token(TOKEN);
        assert!(
            matches!(operator.subscribe(STATUS, None).await, Verdict::Reset { .. }),
            "{transport:?}"
        );
        let cookie = operator_cookie(&node).await;
        let mut operator = Visitor::new(&node, transport).await.with_cookie(&cookie);
        assert!(
            matches!(operator.subscribe(STATUS, None).await, Verdict::Reset { .. }),
            "{transport:?}"
        );
        let written = operator.command(STATUS, &Sample::default()).await;
        assert_eq!(
            written,
            Answer::Rejected(Rejection::Denied(Denial::Forbidden)),
            "{transport:?}"
        );
    }
    let history = format!("{HISTORY_PATH}?topic={STATUS}");
    let (node, bearer) = (node(), format!("Bearer {TOKEN}"));
    assert_eq!(node.get(&history).await.status, StatusCode::FORBIDDEN);
    let history_page = request(&node, ("GET", &history), &[("authorization", &bearer)]).await;
    assert_eq!(history_page.status, StatusCode::OK);
}

#[tokio::test]
async fn samples_match_the_traffic() {
    let node = node();
    let _listening = node.listen().await;
    let mut operator = Visitor::new(&node, Transport::WebSocket(Encoding::Json))
        .await
        .with_token(TOKEN);
    operator.subscribe(STATUS, None).await;
    // The first sample starts the counting.
    operator.next_event::<NodeStatus>().await;
    for number in 0..5 {
        operator.command("notes/a", &Note::Add(number.to_string())).await;
    }
    let (mut commands, mut busy) = (0, 0);
    while commands < 5 {
        let (_, sample) = operator.next_event::<NodeStatus>().await;
        // Each sample is a command of the node itself.
        commands += sample.point.get(Series::Commands) - 1;
        assert_eq!(sample.point.get(Series::WebSocket), 1);
        let notes = sample
            .detail
            .busiest
            .iter()
            .filter(|busy| busy.topic.as_str() == "notes/a");
        busy += notes.map(|notes| notes.events).sum::<u64>();
    }
    assert_eq!((commands, busy), (5, 5));
    let stored = node.state.hub.log().topics("status").await.unwrap();
    assert!(stored.is_empty(), "samples were stored: {stored:?}");
}

/// Signs in as an operator; returns the cookie `operator=…`.
async fn operator_cookie(node: &Node) -> String {
    let response = sign_in(node, TOKEN, "http://localhost").await;
    let (pair, _) = response.header("set-cookie").split_once("; ").unwrap();
    pair.to_owned()
}

async fn sign_in(node: &Node, token: &str, origin: &str) -> Response {
    let request = Request::post("/api/operator/sign-in")
        .header("host", "localhost")
        .header("origin", origin)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("token={token}")))
        .unwrap();
    node.request(request).await
}

#[tokio::test]
async fn signing_in_with_a_token_sets_a_cookie_that_opens_the_page() {
    let node = node();
    let sample = Sample {
        at: 1,
        ..Sample::default()
    };
    let id = CommandId::from_bits(1);
    let answer = node
        .state
        .hub
        .send_server_command::<NodeStatus>(NODE, id, &sample)
        .await;
    assert_eq!(answer, Answer::Accepted { seq: 1 });

    let stranger = node.get("/status").await.body;
    assert!(stranger.contains("/api/operator/sign-in") && !stranger.contains("data-key=\"websocket\""));
    let rejected = sign_in(&node, "another-token-than-that", "http://localhost").await;
    assert_eq!(
        (rejected.status, rejected.header("location")),
        (StatusCode::SEE_OTHER, "/status?refused")
    );
    assert_eq!(rejected.header("set-cookie"), "");
    let foreign = sign_in(&node, TOKEN, "http://evil.example").await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let accepted = sign_in(&node, TOKEN, "http://localhost").await;
    assert_eq!(
        (accepted.status, accepted.header("location")),
        (StatusCode::SEE_OTHER, "/status")
    );
    let (pair, attributes) = accepted.header("set-cookie").split_once("; ").unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict"));
    let page = request(&node, ("GET", "/status"), &[("host", "localhost"), ("cookie", pair)]).await;
    assert!(page.body.contains("data-key=\"websocket\"") && !page.body.contains("/api/operator/sign-in"));
    assert!(
        !page.body.contains(" style="),
        "the content security policy forbids style attributes"
    );
}
