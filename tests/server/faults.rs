//! Injected faults: they work as documented, affect only the visitor's own session, and require the operator's permission.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex_protocol::code::ClosedBy;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::fault::{FAULTS_PATH, Fault, FaultReport, FaultRequest};
use duplex_protocol::handshake::Handshake;
use duplex_protocol::session::{
    Answer, COMMAND_PATH, ClientFrame, CloseReason, CommandId, EVENTS_PATH, POLL_PATH, ServerFrame, SessionId, Verdict,
};
use futures_util::StreamExt as _;
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};
use tower::ServiceExt as _;

use crate::harness::kinds::{Note, Price};
use crate::harness::{Node, Response, WebSocketClient, open, wait_until, with_timeout};

const OWNER: &str = "visitor=0123456789abcdef0123456789abcdef";
const OTHER: &str = "visitor=fedcba9876543210fedcba9876543210";
const TRACE: &str = "0123456789abcdef-faults";

fn node() -> Node {
    Node::with_settings(|settings| settings.faults = true)
}

/// A session over WebSocket, with its id.
struct Session {
    client: WebSocketClient<DuplexStream>,
    id: SessionId,
}

impl Session {
    async fn open(node: &Node) -> Self {
        let path = format!("/api/session?trace={TRACE}");
        let headers = [("sec-websocket-protocol", "duplex.v1.json"), ("cookie", OWNER)];
        let (client, _) = open(node.connect(), &path, &headers).await.unwrap();
        let mut session = Self {
            client,
            id: SessionId(String::new()),
        };
        let hello = ClientFrame::Hello {
            build: String::new(),
            name: None,
        };
        session.send(&hello).await;
        let ServerFrame::Welcome(welcome) = session.next_frame().await else {
            panic!("no welcome")
        };
        session.id = welcome.session;
        session
    }

    async fn send(&mut self, frame: &ClientFrame) {
        let text = String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap();
        self.client.send(Message::text(text)).await;
    }

    async fn next_frame(&mut self) -> ServerFrame {
        frame(&self.client.receive().await.into_data())
    }

    /// The next frame other than presence.
    async fn next_non_presence(&mut self) -> ServerFrame {
        loop {
            match self.next_frame().await {
                ServerFrame::Presence { .. } => {}
                frame => return frame,
            }
        }
    }

    async fn subscribe(&mut self, topic: &str) {
        let topic = topic.parse().unwrap();
        self.send(&ClientFrame::Subscribe { topic, cursor: None }).await;
        let ServerFrame::Verdict { verdict, .. } = self.next_non_presence().await else {
            panic!("no verdict")
        };
        assert!(matches!(verdict, Verdict::Reset { .. }));
    }

    /// Reads up to the end of the connection, which must come without a close frame.
    async fn expect_cut(&mut self) {
        loop {
            match with_timeout(self.client.0.next()).await {
                Some(Ok(Message::Text(_) | Message::Ping(_))) => {}
                Some(Ok(message)) => panic!("{message:?} instead of the end"),
                Some(Err(_)) | None => return,
            }
        }
    }
}

fn frame(bytes: &[u8]) -> ServerFrame {
    Encoding::Json.decode(bytes).unwrap()
}

async fn request_fault(node: &Node, cookie: &str, session: &SessionId, fault: Fault) -> Response {
    let session = session.clone();
    let body = serde_json::to_vec(&FaultRequest { session, fault }).unwrap();
    let request = Request::post(FAULTS_PATH)
        .header("host", "localhost")
        .header("cookie", cookie)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap();
    node.request(request).await
}

async fn inject(node: &Node, session: &SessionId, fault: Fault) -> FaultReport {
    let answer = request_fault(node, OWNER, session, fault).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn report(node: &Node, cookie: &str, session: &SessionId) -> FaultReport {
    let request = get(&format!("{FAULTS_PATH}?session={}", session.0), cookie);
    serde_json::from_str(&node.request(request).await.body).unwrap()
}

fn get(path: &str, cookie: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "localhost").header("cookie", cookie);
    request.body(Body::empty()).unwrap()
}

/// Another visitor sends a command to a topic.
async fn command<C: serde::Serialize>(node: &Node, topic: &str, id: u128, command: &C) {
    let frame = ClientFrame::Command {
        topic: topic.parse().unwrap(),
        id: CommandId::from_bits(id),
        command: EncodedValue::encode(Encoding::Json, command).unwrap(),
    };
    let request = Request::post(format!("{COMMAND_PATH}?session=writer"))
        .header("host", "localhost")
        .header("cookie", OTHER)
        .body(Body::from(Encoding::Json.encode(&frame).unwrap()))
        .unwrap();
    let ServerFrame::Reply { answer, .. } = self::frame(node.request(request).await.body.as_bytes()) else {
        panic!("no reply")
    };
    assert!(matches!(answer, Answer::Accepted { .. }));
}

async fn record(node: &Node) -> Handshake {
    serde_json::from_str(&node.get(&format!("/api/handshake/{TRACE}")).await.body).unwrap()
}

#[tokio::test]
async fn disabled_faults_are_not_found() {
    let node = Node::new();
    let session = Session::open(&node).await;
    let answer = request_fault(&node, OWNER, &session.id, Fault::Disconnect).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.problem().contains("--faults"));
    assert_eq!(report(&node, OWNER, &session.id).await, FaultReport::default());
}

#[tokio::test]
async fn only_the_visitors_own_session_gets_a_bounded_fault() {
    let node = node();
    let mut session = Session::open(&node).await;
    let answer = request_fault(&node, OTHER, &session.id, Fault::Disconnect).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.problem().contains("another visitor"));
    let answer = request_fault(&node, "x=y", &session.id, Fault::Disconnect).await;
    assert_eq!(
        answer.status,
        StatusCode::FORBIDDEN,
        "knowing the session id grants nothing"
    );
    let unknown = SessionId("unknown".to_owned());
    assert_eq!(
        request_fault(&node, OWNER, &unknown, Fault::Disconnect).await.status,
        StatusCode::NOT_FOUND
    );
    let endless = Fault::Stall { for_ms: u32::MAX };
    let answer = request_fault(&node, OWNER, &session.id, endless).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!report(&node, OTHER, &session.id).await.is_own_session);
    assert!(report(&node, OWNER, &session.id).await.is_own_session);
    session.send(&ClientFrame::Ping { nonce: 7 }).await;
    assert_eq!(
        session.next_non_presence().await,
        ServerFrame::Pong { nonce: 7 },
        "the session is unaffected"
    );
}

#[tokio::test]
async fn a_cut_ends_the_connection_without_a_close_frame() {
    let node = node();
    let mut session = Session::open(&node).await;
    inject(&node, &session.id, Fault::Disconnect).await;
    session.expect_cut().await;
    wait_until(async || record(&node).await.ended.is_some()).await;
    let ended = record(&node).await.ended.unwrap();
    assert_eq!((ended.by, ended.code), (ClosedBy::Network, None));
    assert!(ended.reason.contains("injected fault"), "{}", ended.reason);
    node.wait_for_connections(0).await;
}

#[tokio::test]
async fn a_drained_session_is_told_when_to_reconnect() {
    let node = node();
    let mut session = Session::open(&node).await;
    inject(&node, &session.id, Fault::Drain).await;
    let ServerFrame::Closing { reason, retry_after_ms } = session.next_non_presence().await else {
        panic!("no closing frame")
    };
    assert_eq!(reason, CloseReason::Draining);
    assert!((500..5_000).contains(&retry_after_ms));
    assert_eq!(session.client.expect_close().await.map(|(code, _)| code), Some(1012));
    assert!(!node.state.shutdown.has_begun(), "the node itself was drained");
}

#[tokio::test]
async fn a_block_cuts_the_connection_rejects_handshakes_and_can_be_lifted() {
    let node = node();
    let mut session = Session::open(&node).await;
    let (websocket, sse, for_ms) = (true, true, 60_000);
    let report = inject(&node, &session.id, Fault::Block { websocket, sse, for_ms }).await;
    assert!(report.websocket_blocked_ms > 50_000 && report.sse_blocked_ms > 50_000);
    session.expect_cut().await;
    let headers = [("sec-websocket-protocol", "duplex.v1.json"), ("cookie", OWNER)];
    let rejected = open(node.connect(), "/api/session", &headers).await.err().unwrap();
    let Error::Http(answer) = *rejected else {
        panic!("{rejected}")
    };
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let stream = format!("{EVENTS_PATH}?session=s-2&topics=notes/a");
    assert_eq!(node.request(get(&stream, OWNER)).await.status, StatusCode::FORBIDDEN);
    let poll = format!("{POLL_PATH}?session=s-2&topics=notes/a&wait=0");
    assert_eq!(
        node.request(get(&poll, OWNER)).await.status,
        StatusCode::OK,
        "polling is not blocked"
    );
    let headers = [("sec-websocket-protocol", "duplex.v1.json"), ("cookie", OTHER)];
    assert!(
        open(node.connect(), "/api/session", &headers).await.is_ok(),
        "another visitor was blocked"
    );
    inject(&node, &SessionId("s-2".to_owned()), Fault::Unblock).await;
    Session::open(&node).await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_frames_back_and_loses_none() {
    let node = node();
    let mut session = Session::open(&node).await;
    session.subscribe("notes/a").await;
    let (by_ms, for_ms) = (700, 60_000);
    inject(&node, &session.id, Fault::Delay { by_ms, for_ms }).await;
    let start = Instant::now();
    for number in 1..=3 {
        command(&node, "notes/a", number, &Note::Add(number.to_string())).await;
    }
    for seq in 1..=3 {
        let frame = session.next_non_presence().await;
        assert!(
            matches!(frame, ServerFrame::Event { seq: found, .. } if found == seq),
            "{frame:?}"
        );
        assert!(start.elapsed() >= Duration::from_millis(by_ms.into()));
    }
}

/// For a slow reader, events of a `Latest` topic are conflated; those of an `Every` topic are not.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_every_note_and_the_newest_price() {
    const NOTES: u64 = 20;
    const PRICES: u64 = 100;
    let node = node();
    let mut session = Session::open(&node).await;
    session.subscribe("notes/a").await;
    session.subscribe("prices/a").await;
    inject(&node, &session.id, Fault::Stall { for_ms: 10_000 }).await;
    let start = Instant::now();
    // A reader that is only slightly behind gets every price.
    for number in 1..=PRICES {
        if number <= NOTES {
            command(&node, "notes/a", number.into(), &Note::Add("x".to_owned())).await;
        }
        let price = Price("gold".to_owned(), number);
        command(&node, "prices/a", u128::from(number) + 1_000, &price).await;
    }
    let (mut notes, mut prices) = (Vec::new(), Vec::new());
    while notes.last() != Some(&NOTES) || prices.last() != Some(&PRICES) {
        if let ServerFrame::Event { topic, seq, .. } = session.next_non_presence().await {
            assert!(start.elapsed() >= Duration::from_secs(10));
            if topic.kind() == "notes" {
                &mut notes
            } else {
                &mut prices
            }
            .push(seq);
        }
    }
    assert_eq!(notes, Vec::from_iter(1..=NOTES));
    assert_eq!(prices, [PRICES]);
    assert_eq!(node.vitals().await.hub.conflated, PRICES - 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_too_long_is_closed_with_a_reason() {
    let node = node();
    let mut session = Session::open(&node).await;
    session.subscribe("notes/a").await;
    inject(&node, &session.id, Fault::Stall { for_ms: 120_000 }).await;
    command(&node, "notes/a", 1, &Note::Add("x".to_owned())).await;
    let close = loop {
        match session.client.receive().await {
            Message::Close(frame) => break frame.unwrap(),
            message => assert!(matches!(frame(&message.into_data()), ServerFrame::Presence { .. })),
        }
    };
    let (code, reason) = (u16::from(close.code), close.reason.as_str());
    assert_eq!((code, reason), (4000, "the peer read nothing for 20 s"));
}

#[tokio::test]
async fn an_event_stream_can_be_cut_and_drained() {
    let node = node();
    let session = SessionId("s-1".to_owned());
    let path = format!("{EVENTS_PATH}?session=s-1&topics=notes/a");
    for fault in [Fault::Disconnect, Fault::Drain] {
        let answer = node.router.clone().oneshot(get(&path, OWNER)).await.unwrap();
        let mut stream = answer.into_body().into_data_stream();
        with_timeout(stream.next()).await.unwrap().unwrap();
        inject(&node, &session, fault).await;
        let (mut text, mut broke) = (String::new(), false);
        while let Some(part) = with_timeout(stream.next()).await {
            match part {
                Ok(bytes) => text.push_str(str::from_utf8(&bytes).unwrap()),
                Err(_) => broke = true,
            }
        }
        assert_eq!(
            (broke, text.contains(r#"{"closing":"#)),
            (fault == Fault::Disconnect, fault == Fault::Drain)
        );
    }
    node.wait_for_connections(0).await;
}

#[tokio::test]
async fn a_poll_can_be_cut_and_drained() {
    let node = node();
    let session = SessionId("s-1".to_owned());
    let poll = |parameters: &str| {
        let path = format!("{POLL_PATH}?session=s-1&topics=notes/a{parameters}");
        node.router.clone().oneshot(get(&path, OWNER))
    };
    assert_eq!(poll("&wait=0").await.unwrap().status(), StatusCode::OK);
    // Between two polls, the fault cuts the next one only.
    inject(&node, &session, Fault::Disconnect).await;
    let body = poll("&wait=0").await.unwrap().into_body();
    assert!(axum::body::to_bytes(body, usize::MAX).await.is_err());
    let body = poll("&wait=0").await.unwrap().into_body();
    assert!(axum::body::to_bytes(body, usize::MAX).await.is_ok());
    inject(&node, &session, Fault::Drain).await;
    let body = axum::body::to_bytes(poll("").await.unwrap().into_body(), usize::MAX)
        .await
        .unwrap();
    assert!(str::from_utf8(&body).unwrap().contains(r#"{"closing":"#));
}
