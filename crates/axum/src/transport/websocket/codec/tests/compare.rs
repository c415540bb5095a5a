//! A comparison with tungstenite: random and mutated frames give the same messages, or an error in both. The differences:
//!
//! - tungstenite accepts lengths in a longer encoding than necessary, also in control frames.
//! - tungstenite returns a close frame with an invalid code as one with 1002; here it is an error with this code. The reason's UTF-8 is checked
//!   before the code there, and after it here.
//! - tungstenite does not know the registered code 1014, and returns 1002.
//! - tungstenite waits for the end of a frame before it reports invalid UTF-8, a missing mask, a reserved bit, an unexpected opcode or
//!   the length of a control frame. So it reports the end of the stream if the frame is incomplete.
//! - tungstenite checks a length against the limit first: some errors with the code 1002 have the code 1009 there.

use std::io::Cursor;

use duplex_fuzz::run;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, error::ProtocolError};

use super::*;

const MAX: usize = 2000;

/// A stream that is read from, and whose writes are dropped.
struct Received(Cursor<Vec<u8>>);

impl std::io::Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Received {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The bytes end, or a close frame is received.
    Stream,
    Error(u16),
}

fn by_tungstenite(bytes: &[u8]) -> (Vec<Incoming>, End) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX))
        .max_frame_size(Some(MAX));
    let mut socket = WebSocket::from_raw_socket(Received(Cursor::new(bytes.to_vec())), Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        let error = match socket.read() {
            Ok(Message::Text(text)) => {
                messages.push(Incoming::Text(text.as_str().into()));
                continue;
            }
            Ok(Message::Binary(bytes)) => {
                messages.push(Incoming::Binary(bytes));
                continue;
            }
            Ok(Message::Ping(bytes)) => {
                messages.push(Incoming::Ping(bytes));
                continue;
            }
            Ok(Message::Pong(bytes)) => {
                messages.push(Incoming::Pong(bytes));
                continue;
            }
            Ok(Message::Close(close)) => {
                let close = close.map(|close| (close.code.into(), close.reason.as_str().into()));
                messages.push(Incoming::Close(close));
                return (messages, End::Stream);
            }
            Ok(Message::Frame(frame)) => panic!("{frame:?}"),
            Err(error) => error,
        };
        let end = match error {
            Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Stream,
            Error::Protocol(_) => End::Error(1002),
            Error::Utf8(_) => End::Error(1007),
            Error::Capacity(_) => End::Error(1009),
            other => panic!("{other}"),
        };
        return (messages, end);
    }
}

fn violation() -> Incoming {
    Incoming::Close(Some((1002, "Protocol violation".into())))
}

fn compare(bytes: &[u8], size: usize) {
    let (mut messages, error) = decode_pieces(&mut plain_decoder(MAX), bytes.chunks(size), MAX);
    let (expected, end) = by_tungstenite(bytes);
    if let Some(close @ Incoming::Close(Some((1014, _)))) = messages.last_mut() {
        *close = violation();
    }
    let is_same = match error {
        None => messages == expected && end == End::Stream,
        Some(DecodeError::NonMinimalLength | DecodeError::ControlTooLong) => expected.starts_with(&messages),
        Some(DecodeError::InvalidCloseCode(_)) if end == End::Error(1007) => messages == expected,
        Some(DecodeError::InvalidCloseCode(_)) => {
            messages.push(violation());
            messages == expected && end == End::Stream
        }
        Some(error) => {
            let ends = [End::Error(error.code()), End::Error(1009), End::Stream];
            messages == expected && ends.contains(&end)
        }
    };
    assert!(
        is_same,
        "here {messages:?}, {error:?}; tungstenite {expected:?}, {end:?}"
    );
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![Just(1000_u16), Just(1014), 990..1020_u16, any::<u16>()];
    prop_oneof![
        4 => "\\PC{0,60}".prop_map(String::into_bytes),
        2 => "[가-힣]{0,400}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 0..2500),
        3 => (code, "\\PC{0,30}").prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat()),
    ]
}

/// Frames that are valid on their own more often than not.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![8 => select(vec![0_u8, 0, 1, 1, 2, 8, 9, 10]), 1 => 0..16_u8];
    let bits = prop_oneof![6 => Just(FIN), 3 => Just(0_u8), 1 => (0..16_u8).prop_map(|bits| bits << 4)];
    (bits, opcode, payloads()).prop_map(|(bits, opcode, payload)| frame(bits | opcode, &payload))
}

/// Messages in fragments, which may cut a character in two.
fn fragmented() -> impl Strategy<Value = Vec<u8>> {
    (1..3_u8, payloads(), any::<Index>(), any::<bool>()).prop_map(|(opcode, payload, cut, pings)| {
        let (start, end) = payload.split_at(cut.index(payload.len() + 1));
        let ping = if pings { frame(0x89, b"ping") } else { Vec::new() };
        [frame(opcode, start), ping, frame(FIN, end)].concat()
    })
}

#[test]
fn frames_are_read_as_by_tungstenite() {
    let stream = prop::collection::vec(prop_oneof![2 => frames(), 1 => fragmented()], 1..8);
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..3);
    run(
        (stream, changes, any::<Index>(), any::<bool>(), 1..4000_usize),
        |(stream, changes, cut, truncate, size)| {
            let mut bytes = stream.concat();
            compare(&bytes, size);
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            if truncate {
                bytes.truncate(cut.index(bytes.len()));
            }
            compare(&bytes, size);
        },
    );
}

#[test]
fn the_corpus_is_read_as_by_tungstenite() {
    for bytes in duplex_fuzz::corpus("websocket-frames") {
        if !bytes.iter().any(|byte| byte & 0xf0 == 0xc0) {
            compare(&bytes, bytes.len());
        }
    }
}
