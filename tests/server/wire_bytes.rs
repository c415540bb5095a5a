//! The server's byte counts of a measurement run equal the client's.

use duplex::apps::compare::wire::measure::{
    DOCUMENT_PATH, ECHO_PATH, EVENTS_PATH, MAX_PAYLOAD, POLL_PATH, RUNS_PATH, RunCounts, SEND_PATH, TrafficCounts,
    VALUE_PATH, WATCH_PATH, document,
};
use duplex::server::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::raw::{CLOSE, FIN, TEXT, handshake_request, masked};
use crate::harness::{self, ListeningNode, Node, wait_until, with_timeout};

const RUN: &str = "0123456789abcdef";
const OTHER: &str = "fedcba9876543210";

/// A client connection that counts its own bytes.
struct CountingClient {
    stream: TcpStream,
    sent: u64,
    received: u64,
}

impl CountingClient {
    async fn connect(node: &ListeningNode) -> Self {
        Self {
            stream: node.connect().await,
            sent: 0,
            received: 0,
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        with_timeout(self.stream.write_all(bytes)).await.unwrap();
        self.sent += bytes.len() as u64;
    }

    /// Reads up to and including `end`.
    async fn read_until(&mut self, end: &[u8]) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            read.push(with_timeout(self.stream.read_u8()).await.unwrap());
        }
        self.received += read.len() as u64;
        String::from_utf8_lossy(&read).into_owned()
    }

    async fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        let mut read = vec![0; count];
        with_timeout(self.stream.read_exact(&mut read)).await.unwrap();
        self.received += count as u64;
        read
    }

    /// Reads a response: its head, and the body given by `Content-Length`.
    async fn response(&mut self) -> (String, String) {
        let head = self.read_until(b"\r\n\r\n").await;
        let length = header(&head, "content-length").parse().unwrap_or(0);
        let body = self.read_exactly(length).await;
        (head, String::from_utf8(body).unwrap())
    }

    async fn request(&mut self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n");
        self.send(head.as_bytes()).await;
        // In a separate packet, like browsers.
        if !body.is_empty() {
            self.send(body.as_bytes()).await;
        }
        self.response().await
    }

    async fn post(&mut self, path: &str, body: &str) -> (String, String) {
        self.request("POST", path, "", body).await
    }

    async fn get(&mut self, path: &str) -> (String, String) {
        self.request("GET", path, "", "").await
    }

    const fn bytes(&self) -> (u64, u64) {
        (self.sent, self.received)
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value)
}

fn labelled(path: &str, run: &str, transport: &str, more: &str) -> String {
    format!("{path}?run={run}&way={transport}{more}")
}

/// Requests the counts without a label, over a new connection.
async fn counts(node: &ListeningNode, run: &str) -> RunCounts {
    let (head, body) = CountingClient::connect(node)
        .await
        .get(&format!("{RUNS_PATH}/{run}"))
        .await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    serde_json::from_str(&body).unwrap()
}

async fn traffic(node: &ListeningNode, run: &str, transport: &str) -> TrafficCounts {
    counts(node, run).await.transports[transport]
}

const fn bytes(traffic: TrafficCounts) -> (u64, u64) {
    (traffic.bytes_in, traffic.bytes_out)
}

#[tokio::test]
async fn requests_on_a_keep_alive_connection_are_counted_exactly() {
    let node = Node::new().listen().await;
    let mut client = CountingClient::connect(&node).await;
    for body in ["short", &"x".repeat(MAX_PAYLOAD), ""] {
        let (_, answer) = client.post(&labelled(ECHO_PATH, RUN, "fetch", ""), body).await;
        assert_eq!(answer, body);
    }
    let traffic = traffic(&node, RUN, "fetch").await;
    assert_eq!(bytes(traffic), client.bytes());
    assert_eq!((traffic.opened, traffic.reused, traffic.requests), (1, 0, 3));
    assert!(client.sent > MAX_PAYLOAD as u64 && counts(&node, RUN).await.cpu_us > 0);
}

#[tokio::test]
async fn runs_that_share_a_connection_are_counted_separately() {
    let node = Node::new().listen().await;
    let mut client = CountingClient::connect(&node).await;
    let mut expected = [(0, 0); 3];
    let requests = [0, 1, 2, 2, 0, 1, 1, 0, 2, 1];
    for (number, run) in requests.into_iter().enumerate() {
        let before = client.bytes();
        let body = "y".repeat(number * 100);
        let path = match run {
            0 => labelled(ECHO_PATH, RUN, "fetch", ""),
            1 => labelled(ECHO_PATH, OTHER, "other", ""),
            _ => ECHO_PATH.to_owned(),
        };
        client.post(&path, &body).await;
        let bytes = &mut expected[run];
        bytes.0 += client.sent - before.0;
        bytes.1 += client.received - before.1;
    }
    let (run, other) = (traffic(&node, RUN, "fetch").await, traffic(&node, OTHER, "other").await);
    assert_eq!((bytes(run), bytes(other)), (expected[0], expected[1]));
    assert_eq!((run.opened, run.reused, run.requests), (1, 2, 3));
    assert_eq!((other.opened, other.reused, other.requests), (0, 3, 4));
}

#[tokio::test]
async fn a_closing_response_opens_a_new_connection_for_the_next_request() {
    let node = Node::new().listen().await;
    let mut sum = (0, 0);
    for _ in 0..3 {
        let mut client = CountingClient::connect(&node).await;
        let (head, _) = client
            .post(&labelled(ECHO_PATH, RUN, "fresh", "&close=1"), "hello")
            .await;
        assert_eq!(header(&head, "connection"), "close");
        assert_eq!(
            with_timeout(client.stream.read(&mut [0])).await.unwrap(),
            0,
            "the server did not close the connection"
        );
        sum = (sum.0 + client.sent, sum.1 + client.received);
    }
    let traffic = traffic(&node, RUN, "fresh").await;
    assert_eq!((bytes(traffic), traffic.opened, traffic.requests), (sum, 3, 3));
}

#[tokio::test]
async fn a_websocket_is_counted_from_its_handshake_to_its_close_frame() {
    let node = Node::new().listen().await;
    let mut client = CountingClient::connect(&node).await;
    client
        .send(handshake_request(&labelled(harness::ECHO_PATH, RUN, "socket", "")).as_bytes())
        .await;
    client.read_until(b"\r\n\r\n").await;
    assert_eq!(bytes(traffic(&node, RUN, "socket").await), client.bytes());
    for length in [5, 126, 70_000] {
        client.send(&masked(FIN | TEXT, "z".repeat(length).as_bytes())).await;
        let header = match length {
            ..126 => 2,
            126..65_536 => 4,
            _ => 10,
        };
        client.read_exactly(header + length).await;
    }
    client.send(&masked(FIN | CLOSE, &1000_u16.to_be_bytes())).await;
    client.read_exactly(4).await;
    let traffic = traffic(&node, RUN, "socket").await;
    assert_eq!(
        (bytes(traffic), traffic.opened, traffic.requests),
        (client.bytes(), 1, 1)
    );
}

#[tokio::test]
async fn server_sent_events_and_polls_are_counted_with_their_posts() {
    let node = Node::new().listen().await;
    let (mut events, mut poll, mut post) = (
        CountingClient::connect(&node).await,
        CountingClient::connect(&node).await,
        CountingClient::connect(&node).await,
    );
    let address = labelled(EVENTS_PATH, RUN, "sse", "&box=b");
    events
        .send(format!("GET {address} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .await;
    events.read_until(b"\r\n\r\n").await;
    let (_, newest) = poll.get(&labelled(POLL_PATH, RUN, "poll", "&box=b")).await;
    assert_eq!(newest, "0");
    for number in 1..4 {
        let (head, _) = post
            .post(&labelled(SEND_PATH, RUN, "sse", "&box=b"), &format!("said {number}"))
            .await;
        assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
        // The end of the event and of its chunk.
        let chunk = events.read_until(b"\n\n\r\n").await;
        assert!(chunk.contains(&format!("data: said {number}\n")), "{chunk}");
        let after = format!("&box=b&after={}", number - 1);
        let (_, body) = poll.get(&labelled(POLL_PATH, RUN, "poll", &after)).await;
        assert_eq!(body, format!("{number}\nsaid {number}"));
    }
    let sse = traffic(&node, RUN, "sse").await;
    assert_eq!(bytes(sse), (events.sent + post.sent, events.received + post.received));
    assert_eq!((sse.opened, sse.requests), (2, 4));
    assert_eq!(bytes(traffic(&node, RUN, "poll").await), poll.bytes());
    let (_, value) = poll.get(&labelled(VALUE_PATH, RUN, "value", "&box=b")).await;
    assert_eq!(value, "said 3");
}

#[tokio::test]
async fn a_poll_and_a_watch_wait_for_a_new_value() {
    let node = Node::new().listen().await;
    let (mut poll, mut watch, mut post) = (
        CountingClient::connect(&node).await,
        CountingClient::connect(&node).await,
        CountingClient::connect(&node).await,
    );
    watch
        .send(handshake_request(&labelled(WATCH_PATH, RUN, "push", "&box=v")).as_bytes())
        .await;
    watch.read_until(b"\r\n\r\n").await;
    let address = labelled(POLL_PATH, RUN, "poll", "&box=v&after=0");
    poll.send(format!("GET {address} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .await;
    wait_until(async || counts(&node, RUN).await.transports.contains_key("poll")).await;
    post.post(&labelled(SEND_PATH, RUN, "source", "&box=v"), "news").await;
    assert_eq!(poll.response().await.1, "1\nnews");
    assert_eq!(watch.read_exactly(6).await, b"\x81\x04news");
    assert_eq!(bytes(traffic(&node, RUN, "push").await), watch.bytes());
}

#[tokio::test]
async fn a_cookie_labels_requests_without_a_query() {
    let node = Node::new().listen().await;
    let mut client = CountingClient::connect(&node).await;
    let plain = handshake_request("/api/leptos_ws_websocket");
    let labelled = plain.replace("Host:", &format!("Cookie: a=b; measured={RUN}.signal\r\nHost:"));
    client.send(labelled.as_bytes()).await;
    let head = client.read_until(b"\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(bytes(traffic(&node, RUN, "signal").await), client.bytes());

    let mut client = CountingClient::connect(&node).await;
    let headers = format!("cookie: measured={RUN}.function\r\ncontent-type: application/x-www-form-urlencoded\r\n");
    let (head, body) = client
        .request("POST", "/api/compare/function", &headers, "text=hello")
        .await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && body.contains("hello"),
        "{head}{body}"
    );
    assert_eq!(bytes(traffic(&node, RUN, "function").await), client.bytes());
}

#[tokio::test]
async fn a_cached_document_is_not_sent_again() {
    let node = Node::new().listen().await;
    let mut client = CountingClient::connect(&node).await;
    let path = labelled(DOCUMENT_PATH, RUN, "cached", "&bytes=32768");
    let (head, body) = client.get(&path).await;
    assert_eq!(body, document(32_768));
    let tag = format!("if-none-match: {}\r\n", header(&head, "etag"));
    let before = client.received;
    let (head, _) = client.request("GET", &path, &tag, "").await;
    assert!(head.starts_with("HTTP/1.1 304 "), "{head}");
    assert!(client.received - before < 1000);
    assert_eq!(bytes(traffic(&node, RUN, "cached").await), client.bytes());
}

#[tokio::test]
async fn invalid_requests_are_rejected_and_not_counted() {
    let node = Node::new();
    for path in ["", "/x", "/0123456789abcdeF"] {
        let answer = node.get(&format!("{RUNS_PATH}{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(node.get(&format!("{VALUE_PATH}?run={RUN}&box=A")).await.status, 422);
    assert_eq!(node.get(&format!("{EVENTS_PATH}?run=1&box=a")).await.status, 422);
    let listening = node.listen().await;
    let mut client = CountingClient::connect(&listening).await;
    let (head, _) = client.post(&labelled(ECHO_PATH, RUN, "a-b", ""), "no way").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for number in 0..=limits::MEASURED_TRANSPORTS {
        client
            .post(&labelled(ECHO_PATH, RUN, &format!("way{number}"), ""), "x")
            .await;
    }
    let ways = counts(&listening, RUN).await.transports;
    assert_eq!(ways.len(), limits::MEASURED_TRANSPORTS);
    assert!(!ways.contains_key("a-b"));
    let (head, _) = client
        .post(&labelled(SEND_PATH, RUN, "way0", "&box=b"), "two\nlines")
        .await;
    assert!(head.starts_with("HTTP/1.1 422 "), "{head}");
    let (head, _) = client.post(ECHO_PATH, &"x".repeat(MAX_PAYLOAD + 1)).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
}
