//! The server behind the proxies documented in `docs/proxies`, and behind one that sets no headers.

use duplex::server::state::Settings;
use duplex_axum::client_addr::TrustedProxies;
use duplex_protocol::handshake::Handshake;
use duplex_protocol::session::{COMMAND_PATH, EVENTS_PATH, POLL_PATH};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::proxy::{CLIENT, NAME, Proxy, URL};
use crate::harness::{ECHO_PATH, Headers, ListeningNode, Node, open, process, with_timeout};

/// A node with the flags that the documented files require.
fn node() -> Node {
    Node::with_settings(|settings: &mut Settings| {
        settings.public_url = Some(URL.parse().unwrap());
        settings.trusted_proxies = TrustedProxies::new(["127.0.0.1"]).unwrap();
    })
}

const SPOOFED: [(&str, &str); 3] = [
    ("x-forwarded-for", "9.9.9.9"),
    ("forwarded", "for=9.9.9.9;proto=http"),
    ("x-real-ip", "9.9.9.9"),
];

/// Sends one request over a new connection; `request` is its request line and further headers. Returns the response's head and its body up
/// to `expected`.
async fn send_request(proxy: &Proxy, request: &str, body: &str, expected: &str) -> (String, String) {
    let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
    let mut stream = proxy.connect().await;
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let request =
        format!("{line} HTTP/1.1\r\nHost: {NAME}\r\n{headers}{length}Content-Type: application/json\r\n\r\n{body}");
    with_timeout(stream.write_all(request.as_bytes())).await.unwrap();
    read_until(&mut stream, String::new(), expected).await
}

async fn read_until(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    mut text: String,
    expected: &str,
) -> (String, String) {
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.contains(expected)
        {
            return (head.to_lowercase(), body.to_owned());
        }
        let mut buffer = [0; 4096];
        let read = with_timeout(stream.read(&mut buffer)).await.unwrap();
        assert!(read > 0, "ended before {expected:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

async fn record(proxy: &Proxy, trace: &str) -> Handshake {
    let (_, body) = send_request(proxy, &format!("GET /api/handshake/{trace}"), "", "\"ended\"").await;
    let json = &body[body.find('{').unwrap()..=body.rfind('}').unwrap()];
    serde_json::from_str(json).unwrap()
}

/// Sends a message through the proxy over WebSocket; returns the client's address in the handshake record.
async fn recorded_peer(proxy: &Proxy, headers: Headers<'_>, trace: &str) -> Option<String> {
    let headers = [&[("host", NAME), ("origin", URL)], headers].concat();
    let path = format!("{ECHO_PATH}?trace={trace}");
    let (mut client, _) = open(proxy.connect().await, &path, &headers).await.unwrap();
    assert_eq!(client.send_and_receive("hello").await, Message::text("hello"));
    record(proxy, trace).await.peer
}

fn note(text: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    json!({"command": {"topic": "notes/a", "id": id, "command": {"Add": text}}}).to_string()
}

async fn check_all_transports(proxy: &Proxy) {
    let client = Some(CLIENT.to_string());
    assert_eq!(recorded_peer(proxy, &[], "0123456789abcdef-a").await, client);
    assert_eq!(recorded_peer(proxy, &SPOOFED, "0123456789abcdef-b").await, client);

    // Server-sent events: an event arrives while the stream stays open.
    let mut events = proxy.connect().await;
    let get = format!("GET {EVENTS_PATH}?session=s1&topics=notes/a HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    with_timeout(events.write_all(get.as_bytes())).await.unwrap();
    let (head, body) = read_until(&mut events, String::new(), "reset").await;
    assert!(head.contains("text/event-stream"), "{head}");
    let post = format!("POST {COMMAND_PATH}?session=s2");
    let (head, _) = send_request(proxy, &post, &note("through the proxy"), "accepted").await;
    assert!(head.contains(" 200"), "{head}");
    read_until(&mut events, format!("{head}\r\n\r\n{body}"), "through the proxy").await;

    let poll = format!("GET {POLL_PATH}?session=s3&topics=notes/a&wait=0");
    let (head, _) = send_request(proxy, &poll, "", "through the proxy").await;
    assert!(head.contains("no-store"), "{head}");

    let (head, _) = send_request(proxy, "GET /about", "", "<html").await;
    assert!(
        head.contains("set-cookie: __host-visitor=") && head.contains("; secure"),
        "{head}"
    );
}

async fn check_proxy(start: impl AsyncFnOnce(std::net::SocketAddr) -> Proxy) {
    let node = node();
    let listening: ListeningNode = node.listen().await;
    check_all_transports(&start(listening.addr).await).await;
}

#[tokio::test]
async fn the_documented_nginx_configuration_works() {
    check_proxy(Proxy::nginx).await;
}

#[tokio::test]
async fn the_documented_caddy_configuration_works() {
    check_proxy(Proxy::caddy).await;
}

/// With a bare `proxy_pass`, every request comes from the proxy's address and names the server's own host. That grants no
/// permission.
#[tokio::test]
async fn a_bare_proxy_grants_no_operator_rights() {
    let dir = tempfile::tempdir().unwrap();
    let server = process::Server::start(dir.path());
    let proxy = Proxy::minimal_nginx(server.addr).await;
    for request in ["GET /metrics", "GET /api/topics", "POST /api/operator/backup"] {
        let (head, _) = send_request(&proxy, request, "", "\"detail\"").await;
        assert!(head.contains(" 401") || head.contains(" 403"), "{request}: {head}");
    }
    drop((proxy, server));

    let node = node();
    let listening = node.listen().await;
    let proxy = Proxy::minimal_nginx(listening.addr).await;
    let (head, _) = send_request(&proxy, "GET /about\nSec-Fetch-Site: none\r\n", "", "--public-url").await;
    assert!(head.contains(" 421"), "{head}");
    let rejected = open(proxy.connect().await, ECHO_PATH, &[("host", NAME), ("origin", URL)]).await;
    assert!(rejected.is_err(), "the handshake succeeded without an upgrade");
}
