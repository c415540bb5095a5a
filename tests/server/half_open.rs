//! Half-open connections: a client that stops reading times out equally on every transport and receives the reason. A responsive
//! client stays connected even if the server process was suspended.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::server::limits;
use duplex_axum::connection::DisconnectReason;
use duplex_protocol::{
    codec::Encoding,
    session::{Answer, COMMAND_PATH, ClientFrame, EVENTS_PATH, SESSION_PATH, ServerFrame},
};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, advance, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::kinds::Note;
use crate::harness::process::Server;
use crate::harness::raw::{PING, RawConnection};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{ECHO_PATH, Node, WebSocketClient, open};

const NOTES: &str = "notes/a";
/// A vanished client is no longer present after this time.
pub const PRESENCE_TIMEOUT: Duration = Duration::from_secs(40);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets time pass without waiting for a condition.
async fn elapse(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

async fn post(node: &Node, session: &str, frame: &str) -> StatusCode {
    let request = Request::post(format!("{COMMAND_PATH}?session={session}&v=2"))
        .header("content-type", "application/json")
        .body(Body::from(frame.to_owned()))
        .unwrap();
    node.request(request).await.status
}

/// Requests an event stream and does not read it.
async fn open_unread_stream(node: &Node, parameters: &str) -> RawConnection<tokio::io::DuplexStream> {
    let mut raw = RawConnection(node.connect());
    let path = format!("{EVENTS_PATH}?session=s-1&{parameters}");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    raw.write(request.as_bytes()).await;
    raw
}

#[tokio::test(start_paused = true)]
async fn an_unread_stream_times_out_like_a_websocket_with_a_reason() {
    let node = Node::new();
    let mut raw = open_unread_stream(&node, "v=2&topics=notes/a").await;
    let mut observer = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    observer.subscribe(NOTES, None).await;
    observer.wait_for_presence(|presence| presence.session_count == 2).await;
    let (start, mut text) = (Instant::now(), String::new());
    let (read, _) = tokio::join!(
        raw.0.read_to_string(&mut text),
        observer.wait_for_presence(|presence| presence.session_count == 1)
    );
    read.unwrap();
    let elapsed = start.elapsed();
    assert!(
        elapsed >= limits::SESSION_SILENCE - secs(1) && elapsed <= PRESENCE_TIMEOUT,
        "{elapsed:?}"
    );
    assert_eq!(node.state.counters.snapshot().disconnects(DisconnectReason::Silent), 1);
    let closing = text.rfind(r#"data: {"closing":{"reason":"slow","retry_after_ms":0}}"#);
    assert!(closing > text.rfind(r#"data: {"pong""#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_client_pings_stays_open() {
    let node = Node::new();
    let mut raw = open_unread_stream(&node, "v=2&topics=notes/a").await;
    let mut buffer = vec![0; 4096];
    let (start, mut pongs) = (Instant::now(), 0);
    while pongs < 20 {
        let count = raw.0.read(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        assert!(count > 0 && !text.contains("closing"), "{text}");
        if text.contains(r#"{"pong""#) {
            pongs += 1;
            assert_eq!(
                post(&node, "s-1", r#"{"ping":{"nonce":0}}"#).await,
                StatusCode::NO_CONTENT
            );
        }
    }
    assert!(start.elapsed() > 3 * limits::SESSION_SILENCE);
}

/// Version 1 has no ping over SSE, so the server closes the stream after a while and a reading client requests a new one.
#[tokio::test(start_paused = true)]
async fn a_version_1_stream_is_closed_after_a_while_and_its_client_resumes() {
    let node = Node::new();
    let mut raw = open_unread_stream(&node, "topics=notes/a").await;
    let mut observer = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    observer.subscribe(NOTES, None).await;
    observer.wait_for_presence(|presence| presence.session_count == 2).await;
    let (start, mut text) = (Instant::now(), String::new());
    let (read, _) = tokio::join!(
        raw.0.read_to_string(&mut text),
        observer.wait_for_presence(|presence| presence.session_count == 1)
    );
    read.unwrap();
    let elapsed = start.elapsed();
    assert!(
        elapsed >= limits::SSE_V1_SILENCE - secs(1) && elapsed <= limits::SSE_V1_SILENCE + secs(8),
        "{elapsed:?}"
    );
    assert!(
        text.contains(r#"data: {"closing":{"reason":"draining","retry_after_ms":0}}"#),
        "{text}"
    );
    // It is not counted as a timeout.
    assert_eq!(node.state.counters.snapshot().disconnects(DisconnectReason::Silent), 0);
    let answer = observer.command(NOTES, &Note::Add("meanwhile".to_owned())).await;
    assert_eq!(answer, Answer::Accepted { seq: 1 });
    let verdict = text.split_once(r#""cursor":{"epoch":"#).unwrap().1;
    let epoch = verdict.split_once(',').unwrap().0;
    let mut back = open_unread_stream(&node, &format!("topics={NOTES}@{epoch}:0")).await;
    let mut resumed = Vec::new();
    while !String::from_utf8_lossy(&resumed).contains("meanwhile") {
        assert_ne!(back.0.read_buf(&mut resumed).await.unwrap(), 0);
    }
    assert!(String::from_utf8_lossy(&resumed).contains(r#"{"resumed":{"replayed":1,"#));
}

/// A post of the session shows that its client is alive.
#[tokio::test(start_paused = true)]
async fn a_version_1_stream_whose_client_posts_stays_open() {
    let node = Node::new();
    let mut raw = open_unread_stream(&node, "topics=notes/a").await;
    let mut buffer = vec![0; 4096];
    let start = Instant::now();
    while start.elapsed() < 3 * limits::SSE_V1_SILENCE {
        let count = raw.0.read(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        assert!(count > 0 && !text.contains("closing"), "{text}");
        let activity = r#"{"activity":{"topic":"notes/a","activity":"typing"}}"#;
        assert_eq!(post(&node, "s-1", activity).await, StatusCode::NO_CONTENT);
    }
}

fn text(frame: &ClientFrame) -> Message {
    Message::text(String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap())
}

/// Advancing the clock at once is like a pause of the process: no task is polled in between.
#[tokio::test(start_paused = true)]
async fn a_paused_process_times_out_no_client() {
    let node = Node::new();
    let mut echo = node.websocket(ECHO_PATH).await;
    let mut session = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    session.subscribe(NOTES, None).await;
    let mut poller = Visitor::new(&node, Transport::Poll).await;
    poller.subscribe(NOTES, None).await;
    let _stream = open_unread_stream(&node, "v=2&topics=notes/a").await;
    session.wait_for_presence(|presence| presence.session_count == 3).await;
    // Its hello frame is sent after the pause.
    let headers = [("sec-websocket-protocol", Encoding::Json.subprotocol())];
    let (mut late, _) = open(node.connect(), SESSION_PATH, &headers).await.unwrap();

    advance(secs(75)).await;
    assert_eq!(echo.send_and_receive("still here").await, Message::text("still here"));
    session.send(&ClientFrame::Ping { nonce: 7 }).await;
    loop {
        match session.next_frame().await {
            ServerFrame::Pong { nonce: 7 } => break,
            ServerFrame::Presence { presence, .. } => {
                assert_eq!(presence.session_count, 3, "a client was timed out")
            }
            ServerFrame::Closing { reason, .. } => panic!("{reason:?}"),
            _ => {}
        }
    }
    let (build, name) = (String::new(), None);
    late.send(text(&ClientFrame::Hello { build, name })).await;
    let frame = Encoding::Json.decode(&late.receive().await.into_data()).unwrap();
    assert!(matches!(frame, ServerFrame::Welcome(_)), "{frame:?}");
    let counters = node.state.counters.snapshot();
    assert_eq!(
        (
            counters.disconnects(DisconnectReason::Silent),
            counters.disconnects(DisconnectReason::Slow)
        ),
        (0, 0)
    );
}

async fn receive(client: &mut WebSocketClient<TcpStream>) -> ServerFrame {
    loop {
        let message = client.receive().await;
        if matches!(message, Message::Text(_)) {
            return Encoding::Json.decode(&message.into_data()).unwrap();
        }
        assert!(!matches!(message, Message::Close(_)), "{message:?}");
    }
}

/// SIGSTOP pauses the real process for longer than its silence limit while a frame waits in the socket's buffer.
#[tokio::test]
async fn a_stopped_server_reads_pending_input_before_it_times_out_clients() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with_args(
        dir.path(),
        "127.0.0.1:0",
        &["--ping-interval", "1", "--silence-limit", "2"],
    );
    let headers = [("sec-websocket-protocol", Encoding::Json.subprotocol())];
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let (mut client, _) = open(stream, SESSION_PATH, &headers).await.unwrap();
    let (build, name) = (String::new(), None);
    client.send(text(&ClientFrame::Hello { build, name })).await;
    assert!(matches!(receive(&mut client).await, ServerFrame::Welcome(_)));
    let (mut raw, stopped) = (
        RawConnection::open(TcpStream::connect(server.addr).await.unwrap(), ECHO_PATH).await,
        secs(5),
    );
    server.signal("STOP");
    client.send(text(&ClientFrame::Ping { nonce: 7 })).await;
    elapse(stopped).await;
    server.signal("CONT");
    assert_eq!(receive(&mut client).await, ServerFrame::Pong { nonce: 7 });
    // A client that has sent nothing is pinged and not closed at once.
    assert_eq!(raw.read_frame().await.0 & 0xf, PING);
}
