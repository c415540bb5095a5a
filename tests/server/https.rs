//! TLS terminated by the server itself: handshakes, HTTP/1.1, HTTP/2, and the renewal of certificates.

use std::fs;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use duplex::server::limits;
use duplex_axum::listen::{CertificateFiles, Tls};
use h2::ext::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::process::{Server, duplex_command};
use crate::harness::tls::CertificateAuthority;
use crate::harness::{
    ECHO_PATH, Headers, ListeningNode, Node, PIPE_CAPACITY, SOCKET_PATH, open, routes, wait_until, with_timeout,
};

fn files(authority: &CertificateAuthority) -> CertificateFiles {
    CertificateFiles {
        certificate: authority.certificate(),
        key: authority.key(),
    }
}

/// A node that serves TLS.
pub fn node(authority: &CertificateAuthority) -> Node {
    let mut node = Node::with_settings(|settings| settings.tls = Some(files(authority)));
    node.state = node.state.with_tls(Some(Tls::load(files(authority)).unwrap()));
    node.router = routes(&node.state);
    node
}

/// The status of a WebSocket handshake over TLS.
async fn handshake_status(
    authority: &CertificateAuthority,
    listening: &ListeningNode,
    path: &str,
    headers: Headers<'_>,
) -> u16 {
    let stream = authority
        .connect(listening.connect().await, "localhost", &["http/1.1"])
        .await;
    match open(stream, path, headers).await {
        Ok((mut client, _)) => {
            let Message::Text(answer) = client.send_and_receive("hello").await else {
                panic!("no text")
            };
            assert!(answer.ends_with("hello"));
            101
        }
        Err(error) => match *error {
            Error::Http(response) => response.status().as_u16(),
            other => panic!("{other}"),
        },
    }
}

#[tokio::test]
async fn websockets_and_pages_are_served_over_tls() {
    let authority = CertificateAuthority::new();
    let node = node(&authority);
    let listening = node.listen().await;
    assert_eq!(handshake_status(&authority, &listening, SOCKET_PATH, &[]).await, 101);
    assert_eq!(
        handshake_status(&authority, &listening, ECHO_PATH, &[("origin", "https://localhost")]).await,
        101
    );
    assert_eq!(
        handshake_status(&authority, &listening, ECHO_PATH, &[("origin", "http://localhost")]).await,
        403
    );

    let mut stream = authority
        .connect(listening.connect().await, "localhost", &["http/1.1"])
        .await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let get = "GET /about HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    with_timeout(stream.write_all(get.as_bytes())).await.unwrap();
    let mut answer = String::new();
    with_timeout(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(
        answer.contains("set-cookie: __Host-visitor=") && answer.contains("; Secure"),
        "{answer}"
    );
}

#[tokio::test]
async fn http2_is_negotiated_and_carries_websockets() {
    let authority = CertificateAuthority::new();
    let node = node(&authority);
    let listening = node.listen().await;
    let stream = authority
        .connect(listening.connect().await, "localhost", &["h2", "http/1.1"])
        .await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut requests, connection) = with_timeout(h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    let health = Request::get("https://localhost/healthz").body(()).unwrap();
    let (response, _) = requests.send_request(health, true).unwrap();
    assert_eq!(with_timeout(response).await.unwrap().status(), StatusCode::OK);
    let connect = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://localhost{ECHO_PATH}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("origin", "https://localhost");
    let (response, mut sending) = requests.send_request(connect.body(()).unwrap(), false).unwrap();
    let response = with_timeout(response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // A text frame with a zero mask, and its echo.
    sending
        .send_data(Bytes::from_static(b"\x81\x82\0\0\0\0hi"), false)
        .unwrap();
    let mut body = response.into_body();
    assert_eq!(
        with_timeout(body.data()).await.unwrap().unwrap(),
        b"\x81\x02hi".as_slice()
    );
}

#[tokio::test]
async fn a_failed_tls_handshake_is_counted_and_blocks_no_other_client() {
    let authority = CertificateAuthority::new();
    let node = node(&authority);
    let listening = node.listen().await;
    let _silent = listening.connect().await;
    let mut plain = listening.connect().await;
    with_timeout(plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = with_timeout(plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/"), "plain HTTP was answered");
    wait_until(async || node.state.counters.snapshot().failed_handshakes == 1).await;
    assert_eq!(handshake_status(&authority, &listening, SOCKET_PATH, &[]).await, 101);
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_times_out() {
    let authority = CertificateAuthority::new();
    let node = node(&authority);
    let (mut client, server) = duplex(PIPE_CAPACITY);
    let state = node.state.clone();
    let tls = state.tls.clone().unwrap();
    tokio::spawn(tls.serve_connection(server, None, node.router.clone(), state.gateway.clone()));
    let start = Instant::now();
    client.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(start.elapsed().as_secs(), limits::TLS_HANDSHAKE.as_secs());
    wait_until(async || state.counters.snapshot().failed_handshakes == 1).await;
}

/// The server's certificate on a new connection.
async fn server_certificate(authority: &CertificateAuthority, stream: TcpStream) -> Vec<u8> {
    let stream = authority.connect(stream, "localhost", &["http/1.1"]).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// The server polls the modification times of the files; the test advances the clock.
#[tokio::test]
async fn a_certificate_is_renewed_when_its_files_change() {
    let authority = CertificateAuthority::new();
    let node = node(&authority);
    let listening = node.listen().await;
    let old = server_certificate(&authority, listening.connect().await).await;
    let stream = authority
        .connect(listening.connect().await, "localhost", &["http/1.1"])
        .await;
    let (mut open, _) = open(stream, ECHO_PATH, &[]).await.unwrap();

    authority.renew();
    tokio::time::pause();
    tokio::time::advance(limits::CERTIFICATE_POLL + Duration::from_secs(1)).await;
    tokio::time::resume();
    wait_until(async || server_certificate(&authority, listening.connect().await).await != old).await;
    assert_eq!(open.send_and_receive("still here").await, Message::text("still here"));
    assert_eq!(node.state.counters.snapshot().failed_handshakes, 0);
}

#[tokio::test]
async fn sighup_reloads_the_certificate_and_keeps_the_old_one_if_the_new_one_is_invalid() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), CertificateAuthority::new());
    let (certificate, key) = (authority.certificate(), authority.key());
    let flags = [
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let server = Server::start_with_args(dir.path(), "127.0.0.1:0", &flags);
    let connect = async || TcpStream::connect(server.addr).await.unwrap();
    let old = server_certificate(&authority, connect().await).await;
    let stream = authority.connect(connect().await, "localhost", &["http/1.1"]).await;
    let (mut open, _) = open(stream, ECHO_PATH, &[]).await.unwrap();

    let key_before = fs::read(&key).unwrap();
    authority.renew();
    let key_after = fs::read(&key).unwrap();
    fs::write(&key, &key_before).unwrap();
    server.signal("HUP");
    assert_eq!(open.send_and_receive("one").await, Message::text("one"));
    assert_eq!(
        server_certificate(&authority, connect().await).await,
        old,
        "the new certificate was loaded without its key"
    );
    fs::write(&key, &key_after).unwrap();
    server.signal("HUP");
    wait_until(async || server_certificate(&authority, connect().await).await != old).await;
    assert_eq!(open.send_and_receive("two").await, Message::text("two"));
}

#[test]
fn a_certificate_that_does_not_match_its_key_fails_the_start_with_one_line() {
    let (dir, one, other) = (
        tempfile::tempdir().unwrap(),
        CertificateAuthority::new(),
        CertificateAuthority::new(),
    );
    let (certificate, key) = (one.certificate(), other.key());
    for (flags, why) in [
        (
            &[
                "--tls-cert",
                certificate.to_str().unwrap(),
                "--tls-key",
                key.to_str().unwrap(),
            ][..],
            "does not belong to the certificate",
        ),
        (&["--tls-cert", certificate.to_str().unwrap()], "must be given together"),
        (&["--public-url", "https://duplex.example/chat"], "--public-url"),
        (&["--trusted-proxy", "everybody"], "--trusted-proxy"),
    ] {
        let mut command = duplex_command(dir.path());
        let output = command
            .args(["--addr", "127.0.0.1:0", "--log", "off"])
            .args(flags)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && error.contains(why) && error.lines().count() == 1,
            "{error}"
        );
    }
}
