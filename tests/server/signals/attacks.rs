//! Messages that exploit the server half of `leptos_ws` 0.9.10: see `docs/upstream`.

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use duplex::apps::compare::wire::measure::signal_name;
use duplex::server::limits;
use duplex::wire::vitals::VITALS;
use duplex_axum::connection::{ConnectionKind, DisconnectReason};
use leptos_ws::messages::{BiDirectionalMessage, ChannelMessage, Messages, ServerSignalMessage, SignalUpdate};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{PATH, RUN, delete, encoded, establish, follow, framed, next_update, vitals};
use crate::harness::raw::{BINARY, FIN, RawConnection, masked};
use crate::harness::{Node, wait_until, with_timeout};

/// Messages that a client must not send, in the form that the server half of `leptos_ws` 0.9.10 accepts.
fn attacks() -> Vec<(&'static str, Message)> {
    let update = |patch: Value| serde_json::from_value(json!({ "name": VITALS, "patch": patch })).unwrap();
    let overwrite: SignalUpdate = update(json!([{ "op": "replace", "path": "", "value": { "node": "owned" } }]));
    let doubling: Vec<_> = (0..26)
        .map(|_| json!({ "op": "copy", "from": "", "path": "/node" }))
        .collect();
    let nesting: Vec<_> = (0..60)
        .map(|_| json!({ "op": "move", "from": "/node", "path": "/node/node" }))
        .collect();
    let name = || VITALS.to_owned();
    let deep = format!(
        "{{\"ServerSignal\":{{\"Establish\":{}1{}}}}}",
        "[".repeat(1800),
        "]".repeat(1800)
    );
    let bidirectional = |message: BiDirectionalMessage| encoded(&Messages::BiDirectional(message));
    let signal = |message: ServerSignalMessage| encoded(&Messages::ServerSignal(message));
    let channel = |message: ChannelMessage| encoded(&Messages::Channel(message));
    vec![
        (
            "an overwritten value",
            bidirectional(BiDirectionalMessage::Update(overwrite.clone())),
        ),
        (
            "a value that doubles",
            bidirectional(BiDirectionalMessage::Update(update(json!(doubling)))),
        ),
        (
            "a value nested in itself",
            bidirectional(BiDirectionalMessage::Update(update(json!(nesting)))),
        ),
        (
            "a bidirectional signal",
            bidirectional(BiDirectionalMessage::Establish(name())),
        ),
        (
            "a value both ways",
            bidirectional(BiDirectionalMessage::EstablishResponse((name(), json!(1)))),
        ),
        (
            "a bidirectional delete",
            bidirectional(BiDirectionalMessage::Delete(name())),
        ),
        ("an update", signal(ServerSignalMessage::Update(overwrite))),
        (
            "a value",
            signal(ServerSignalMessage::EstablishResponse((name(), json!(1)))),
        ),
        ("a channel", channel(ChannelMessage::Establish(name()))),
        ("a channel's answer", channel(ChannelMessage::EstablishResponse(name()))),
        (
            "a channel's message",
            channel(ChannelMessage::Message(name(), json!("x"))),
        ),
        ("a channel's end", channel(ChannelMessage::Delete(name()))),
        ("an unknown name", establish("no such\nFORGED level=ERROR\u{1b}[2J")),
        ("no name", establish("")),
        ("an unknown run", establish(&signal_name(RUN))),
        ("the end of an unknown name", delete("no such")),
        (
            "an error",
            Message::binary(b"\x01{\"ServerSignal\":{\"Establish\":\"vitals\"}}".to_vec()),
        ),
        ("no tag", Message::text("{\"ServerSignal\":{\"Establish\":\"vitals\"}}")),
        ("nothing", Message::binary(Bytes::new())),
        ("a tag", framed(b"")),
        ("no JSON", framed(b"\xff\xfe{")),
        (
            "two values",
            framed(b"{\"ServerSignal\":{\"Establish\":\"vitals\"}} {}"),
        ),
        ("a deep value", framed(deep.as_bytes())),
        ("another text", Message::text("hello")),
    ]
}

#[tokio::test]
async fn any_other_message_closes_the_connection_and_changes_nothing() {
    let node = Node::new();
    node.state.signals.set_vitals(&vitals(1));
    let mut observer = node.websocket(PATH).await;
    follow(&mut observer, VITALS).await;
    for (number, (name, attack)) in attacks().into_iter().enumerate() {
        let mut client = node.websocket(PATH).await;
        follow(&mut client, VITALS).await;
        client.send(attack).await;
        let (code, reason) = client.expect_close().await.unwrap();
        assert_eq!(code, 1008, "{name}");
        assert!(
            !reason.is_empty() && !reason.contains("FORGED") && !reason.contains(VITALS),
            "{name}: {reason}"
        );
        let beat = number as u64 + 2;
        node.state.signals.set_vitals(&vitals(beat));
        let update = serde_json::to_value(next_update(&mut observer).await).unwrap();
        assert_eq!(
            update["patch"],
            json!([{ "op": "replace", "path": "/beat", "value": beat }]),
            "{name}"
        );
    }
    wait_until(async || node.state.counters.snapshot().open(ConnectionKind::Signals) == 1).await;
    let protocol_errors = node
        .state
        .counters
        .snapshot()
        .disconnects(DisconnectReason::ProtocolError);
    assert_eq!(protocol_errors, attacks().len() as u64);
}

#[tokio::test]
async fn an_oversized_message_is_rejected_by_its_frame_header() {
    let node = Node::new();
    for bytes in [limits::MAX_SIGNAL_MESSAGE as u64 + 1, 64 << 20] {
        let mut raw = RawConnection::open(node.connect(), PATH).await;
        let mut head = vec![FIN | BINARY];
        match u16::try_from(bytes) {
            Ok(bytes) => {
                head.push(0x80 | 126);
                head.extend(bytes.to_be_bytes());
            }
            Err(_) => {
                head.push(0x80 | 127);
                head.extend(bytes.to_be_bytes());
            }
        }
        head.extend([0; 4]);
        raw.write(&head).await;
        let (code, reason) = raw.expect_close().await;
        assert_eq!((code, reason.as_str()), (1009, "a message may have 4096 bytes"));
    }
    let mut client = node.websocket(PATH).await;
    let name = "x".repeat(limits::MAX_SIGNAL_MESSAGE - 40);
    client.send(establish(&name)).await;
    assert_eq!(
        client.expect_close().await.unwrap().0,
        1008,
        "read and rejected as an unknown name"
    );
}

/// Regression: four connections with 20,000 unread messages each stopped the node. Now each is closed after its burst.
#[tokio::test]
async fn a_message_flood_closes_its_connection_and_vitals_continue() {
    let node = Node::new();
    let listening = node.listen().await;
    let mut observer = listening.websocket(PATH).await;
    follow(&mut observer, VITALS).await;
    let mut floods = Vec::new();
    for _ in 0..4 {
        let mut raw = RawConnection::open(listening.connect().await, PATH).await;
        let Message::Binary(message) = establish(VITALS) else {
            panic!("text")
        };
        let frame = masked(FIN | BINARY, &message);
        floods.push(tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            // Until the server closes the connection.
            for _ in 0..200 {
                if raw.0.write_all(&frame.repeat(100)).await.is_err() {
                    break;
                }
            }
            raw
        }));
    }
    for flood in floods {
        with_timeout(flood).await.unwrap();
    }
    wait_until(async || node.state.counters.snapshot().open(ConnectionKind::Signals) == 1).await;
    for _ in 0..2 {
        next_update(&mut observer).await;
    }
    assert_eq!(node.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(
        node.state
            .counters
            .snapshot()
            .disconnects(DisconnectReason::ProtocolError),
        4
    );
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_accepted_and_one_more_message_is_not() {
    let node = Node::new();
    let mut client = node.websocket(PATH).await;
    for _ in 0..limits::SIGNAL_BURST {
        follow(&mut client, VITALS).await;
    }
    tokio::time::advance(limits::SIGNAL_INTERVAL).await;
    follow(&mut client, VITALS).await;
    client.send(establish(VITALS)).await;
    assert_eq!(
        client.expect_close().await,
        Some((1008, "too many messages at once".to_owned()))
    );
}

/// The server function of `leptos_ws` is not routed: each of these responses is the server's own.
#[tokio::test]
async fn the_server_function_of_leptos_ws_is_not_reachable() {
    let node = Node::new();
    for (method, path, expected) in [
        ("GET", PATH, 426),
        ("HEAD", PATH, 405),
        ("POST", PATH, 405),
        ("PUT", PATH, 405),
        ("GET", "/api/leptos_ws_websocket/", 404),
        ("POST", "/api/leptos_ws_websocket/", 404),
        ("GET", "/leptos_ws_websocket", 404),
        ("GET", "/api/leptos_ws/leptos_ws_websocket", 404),
        ("GET", "/api/Leptos_ws_websocket", 404),
        ("GET", "/api/leptos_ws_websocket%20", 404),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("host", "localhost").header("accept", "application/json");
        let answer = node.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, expected, "{method} {path}");
        if method != "HEAD" {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        }
    }
}
