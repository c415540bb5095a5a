//! The signals endpoint: it is compatible with the client half of `leptos_ws`, and clients can only subscribe to values. The
//! messages are encoded and decoded with the types of `leptos_ws` and `server_fn`.

mod attacks;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::apps::compare::wire::measure::{MAX_PAYLOAD, signal_name};
use duplex::wire::vitals::{VITALS, Vitals};
use duplex_axum::connection::ConnectionKind;
use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::{Decodes, Encodes};
use leptos_ws::messages::{Messages, ServerSignalMessage, SignalUpdate};
use leptos_ws::{ReadOnlySignal, WsSignals};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::raw::{FIN, PING, RawConnection};
use crate::harness::{Node, Response, WebSocketClient, close_frame, wait_until, with_timeout};

const PATH: &str = "/api/leptos_ws_websocket";
const SET: &str = "/api/compare/signal";
const RUN: &str = "0123456789abcdef";

/// Frames a non-error message as `server_fn` does.
fn framed(json: &[u8]) -> Message {
    let mut bytes = vec![0];
    bytes.extend_from_slice(json);
    Message::binary(bytes)
}

fn encoded(message: &Messages) -> Message {
    framed(&JsonEncoding::encode(message).unwrap())
}

fn decoded(message: Message) -> ServerSignalMessage {
    let Message::Binary(bytes) = message else {
        panic!("{message:?}")
    };
    assert_eq!(bytes[0], 0);
    let message: Result<Messages, _> = JsonEncoding::decode(bytes.slice(1..));
    match message.unwrap() {
        Messages::ServerSignal(message) => message,
        other => panic!("{other:?}"),
    }
}

fn establish(name: &str) -> Message {
    encoded(&Messages::ServerSignal(ServerSignalMessage::Establish(name.to_owned())))
}

fn delete(name: &str) -> Message {
    encoded(&Messages::ServerSignal(ServerSignalMessage::Delete(name.to_owned())))
}

/// Follows a signal; returns its value.
async fn follow<S: AsyncRead + AsyncWrite + Unpin>(client: &mut WebSocketClient<S>, name: &str) -> Value {
    match decoded(client.send_and_receive(establish(name)).await) {
        ServerSignalMessage::EstablishResponse((signal, value)) if signal == name => value,
        other => panic!("{other:?}"),
    }
}

async fn next_update<S: AsyncRead + AsyncWrite + Unpin>(client: &mut WebSocketClient<S>) -> SignalUpdate {
    match decoded(client.receive().await) {
        ServerSignalMessage::Update(update) => update,
        other => panic!("{other:?}"),
    }
}

fn vitals(beat: u64) -> Vitals {
    Vitals {
        beat,
        node: "n1".to_owned(),
        ..Vitals::default()
    }
}

async fn set(node: &Node, run: &str, text: &str) -> Response {
    let text: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let request = Request::post(SET)
        .header("host", "localhost")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("run={run}&text={text}")))
        .unwrap();
    node.request(request).await
}

/// `leptos_ws` sets its copy of the value once and then applies patches.
#[tokio::test]
async fn a_signal_is_updated_by_leptos_ws_patches() {
    let node = Node::new();
    node.state.signals.set_vitals(&vitals(1));
    let mut client = node.websocket(PATH).await;
    let mut copies = WsSignals::new();
    ReadOnlySignal::new_with_context(&mut copies, VITALS, Vitals::default()).unwrap();
    copies
        .set_json(VITALS, follow(&mut client, VITALS).await)
        .unwrap()
        .unwrap();
    for beat in 2..6 {
        node.state.signals.set_vitals(&vitals(beat));
        let update = next_update(&mut client).await;
        copies.update(VITALS, update, None).await.unwrap().unwrap();
        let copy = copies.json(VITALS).unwrap().unwrap();
        assert_eq!(copy, serde_json::to_value(vitals(beat)).unwrap());
    }
}

#[tokio::test]
async fn a_deleted_signal_sends_no_more_updates() {
    let node = Node::new();
    assert_eq!(set(&node, RUN, "one").await.status, StatusCode::OK);
    let mut client = node.websocket(PATH).await;
    follow(&mut client, VITALS).await;
    assert_eq!(follow(&mut client, &signal_name(RUN)).await, json!("one"));
    client.send(delete(VITALS)).await;
    // Its response shows that the server has processed the message before it.
    follow(&mut client, &signal_name(RUN)).await;
    node.state.signals.set_vitals(&vitals(1));
    assert_eq!(set(&node, RUN, "two").await.status, StatusCode::OK);
    let update = next_update(&mut client).await;
    let update = serde_json::to_value(update).unwrap();
    assert_eq!(
        update,
        json!({ "name": signal_name(RUN), "patch": [{ "op": "replace", "path": "", "value": "two" }] })
    );
}

/// A client that reads nothing costs one value, and then gets the newest one.
#[tokio::test]
async fn a_slow_client_gets_the_newest_value_only() {
    const SETS: u64 = 20_000;
    let node = Node::new();
    let mut client = node.websocket(PATH).await;
    follow(&mut client, VITALS).await;
    for beat in 1..=SETS {
        node.state.signals.set_vitals(&vitals(beat));
        if beat % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let (mut updates, mut beat) = (0, 0);
    while beat < SETS {
        let update = serde_json::to_value(next_update(&mut client).await).unwrap();
        let last = update["patch"].as_array().unwrap().last().unwrap();
        beat = match &last["value"] {
            Value::Object(vitals) => vitals["beat"].as_u64().unwrap(),
            beat => beat.as_u64().unwrap(),
        };
        updates += 1;
    }
    assert!(updates < SETS / 2, "{updates}");
}

#[tokio::test]
async fn signal_connections_have_their_own_limit_and_counters() {
    let node = Node::with_settings(|settings| settings.max_connections = 1);
    let mut first = node.websocket(PATH).await;
    let rejected = crate::harness::open(node.connect(), PATH, &[]).await;
    let Err(rejected) = rejected.map(|_| ()) else {
        panic!("a connection above the limit")
    };
    assert!(rejected.to_string().contains("503"), "{rejected}");
    let _session = node.websocket(crate::harness::ECHO_PATH).await;
    assert_eq!(node.vitals().await.vitals.connections, 1);
    let counters = || node.state.counters.snapshot();
    assert_eq!(counters().open(ConnectionKind::Signals), 1);
    follow(&mut first, VITALS).await;
    assert_eq!(
        (counters().received, counters().sent),
        (0, 0),
        "messages of signals were counted as visitors' messages"
    );
    first.close(Some(close_frame(1000, ""))).await;
    first.expect_close().await;
    wait_until(async || counters().open(ConnectionKind::Signals) == 0).await;
    assert_eq!(counters().opened(ConnectionKind::Signals), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_signal_client_is_pinged_and_closed() {
    let node = Node::new();
    let mut raw = RawConnection::open(node.connect(), PATH).await;
    for _ in 0..2 {
        assert_eq!(raw.read_frame().await, (FIN | PING, Vec::new()));
    }
    let (first, payload) = raw.read_frame().await;
    assert_eq!((first, &payload[..2]), (FIN | 8, 3008_u16.to_be_bytes().as_slice()));
    // The server waits for the client's close frame before it ends the connection.
    assert_eq!(with_timeout(raw.0.read(&mut [0])).await.unwrap(), 0);
    drop(raw);
    wait_until(async || node.state.counters.snapshot().open(ConnectionKind::Signals) == 0).await;
}

#[tokio::test]
async fn a_shutdown_closes_signal_connections() {
    let node = Node::new();
    let mut client = node.websocket(PATH).await;
    follow(&mut client, VITALS).await;
    node.state.shutdown.begin();
    assert_eq!(
        client.expect_close().await,
        Some((1001, "the server is going away".to_owned()))
    );
}

#[tokio::test]
async fn only_a_known_run_sets_its_signal() {
    let node = Node::new();
    for (run, text) in [
        ("", "x"),
        ("0123456789abcdeF", "x"),
        ("../vitals", "x"),
        ("vitals", "x"),
        (RUN, &"x".repeat(MAX_PAYLOAD + 1)),
        (RUN, "two\nlines"),
    ] {
        assert_eq!(set(&node, run, text).await.status, 500, "{run:?}");
    }
    assert_eq!(set(&node, RUN, "mine").await.status, 200);
    let mut client = node.websocket(PATH).await;
    follow(&mut client, &signal_name(RUN)).await;
    // Regression: with 256 signals, these two runs shared one.
    assert_eq!(set(&node, "01ffffffffffffff", "another's").await.status, 200);
    assert_eq!(set(&node, RUN, "mine again").await.status, 200);
    let update = serde_json::to_value(next_update(&mut client).await).unwrap();
    assert_eq!(update["patch"][0]["value"], "mine again");
}
