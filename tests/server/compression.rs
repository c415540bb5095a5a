//! Compressed WebSocket messages (RFC 7692) over the running server.

use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, ClientFrame, SESSION_PATH, ServerFrame};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::DuplexStream;

use crate::harness::kinds::{Note, Notes, NotesState};
use crate::harness::raw::{BINARY, FIN, RawConnection, TEXT, masked};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{ECHO_PATH, Node};

/// RSV1 marks a compressed message.
const COMPRESSED: u8 = 0x40;
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
/// The end of a sync flush, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 64);
    let mut state = Compress::new(Compression::best(), false);
    state.compress_vec(plain, &mut out, FlushCompress::Sync).unwrap();
    out.strip_suffix(&TAIL).unwrap().to_vec()
}

fn inflate(compressed: &[u8]) -> Vec<u8> {
    inflate_with(&mut Decompress::new(false), compressed)
}

fn inflate_with(window: &mut Decompress, compressed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let input = [compressed, &TAIL].concat();
    window.decompress_vec(&input, &mut out, FlushDecompress::Sync).unwrap();
    out
}

async fn connect(node: &Node, path: &str, lines: &str) -> RawConnection<DuplexStream> {
    let (raw, head) = RawConnection::open_with(node.connect(), path, &format!("{OFFER}{lines}")).await;
    assert!(head.contains("permessage-deflate"), "{head}");
    raw
}

/// A session, which receives the text of its frames and the size of each that was compressed.
struct Session {
    raw: RawConnection<DuplexStream>,
    /// The client's window.
    window: Decompress,
}

impl Session {
    async fn open(node: &Node) -> Self {
        let protocol = format!("Sec-WebSocket-Protocol: {}\r\n", Encoding::Json.subprotocol());
        let mut session = Self {
            raw: connect(node, SESSION_PATH, &protocol).await,
            window: Decompress::new(false),
        };
        session
            .send(&ClientFrame::Hello {
                build: String::new(),
                name: None,
            })
            .await;
        session
    }

    async fn send(&mut self, frame: &ClientFrame) {
        let frame = Encoding::Json.encode(frame).unwrap();
        self.raw.write(&masked(FIN | TEXT, &frame)).await;
    }

    async fn receive(&mut self) -> (ServerFrame, Option<usize>) {
        let (first, payload) = self.raw.read_frame().await;
        let compressed = first == FIN | COMPRESSED | TEXT;
        assert!(compressed || first == FIN | TEXT, "{first:#x}");
        let size = compressed.then_some(payload.len());
        let text = if compressed {
            inflate_with(&mut self.window, &payload)
        } else {
            payload
        };
        (Encoding::Json.decode(&text).unwrap(), size)
    }

    /// The next event of the topic, and its compressed size.
    async fn next_event(&mut self) -> (u64, Note, usize) {
        loop {
            if let (ServerFrame::Event { seq, event, .. }, size) = self.receive().await {
                return (seq, event.decode::<Note>(Encoding::Json).unwrap(), size.unwrap());
            }
        }
    }
}

#[tokio::test]
async fn messages_are_inflated_and_large_answers_compressed() {
    let node = Node::new();
    let mut raw = connect(&node, ECHO_PATH, "").await;
    for (opcode, size) in [(TEXT, 10), (TEXT, 5_000), (BINARY, 50_000)] {
        let plain = "안녕하세요 서버! ".repeat(size).into_bytes()[..size / 3 * 3].to_vec();
        for first in [FIN | opcode, FIN | COMPRESSED | opcode] {
            let sent = if first & COMPRESSED == 0 {
                plain.clone()
            } else {
                deflate(&plain)
            };
            let limit = sent.len().max(1);
            raw.write(&masked(first, &sent)).await;
            let (answer, payload) = raw.read_frame().await;
            if size < 100 {
                assert_eq!(
                    (answer, payload),
                    (FIN | opcode, plain.clone()),
                    "small answers are sent as they are"
                );
            } else {
                assert_eq!(answer, FIN | COMPRESSED | opcode);
                assert!(payload.len() < plain.len() / 4, "{} of {limit}", payload.len());
                assert_eq!(inflate(&payload), plain);
            }
        }
    }
}

#[tokio::test]
async fn a_message_that_inflates_beyond_the_limit_is_too_big() {
    let node = Node::new();
    let limit = node.state.settings.max_message;
    let mut raw = connect(&node, ECHO_PATH, "").await;
    let bomb = deflate(&vec![0; limit + 1]);
    assert!(bomb.len() < limit / 500, "{}", bomb.len());
    raw.write(&masked(FIN | COMPRESSED | BINARY, &bomb)).await;
    assert_eq!(raw.expect_close().await.0, code::TOO_BIG);
    let mut raw = connect(&node, ECHO_PATH, "").await;
    raw.write(&masked(FIN | COMPRESSED | BINARY, &[0xff; 20])).await;
    assert_eq!(raw.expect_close().await.0, code::INVALID_PAYLOAD);
}

#[tokio::test]
async fn a_client_without_the_extension_may_not_compress() {
    let node = Node::new();
    let mut raw = RawConnection::open(node.connect(), ECHO_PATH).await;
    raw.write(&masked(FIN | COMPRESSED | TEXT, &deflate(b"text"))).await;
    assert_eq!(raw.expect_close().await.0, code::PROTOCOL_ERROR);
}

#[tokio::test]
async fn a_session_receives_states_and_events_compressed_and_others_as_they_are() {
    let node = Node::new();
    let text = "the same words again and again; ".repeat(10);
    let mut writer = Visitor::new(&node, Transport::Sse).await;
    for _ in 0..20 {
        let answer = writer.command("notes/a", &Note::Add(text.clone())).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
    let mut session = Session::open(&node).await;
    let topic = "notes/a".parse().unwrap();
    session.send(&ClientFrame::Subscribe { topic, cursor: None }).await;
    let mut plain = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    plain.subscribe("notes/a", None).await;
    let state = loop {
        if let (ServerFrame::Verdict { verdict, .. }, compressed) = session.receive().await {
            assert!(compressed.is_some());
            break verdict;
        }
    };
    let duplex_protocol::session::Verdict::Reset { state, .. } = state else {
        panic!("{state:?}")
    };
    assert_eq!(state.decode::<NotesState>(Encoding::Json).unwrap().count, 20);
    for number in 0..3 {
        writer.command("notes/a", &Note::Add(text.clone())).await;
        let expected = (21 + number, Note::Add(text.clone()));
        assert_eq!(plain.next_event::<Notes>().await, expected);
        let (seq, note, _) = session.next_event().await;
        assert_eq!((seq, note), expected);
    }
}

/// An event refers to the one before, if it was the session's last compressed message.
#[tokio::test]
async fn events_continue_the_event_before() {
    let node = Node::new();
    let mut writer = Visitor::new(&node, Transport::Sse).await;
    let mut session = Session::open(&node).await;
    let topic = "notes/a".parse().unwrap();
    session.send(&ClientFrame::Subscribe { topic, cursor: None }).await;
    let mut late = Session::open(&node).await;
    let mut sizes = Vec::new();
    for number in 1..=6_u64 {
        let note = Note::Add(format!(
            "{number}: no word of this sentence is in it twice, only consecutive events are alike"
        ));
        writer.command("notes/a", &note).await;
        let (seq, received, size) = session.next_event().await;
        assert_eq!((seq, received), (number, note));
        sizes.push(size);
        if number == 4 {
            let topic = "notes/a".parse().unwrap();
            late.send(&ClientFrame::Subscribe { topic, cursor: None }).await;
            while !matches!(late.receive().await, (ServerFrame::Verdict { .. }, _)) {}
        }
    }
    assert!(sizes[1..].iter().any(|size| size * 2 < sizes[0]), "{sizes:?}");
    let (fifth, sixth) = (late.next_event().await, late.next_event().await);
    assert_eq!((fifth.0, sixth.0), (5, 6));
    assert!(sixth.2 * 2 < fifth.2, "{} after {}", sixth.2, fifth.2);
}
