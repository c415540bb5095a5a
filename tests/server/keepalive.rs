//! Pings and the silence limit, on a paused clock that advances only when every task is idle.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, advance};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::raw::{BINARY, FIN, PING, RawConnection, TEXT, masked};
use crate::harness::{ECHO_PATH, Node};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_server_pings_every_25_seconds_and_a_responsive_client_stays() {
    let node = Node::new();
    let mut client = node.websocket(ECHO_PATH).await;
    let start = Instant::now();
    for number in 1..=20 {
        let Some(Ok(Message::Ping(_))) = client.0.next().await else {
            panic!("no ping")
        };
        assert_eq!(start.elapsed().as_secs(), 25 * number);
    }
    assert_eq!(client.send_and_receive("still here").await, Message::text("still here"));
}

/// The client never reads, so it never answers a ping.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_after_60_seconds() {
    let node = Node::new();
    let mut raw = RawConnection::open(node.connect(), ECHO_PATH).await;
    let start = Instant::now();
    for at in [25, 50] {
        assert_eq!(raw.read_frame().await, (FIN | PING, Vec::new()));
        assert_eq!(start.elapsed().as_secs(), at);
    }
    let (code, reason) = parse_close(raw.read_frame().await);
    assert_eq!((code, reason.as_str()), (3008, "nothing was received for 60 s"));
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(raw.0.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(
        start.elapsed().as_secs(),
        65,
        "the wait for the client's close frame is bounded"
    );
    drop(raw);
    node.wait_for_connections(0).await;
}

/// The code and reason of a close frame.
fn parse_close((first, payload): (u8, Vec<u8>)) -> (u16, String) {
    assert_eq!(first, FIN | 8);
    (
        u16::from_be_bytes([payload[0], payload[1]]),
        String::from_utf8(payload[2..].to_vec()).unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn any_received_byte_resets_the_silence_timeout() {
    let node = Node::with_settings(|settings| (settings.ping_interval, settings.silence_limit) = (s(1000), s(1001)));
    let mut raw = RawConnection::open(node.connect(), ECHO_PATH).await;
    let message = masked(FIN | BINARY, &[1; 300]);
    // One message, a byte every 10 seconds: no pong fits in between, and the message takes 3,080 seconds.
    for byte in &message {
        raw.write(&[*byte]).await;
        advance(s(10)).await;
    }
    assert_eq!(raw.read_frame().await, (FIN | PING, Vec::new()));
    let mut frame = raw.read_frame().await;
    while frame.0 == FIN | PING {
        frame = raw.read_frame().await;
    }
    assert_eq!(frame, (FIN | BINARY, vec![1; 300]));
}

/// The silence timeout runs from the last received byte, to the second.
#[tokio::test(start_paused = true)]
async fn the_silence_timeout_starts_at_the_last_received_byte() {
    let node = Node::new();
    let mut raw = RawConnection::open(node.connect(), ECHO_PATH).await;
    advance(s(10)).await;
    raw.write(&masked(FIN | TEXT, b"x")).await;
    assert_eq!(raw.read_frame().await, (FIN | TEXT, b"x".to_vec()));
    let start = Instant::now();
    for _ in [25, 50] {
        assert_eq!(raw.read_frame().await, (FIN | PING, Vec::new()));
    }
    assert_eq!(parse_close(raw.read_frame().await).0, 3008);
    assert_eq!(start.elapsed().as_secs(), 60);
}

/// The connection's buffer is full, so no close frame can be sent: the server drops the connection after the timeout.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_dropped() {
    use futures_util::FutureExt as _;
    let node = Node::new();
    let mut raw = RawConnection::open(node.connect(), ECHO_PATH).await;
    let message = masked(FIN | BINARY, &[0; 60_000]);
    let mut sent = 0;
    for _ in 0..10_000 {
        if let Some(written) = raw.0.write(&message[sent % message.len()..]).now_or_never() {
            sent += written.unwrap();
        }
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    assert!(
        raw.0.write_all(&message).await.is_err(),
        "the server dropped the connection"
    );
    assert_eq!(start.elapsed().as_secs(), 60);
    node.wait_for_connections(0).await;
}
