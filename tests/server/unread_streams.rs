//! Event streams that the client does not read, over HTTP/1.1, TLS and HTTP/2, for an idle topic and for one that fills the
//! buffers: all time out equally.

use std::any::Any;

use axum::http::Request;
use duplex::server::limits;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, EVENTS_PATH};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex};
use tokio::time::{Duration, Instant, timeout};

use crate::half_open::PRESENCE_TIMEOUT;
use crate::harness::kinds::Note;
use crate::harness::tls::CertificateAuthority;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, PIPE_CAPACITY, with_timeout};
use crate::https;

const NOTES: &str = "notes/a";
/// Enough to fill the connection, the flow-control window and the server's buffers.
const TEXTS: usize = 150;

#[derive(Debug, Clone, Copy)]
enum Connection {
    Plain,
    Tls,
    Http2,
    Http2OverTls,
}

const CONNECTIONS: [Connection; 4] = [
    Connection::Plain,
    Connection::Tls,
    Connection::Http2,
    Connection::Http2OverTls,
];

fn path() -> String {
    format!("{EVENTS_PATH}?session=s-1&v=2&topics={NOTES}")
}

async fn http1<S: AsyncWrite + Send + Unpin>(mut stream: S) -> S {
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        path()
    );
    with_timeout(stream.write_all(request.as_bytes())).await.unwrap();
    stream
}

/// The client reads the connection and answers its pings, but does not read the stream.
async fn http2<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Box<dyn Any> {
    let (mut requests, connection) = with_timeout(h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://localhost{}", path())).body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    Box::new((with_timeout(response).await.unwrap(), requests))
}

/// Opens an event stream that is not read; dropping the result closes it.
async fn open_unread(node: &Node, authority: &CertificateAuthority, connection: Connection) -> Box<dyn Any> {
    let over_tls = async |protocol| {
        let (client, server) = duplex(PIPE_CAPACITY);
        let tls = node.state.tls.clone().unwrap();
        tokio::spawn(tls.serve_connection(server, None, node.router.clone(), node.state.gateway.clone()));
        authority.connect(client, "localhost", &[protocol]).await
    };
    match connection {
        Connection::Plain => Box::new(http1(node.connect()).await),
        Connection::Tls => Box::new(http1(over_tls("http/1.1").await).await),
        Connection::Http2 => http2(node.connect()).await,
        Connection::Http2OverTls => http2(over_tls("h2").await).await,
    }
}

async fn fill(node: &Node) {
    let mut writer = Visitor::new(node, Transport::Sse).await;
    for _ in 0..TEXTS {
        let answer = writer.command(NOTES, &Note::Add("x".repeat(4000))).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
}

/// Whether presence reaches `count` sessions before `limit`.
async fn reaches_presence(observer: &mut Visitor<'_>, count: u32, limit: Duration) -> bool {
    let expected = observer.wait_for_presence(|presence| presence.session_count == count);
    timeout(limit, expected).await.is_ok()
}

async fn observer(node: &Node) -> Visitor<'_> {
    let mut observer = Visitor::new(node, Transport::WebSocket(Encoding::Json)).await;
    observer.subscribe(NOTES, None).await;
    observer
}

/// The time until an unread stream leaves presence. `filled` is when the topic gets more events than the buffers hold.
async fn timeout_of(authority: &CertificateAuthority, connection: Connection, filled: Option<Duration>) -> Duration {
    let node = https::node(authority);
    let mut observer = observer(&node).await;
    let (start, _client) = (Instant::now(), open_unread(&node, authority, connection).await);
    assert!(reaches_presence(&mut observer, 2, PRESENCE_TIMEOUT).await);
    if let Some(after) = filled {
        assert!(!reaches_presence(&mut observer, 1, after).await);
        fill(&node).await;
    }
    assert!(
        reaches_presence(&mut observer, 1, 2 * PRESENCE_TIMEOUT).await,
        "{connection:?} {filled:?}"
    );
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_unread_stream_of_a_quiet_topic_times_out_equally_over_every_connection() {
    let authority = CertificateAuthority::new();
    for connection in CONNECTIONS {
        let after = timeout_of(&authority, connection, None).await;
        assert!(
            after >= limits::SESSION_SILENCE - Duration::from_secs(1) && after <= PRESENCE_TIMEOUT,
            "{connection:?}: {after:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_unread_stream_with_full_buffers_times_out_equally_over_every_connection() {
    let authority = CertificateAuthority::new();
    for connection in CONNECTIONS {
        for filled in [1, 15, 30].map(Duration::from_secs) {
            let after = timeout_of(&authority, connection, Some(filled)).await;
            assert!(
                after >= limits::SESSION_STALL && after <= PRESENCE_TIMEOUT,
                "{connection:?}, filled after {filled:?}: {after:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_again_after_the_timeout_gets_the_reason() {
    let node = Node::new();
    let mut observer = observer(&node).await;
    let mut unread = http1(node.connect()).await;
    assert!(reaches_presence(&mut observer, 2, PRESENCE_TIMEOUT).await);
    assert!(!reaches_presence(&mut observer, 1, Duration::from_secs(15)).await);
    fill(&node).await;
    assert!(reaches_presence(&mut observer, 1, PRESENCE_TIMEOUT).await);
    let mut text = String::new();
    with_timeout(unread.read_to_string(&mut text)).await.unwrap();
    let closing = text.rfind(r#"data: {"closing":{"reason":"slow","retry_after_ms":0}}"#);
    assert!(closing > text.rfind("xxxx"), "{} bytes", text.len());
    assert!(text.ends_with("\r\n0\r\n\r\n"), "the response is incomplete");
}
