//! The socket and echo endpoints, over TCP.

use duplex::server::limits;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::raw::{BINARY, FIN, PING, PONG, RawConnection, TEXT, masked};
use crate::harness::{ECHO_PATH, Node, PIPE_CAPACITY, SOCKET_PATH, with_timeout};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn the_socket_endpoint_prefixes_text_and_echoes_binary() {
    let node = Node::new().listen().await;
    let mut client = node.websocket(SOCKET_PATH).await;
    assert_eq!(
        client.send_and_receive("안녕하세요 서버!").await,
        Message::text("서버 응답: 안녕하세요 서버!")
    );
    assert_eq!(client.send_and_receive("").await, Message::text("서버 응답: "));
    assert_eq!(
        client.send_and_receive(vec![0, 255, 7]).await,
        Message::binary(vec![0, 255, 7])
    );
    assert_eq!(client.send_and_receive(Vec::new()).await, Message::binary(Vec::new()));
}

#[tokio::test]
async fn the_echo_endpoint_echoes_every_message() {
    let node = Node::new().listen().await;
    let mut client = node.websocket(ECHO_PATH).await;
    for message in [
        Message::text("hello"),
        Message::text(""),
        Message::text("가".repeat(50_000)),
        Message::binary(vec![1, 2, 3]),
        Message::binary(Vec::new()),
        Message::binary(vec![7; 65_536]),
    ] {
        assert_eq!(client.send_and_receive(message.clone()).await, message);
    }
}

#[tokio::test]
async fn a_message_of_exactly_the_limit_is_accepted() {
    let node = Node::new().listen().await;
    let mut echo = node.websocket(ECHO_PATH).await;
    let binary = Message::binary(vec![5; MIB]);
    assert_eq!(echo.send_and_receive(binary.clone()).await, binary);
    let text = Message::text("x".repeat(MIB));
    assert_eq!(echo.send_and_receive(text.clone()).await, text);
    let mut socket = node.websocket(SOCKET_PATH).await;
    assert_eq!(
        socket.send_and_receive(text).await,
        Message::text(format!("서버 응답: {}", "x".repeat(MIB)))
    );
}

#[tokio::test]
async fn a_message_above_the_limit_closes_the_connection_with_a_reason() {
    let node = Node::new().listen().await;
    for (path, size) in [(SOCKET_PATH, MIB + 1), (ECHO_PATH, MIB + 1), (ECHO_PATH, 16 * MIB)] {
        let mut client = node.websocket(path).await;
        client.send(Message::binary(vec![0; size])).await;
        assert_eq!(
            client.expect_close().await,
            Some((1009, "a message may have 1048576 bytes".to_owned())),
            "{path} {size}"
        );
    }
}

#[tokio::test]
async fn the_limit_applies_to_fragmented_messages() {
    let node = Node::with_settings(|settings| settings.max_message = 1000)
        .listen()
        .await;
    let mut raw = RawConnection::open(node.connect().await, ECHO_PATH).await;
    raw.write(&masked(BINARY, &[1; 600])).await;
    raw.write(&masked(0, &[2; 401])).await;
    assert_eq!(
        raw.expect_close().await,
        (1009, "a message may have 1000 bytes".to_owned())
    );
}

#[tokio::test]
async fn a_fragmented_message_is_reassembled_around_a_ping() {
    let node = Node::new().listen().await;
    let mut raw = RawConnection::open(node.connect().await, SOCKET_PATH).await;
    let (start, end) = "안녕".as_bytes().split_at(4);
    raw.write(&masked(TEXT, start)).await;
    raw.write(&masked(FIN | PING, b"?")).await;
    assert_eq!(raw.read_frame().await, (FIN | PONG, b"?".to_vec()));
    raw.write(&masked(FIN, end)).await;
    assert_eq!(
        raw.read_frame().await,
        (FIN | TEXT, "서버 응답: 안녕".as_bytes().to_vec())
    );
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_payload() {
    let node = Node::new().listen().await;
    let mut client = node.websocket(ECHO_PATH).await;
    assert_eq!(
        client.send_and_receive(Message::Ping("here?".into())).await,
        Message::Pong("here?".into())
    );
}

#[tokio::test]
async fn a_message_sent_with_the_handshake_is_not_lost() {
    let node = Node::new().listen().await;
    let mut raw = RawConnection(node.connect().await);
    let mut early = crate::harness::raw::handshake_request(ECHO_PATH).into_bytes();
    early.extend(masked(FIN | TEXT, b"early"));
    raw.write(&early).await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.read_frame().await, (FIN | TEXT, b"early".to_vec()));
}

#[tokio::test]
async fn pipelined_messages_are_answered_in_order() {
    let node = Node::new().listen().await;
    let mut client = node.websocket(ECHO_PATH).await;
    for number in 0..2_000 {
        client.0.feed_text(number).await;
    }
    client.send(Message::text("last")).await;
    for number in 0..2_000 {
        assert_eq!(client.receive().await, Message::text(number.to_string()));
    }
    assert_eq!(client.receive().await, Message::text("last"));
}

/// After a large message the connection replaces its buffers; no byte may be lost, wherever the next message starts.
#[tokio::test]
async fn large_and_small_messages_are_echoed_in_order() {
    let node = Node::new().listen().await;
    let mut raw = RawConnection::open(node.connect().await, ECHO_PATH).await;
    let large = vec![9; 100_000];
    let stream = [
        masked(FIN | BINARY, &large),
        masked(FIN | TEXT, b"small"),
        masked(FIN | BINARY, &large),
    ]
    .concat();
    for cut in [stream.len() - 1, 100_014, 100_015, 100_020, 4096, 1] {
        let (first, second) = stream.split_at(cut);
        raw.write(first).await;
        tokio::task::yield_now().await;
        raw.write(second).await;
        assert_eq!(raw.read_frame().await, (FIN | BINARY, large.clone()), "{cut}");
        assert_eq!(raw.read_frame().await, (FIN | TEXT, b"small".to_vec()), "{cut}");
        assert_eq!(raw.read_frame().await, (FIN | BINARY, large.clone()), "{cut}");
    }
}

/// The server stops reading from a client that does not read; other clients are not affected.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_read_from_and_blocks_no_other_client() {
    use futures_util::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    let node = Node::new();
    let mut slow = RawConnection::open(node.connect(), ECHO_PATH).await;
    let message = masked(FIN | BINARY, &[3; 4096]);
    let mut sent = 0;
    let mut idle = 0;
    while idle < 1000 {
        match slow.0.write(&message[sent % message.len()..]).now_or_never() {
            Some(written) => (sent, idle) = (sent + written.unwrap(), 0),
            None => {
                idle += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    assert!(
        sent < 2 * PIPE_CAPACITY + limits::BATCH_BYTES + 64 * 1024,
        "the server read {sent} bytes from a client that reads none"
    );
    let mut other = node.websocket(ECHO_PATH).await;
    assert_eq!(
        other.send_and_receive("still here?").await,
        Message::text("still here?")
    );
    for _ in 0..sent / message.len() {
        assert_eq!(with_timeout(slow.read_frame()).await, (FIN | BINARY, vec![3; 4096]));
    }
}

trait FeedText {
    async fn feed_text(&mut self, number: u32);
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> FeedText for tokio_tungstenite::WebSocketStream<S> {
    async fn feed_text(&mut self, number: u32) {
        use futures_util::SinkExt as _;
        with_timeout(self.feed(Message::text(number.to_string())))
            .await
            .unwrap();
    }
}
