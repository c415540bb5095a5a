//! An event is encoded, and compressed, once for all readers of all transports.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::Response;
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_hub::dyn_topic;
use duplex_hub::log::memory::MemoryLog;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Epoch, Seq};
use duplex_protocol::session::{Answer, Denial, EVENTS_PATH, POLL_PATH, Rejection, ServerFrame};
use duplex_protocol::topic::{Topic, TopicName};
use flate2::read::GzDecoder;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize, Serializer};
use tower::ServiceExt as _;

use crate::harness::kinds::Note;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, with_timeout};

/// How often an event was encoded. Only one test uses the kind.
static ENCODED: AtomicUsize = AtomicUsize::new(0);

/// Numbers whose encodings are counted.
struct Counted;

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Number(u64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.fetch_add(1, Ordering::Relaxed);
        self.0.serialize(serializer)
    }
}

impl Topic for Counted {
    const KIND: &'static str = "counted";
    type Command = u64;
    type Event = Number;
    type State = u64;

    fn apply(state: &mut u64, _seq: Seq, Number(number): &Number) {
        *state = *number;
    }
}

impl Decider for Counted {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _context: Context<'_>, _state: &u64, number: u64) -> Result<Vec<Number>, Rejection> {
        Ok(vec![Number(number)])
    }
}

/// Sends `number` to all readers; returns how often its event was encoded.
async fn encodings(writer: &mut Visitor<'_>, readers: &mut [Visitor<'_>], number: u64) -> usize {
    let before = ENCODED.load(Ordering::Relaxed);
    let answer = writer.command("counted/a", &number).await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    for reader in readers {
        assert_eq!(reader.next_event::<Counted>().await.1, Number(number));
    }
    ENCODED.load(Ordering::Relaxed) - before
}

#[tokio::test]
async fn an_event_is_encoded_once_for_all_readers() {
    let node = Node::with_log(Arc::new(MemoryLog::new(Epoch::new(7))), vec![dyn_topic(Counted)]);
    let mut writer = Visitor::new(&node, Transport::Sse).await;
    let mut readers = Vec::new();
    let mut counts = Vec::new();
    for number in 1..=3 {
        for transport in Transport::ALL {
            let mut reader = Visitor::new(&node, transport).await;
            reader.subscribe("counted/a", None).await;
            readers.push(reader);
        }
        counts.push(encodings(&mut writer, &mut readers, number).await);
    }
    assert_eq!(counts, [counts[0]; 3], "with 4, 8 and 12 readers");
}

async fn get(node: &Node, path: &str, parameters: &str) -> Response {
    let request = Request::get(format!("{path}?session=reader&v=2&topics=notes/a{parameters}"))
        .header("host", "localhost")
        .header("cookie", "visitor=0123456789abcdef0123456789abcdef")
        .header("accept-encoding", "gzip, deflate, br");
    let request = request.body(Body::empty()).unwrap();
    with_timeout(node.router.clone().oneshot(request)).await.unwrap()
}

/// The frames of the events that are complete.
fn frames(gzip: &[u8]) -> Vec<ServerFrame> {
    let mut text = Vec::new();
    // The end of the input is missing.
    let mut decoder = GzDecoder::new(gzip);
    let mut byte = [0];
    while matches!(decoder.read(&mut byte), Ok(1)) {
        text.extend(byte);
    }
    let text = String::from_utf8(text).unwrap();
    let events = text
        .split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").unwrap());
    events
        .map(|event| Encoding::Json.decode(event.as_bytes()).unwrap())
        .collect()
}

#[tokio::test]
async fn events_and_polls_are_compressed_for_a_client_that_accepts_it() {
    let node = Node::new();
    let text = "the same words again and again; ".repeat(10);
    let mut writer = Visitor::new(&node, Transport::Sse).await;
    for _ in 0..20 {
        writer.command("notes/a", &Note::Add(text.clone())).await;
    }
    let poll = get(&node, POLL_PATH, "&wait=0").await;
    assert_eq!(poll.headers()["content-encoding"], "gzip");
    let body = to_bytes(poll.into_body(), usize::MAX).await.unwrap();
    let mut polled = Vec::new();
    GzDecoder::new(&*body).read_to_end(&mut polled).unwrap();
    assert!(body.len() * 4 < polled.len(), "{} of {}", body.len(), polled.len());
    let polled: Vec<ServerFrame> = Encoding::Json.decode(&polled).unwrap();
    let verdict = |frame: &ServerFrame| matches!(frame, ServerFrame::Verdict { .. });
    assert!(polled.iter().any(verdict), "{polled:?}");

    let events = get(&node, EVENTS_PATH, "").await;
    assert_eq!(events.headers()["content-encoding"], "gzip");
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut body = events.into_body().into_data_stream();
    let mut received = Vec::new();
    // The verdict first, then each event as soon as it happened.
    while !frames(&received).iter().any(verdict) {
        received.extend(with_timeout(body.next()).await.unwrap().unwrap());
    }
    for number in 21..24 {
        writer.command("notes/a", &Note::Add(text.clone())).await;
        let event = |frame: &ServerFrame| matches!(frame, ServerFrame::Event { seq, .. } if *seq == number);
        while !frames(&received).iter().any(event) {
            received.extend(with_timeout(body.next()).await.unwrap().unwrap());
        }
    }
    assert!(received.len() < 3 * text.len(), "{}", received.len());
}
