//! Memory bounds against clients that do not read responses or do not finish messages.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use duplex::server::limits;
use duplex_axum::connection::DisconnectReason;
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{ClientFrame, SESSION_PATH, ServerFrame, Verdict};
use tokio::io::DuplexStream;
use tokio::task::yield_now;
use tokio_tungstenite::tungstenite::Message;

use super::fill_topics;
use crate::harness::raw::{BINARY, CLOSE, FIN, PING, PONG, RawConnection, TEXT, masked};
use crate::harness::{ECHO_PATH, Node, PIPE_CAPACITY, WebSocketClient, open, wait_until};

const MARGIN: usize = 16 << 10;

fn hello() -> ClientFrame {
    ClientFrame::Hello {
        build: String::new(),
        name: None,
    }
}

fn text(frame: &ClientFrame) -> Message {
    Message::text(String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap())
}

async fn session(node: &Node) -> WebSocketClient<DuplexStream> {
    let headers = [("sec-websocket-protocol", Encoding::Json.subprotocol())];
    let (mut client, _) = open(node.connect(), SESSION_PATH, &headers).await.unwrap();
    client.send(text(&hello())).await;
    client
}

/// Yields until all ready tasks have run.
async fn yield_until_idle() {
    for _ in 0..1000 {
        yield_now().await;
    }
}

/// A 50-byte subscribe causes a 240 kB reply.
#[tokio::test]
async fn unread_subscribe_replies_hold_at_most_one_batch() {
    let node = Node::new();
    let full_topics = fill_topics(&node, 4).await;
    let mut client = session(&node).await;
    for number in 0..256 {
        let topic = full_topics[number % full_topics.len()].clone();
        client.send(text(&ClientFrame::Subscribe { topic, cursor: None })).await;
    }
    yield_until_idle().await;
    let state = node
        .state
        .hub
        .open(&full_topics[0])
        .await
        .unwrap()
        .state(Encoding::Json)
        .await
        .unwrap()
        .1;
    let limit = state.0.len() + limits::BATCH_BYTES + MARGIN;
    let buffered = node.state.buffers.buffered();
    assert!(buffered <= limit, "{buffered} bytes are buffered, a batch has {limit}");
    let sent = node.state.counters.snapshot().sent;
    assert!(sent <= 4, "{sent} replies were sent, and none was read");
    let (mut verdicts, mut last) = (0, None);
    while verdicts < full_topics.len() {
        let frame: ServerFrame = Encoding::Json.decode(&client.receive().await.into_data()).unwrap();
        if let ServerFrame::Verdict { topic, verdict } = frame {
            assert!(matches!(verdict, Verdict::Reset { .. }));
            verdicts += usize::from(last.replace(topic.clone()) != Some(topic));
        }
    }
    wait_until(async || node.state.buffers.buffered() == 0).await;
}

/// Subscribing repeatedly yields no more states than the session's rate allows.
#[tokio::test(start_paused = true)]
async fn a_session_receives_states_at_a_limited_rate() {
    let node = Node::new();
    let full_topics = fill_topics(&node, 1).await;
    let mut client = session(&node).await;
    client.receive().await;
    let start = tokio::time::Instant::now();
    let mut bytes = 0;
    while bytes < 2 * limits::VERDICT_BYTES_BURST as usize {
        let topic = full_topics[0].clone();
        client.send(text(&ClientFrame::Subscribe { topic, cursor: None })).await;
        loop {
            let Some(Ok(message)) = futures_util::StreamExt::next(&mut client.0).await else {
                panic!("the session ended")
            };
            let frame = message.into_data();
            if matches!(Encoding::Json.decode(&frame), Ok(ServerFrame::Verdict { .. })) {
                bytes += frame.len();
                break;
            }
        }
    }
    let minimum = limits::VERDICT_BYTE_INTERVAL * limits::VERDICT_BYTES_BURST;
    assert!(
        start.elapsed() >= minimum - minimum / 10,
        "{bytes} bytes in {:?}",
        start.elapsed()
    );
}

/// The largest message of a session is a command; a larger one is rejected before it is read.
#[tokio::test]
async fn a_session_rejects_messages_larger_than_a_command() {
    let node = Node::new();
    let mut client = session(&node).await;
    client.receive().await;
    client.send(Message::text("x".repeat(limits::COMMAND_BODY + 1))).await;
    let close = client.expect_close().await.unwrap();
    let reason = format!("a message may have {} bytes", limits::COMMAND_BODY);
    assert_eq!(close, (code::TOO_BIG, reason));
}

/// Messages whose last bytes never arrive.
#[tokio::test(start_paused = true)]
async fn unfinished_messages_share_a_budget_and_the_largest_is_dropped() {
    let node = Node::with_settings(|settings| settings.max_buffered = 1 << 20);
    let mut honest = node.websocket(ECHO_PATH).await;
    let part = vec![b'x'; 200 << 10];
    let mut attackers = Vec::new();
    for number in 0..8 {
        let mut raw = RawConnection::open(node.connect(), ECHO_PATH).await;
        let frame = masked(FIN | TEXT, &vec![b'x'; 900 << 10]);
        let sent = part.len() + number * 1000;
        raw.write(&frame[..sent]).await;
        attackers.push(raw);
        yield_until_idle().await;
        let buffered = node.state.buffers.buffered();
        assert!(buffered <= (1 << 20) + PIPE_CAPACITY, "{buffered} bytes are buffered");
    }
    let counters = node.state.counters.snapshot();
    assert_eq!(counters.disconnects(DisconnectReason::Memory), 3);
    assert_eq!(
        honest.send_and_receive("not disturbed").await,
        Message::text("not disturbed")
    );
    let closed = AtomicUsize::new(0);
    // Each time, the largest message is the one before the newest, which has just started.
    for raw in &mut attackers[4..7] {
        let (mut first, mut payload) = raw.read_frame().await;
        while first == FIN | PING {
            (first, payload) = raw.read_frame().await;
        }
        assert_eq!(
            (first, &payload[..2]),
            (FIN | CLOSE, &code::TRY_AGAIN.to_be_bytes()[..])
        );
        closed.fetch_add(1, Relaxed);
    }
    assert_eq!(closed.load(Relaxed), 3);
    drop(attackers);
    wait_until(async || node.state.buffers.buffered() == 0).await;
}

/// Control frames may interleave with the fragments of a message; the fragments are counted all the same.
#[tokio::test]
async fn fragments_are_counted_across_interleaved_control_frames() {
    let node = Node::new();
    let mut raw = RawConnection::open(node.connect(), ECHO_PATH).await;
    raw.write(&masked(BINARY, &vec![7; 100 << 10])).await;
    for _ in 0..20 {
        raw.write(&masked(FIN | PING, b"")).await;
        assert_eq!(raw.read_frame().await.0, FIN | PONG);
    }
    let buffered = node.state.buffers.buffered();
    assert!(
        (90 << 10..=100 << 10).contains(&buffered),
        "{buffered} bytes are buffered"
    );
    raw.write(&masked(FIN, b"end")).await;
    assert_eq!(raw.read_frame().await.1.len(), (100 << 10) + 3);
    wait_until(async || node.state.buffers.buffered() == 0).await;
}
