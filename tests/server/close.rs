//! WebSocket close handshake: codes in both directions, protocol errors.

use tokio_tungstenite::tungstenite::Message;

use crate::harness::raw::{BINARY, CLOSE, FIN, PING, RawConnection, TEXT, masked, unmasked};
use crate::harness::{ECHO_PATH, Node, SOCKET_PATH, close_frame};

#[tokio::test]
async fn the_clients_close_code_and_reason_are_echoed() {
    let node = Node::new().listen().await;
    for (code, reason) in [
        (1000, "bye"),
        (1000, ""),
        (1001, "leaving"),
        (1001, "leaving"),
        (1002, ""),
        (1003, ""),
        (1007, ""),
        (1008, ""),
        (1009, ""),
        (1010, ""),
        (1011, ""),
        (1012, ""),
        (1013, ""),
        (1014, ""),
        (1014, "임, bad gateway"),
        (3000, "임"),
        (3999, ""),
        (4000, ""),
        (4999, "own code"),
    ] {
        let mut client = node.websocket(SOCKET_PATH).await;
        client.close(Some(close_frame(code, reason))).await;
        assert_eq!(client.expect_close().await, Some((code, reason.to_owned())));
    }
}

#[tokio::test]
async fn a_close_without_a_code_is_echoed_without_a_code() {
    let node = Node::new().listen().await;
    let mut client = node.websocket(ECHO_PATH).await;
    client.close(None).await;
    assert_eq!(client.expect_close().await, None);
}

#[tokio::test]
async fn messages_before_the_close_frame_are_answered() {
    let node = Node::new().listen().await;
    let mut client = node.websocket(ECHO_PATH).await;
    client.send("last words").await;
    client.close(Some(close_frame(1000, ""))).await;
    assert_eq!(client.receive().await, Message::text("last words"));
    assert_eq!(client.expect_close().await, Some((1000, String::new())));
}

#[tokio::test]
async fn connection_counts_return_to_zero() {
    let node = Node::new();
    let listening = node.listen().await;
    node.wait_for_connections(0).await;
    let mut clients = Vec::new();
    for path in [SOCKET_PATH, ECHO_PATH, ECHO_PATH] {
        clients.push(listening.websocket(path).await);
    }
    node.wait_for_connections(3).await;
    clients[0].close(Some(close_frame(1000, ""))).await;
    clients[0].expect_close().await;
    node.wait_for_connections(2).await;
    drop(clients);
    node.wait_for_connections(0).await;
}

#[tokio::test]
async fn messages_are_counted_in_both_directions() {
    let node = Node::new();
    let mut client = node.websocket(ECHO_PATH).await;
    for _ in 0..5 {
        client.send_and_receive("x").await;
    }
    let report = node.vitals().await;
    assert_eq!((report.received_total, report.sent_total), (5, 5));
}

/// Each violation has its close code and reason; a message before it is answered first.
#[tokio::test]
async fn a_protocol_violation_is_closed_with_a_code_and_reason() {
    let node = Node::new().listen().await;
    for (name, bytes, code, reason) in [
        ("unmasked", unmasked(FIN | TEXT, b"x"), 1002, "must mask"),
        (
            "text that is not UTF-8",
            masked(FIN | TEXT, &[0xff, 0xfe]),
            1007,
            "UTF-8",
        ),
        (
            "text cut within a character",
            masked(FIN | TEXT, &"가".as_bytes()[..2]),
            1007,
            "UTF-8",
        ),
        (
            "invalid UTF-8 across fragments",
            [masked(TEXT, &[0xea]), masked(FIN, b"x")].concat(),
            1007,
            "UTF-8",
        ),
        ("unknown data frame", masked(FIN | 3, b""), 1002, "opcode 3 is reserved"),
        (
            "unknown control frame",
            masked(FIN | 11, b""),
            1002,
            "opcode 11 is reserved",
        ),
        ("reserved bit", masked(FIN | 0x40 | TEXT, b"x"), 1002, "reserved bit"),
        ("fragmented ping", masked(PING, b""), 1002, "must not be fragmented"),
        ("ping too long", masked(FIN | PING, &[0; 126]), 1002, "125 bytes"),
        (
            "continuation without a message",
            masked(FIN, b"x"),
            1002,
            "without a message",
        ),
        (
            "text within a message",
            [masked(BINARY, b"x"), masked(FIN | TEXT, b"y")].concat(),
            1002,
            "within a fragmented message",
        ),
        ("close code of one byte", masked(FIN | CLOSE, &[3]), 1002, "one byte"),
        (
            "close reason not UTF-8",
            masked(FIN | CLOSE, &[3, 232, 0xff]),
            1007,
            "UTF-8",
        ),
    ] {
        let mut raw = RawConnection::open(node.connect().await, ECHO_PATH).await;
        raw.write(&masked(FIN | TEXT, b"before")).await;
        raw.write(&bytes).await;
        assert_eq!(raw.read_frame().await, (FIN | TEXT, b"before".to_vec()), "{name}");
        let (sent, text) = raw.expect_close().await;
        assert_eq!(sent, code, "{name}: {text}");
        assert!(text.contains(reason), "{name}: {text}");
    }
}

/// RFC 6455, section 7.4.1: these codes must not appear on the wire, so they are not echoed.
#[tokio::test]
async fn a_reserved_close_code_is_a_protocol_error() {
    let node = Node::new().listen().await;
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2999] {
        let mut raw = RawConnection::open(node.connect().await, ECHO_PATH).await;
        raw.write(&masked(FIN | CLOSE, &code.to_be_bytes())).await;
        assert_eq!(raw.expect_close().await.0, 1002, "{code}");
    }
}

/// The client keeps sending long after its message was rejected; no TCP reset discards the close frame.
#[tokio::test]
async fn a_client_that_keeps_sending_still_receives_the_close_reason() {
    let node = Node::with_settings(|settings| settings.max_message = 1000)
        .listen()
        .await;
    let mut raw = RawConnection::open(node.connect().await, ECHO_PATH).await;
    raw.write(&masked(FIN | BINARY, &[0; 1001])).await;
    for _ in 0..64 {
        raw.write(&[0; 65_536]).await;
    }
    assert_eq!(
        raw.expect_close().await,
        (1009, "a message may have 1000 bytes".to_owned())
    );
}

#[tokio::test]
async fn a_dropped_connection_is_detected() {
    let node = Node::new();
    let listening = node.listen().await;
    let client = listening.websocket(ECHO_PATH).await;
    node.wait_for_connections(1).await;
    drop(client);
    node.wait_for_connections(0).await;
}
