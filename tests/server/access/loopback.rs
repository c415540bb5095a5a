//! Who comes from next door, through a proxy or a tunnel, is a stranger.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use axum::http::StatusCode;

use super::{BACKUP, READABLE, ask, node};
use crate::harness::process::{Server, minimal_site, run};

/// What a proxy makes of a visitor's request that is set up by `proxy_pass http://127.0.0.1:3000;` alone, and what comes through a
/// tunnel from a browser that was told of `localhost`.
fn from_next_door(server: &Server, method: &str, path: &str) -> String {
    let mut answers = String::new();
    for (version, host) in [("1.0", server.addr.to_string()), ("1.1", "localhost".to_owned())] {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        let head =
            format!("{method} {path} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answers.push_str(String::from_utf8_lossy(&answer).lines().next().unwrap());
        answers.push('\n');
    }
    answers
}

#[test]
fn a_loopback_address_grants_no_permission() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for (method, path) in READABLE.into_iter().chain([BACKUP]) {
        let answers = from_next_door(&server, method, path);
        assert_eq!(answers.matches(" 401 ").count(), 2, "{method} {path}: {answers}");
    }
    let faults = from_next_door(&server, "GET", "/api/faults?session=a");
    assert!(!faults.contains("\"on\":true"), "{faults}");
    drop(server);

    let trusting = Server::start_with_args(folder.path(), "127.0.0.1:0", &["--trust-local"]);
    let answers = from_next_door(&trusting, "GET", "/metrics");
    assert_eq!(answers.matches(" 200 ").count(), 2, "{answers}");
    drop(trusting);
    let site = minimal_site(folder.path());
    let open = ["--addr", "0.0.0.0:0", "--trust-local", "--site", site.to_str().unwrap()];
    let refused = run(folder.path(), &open);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--trust-local is for"));
}

#[tokio::test]
async fn no_host_name_grants_permission() {
    let node = node();
    for host in ["localhost", "127.0.0.1:3000", "[::1]"] {
        for address in READABLE.into_iter().chain([BACKUP]) {
            let answer = ask(&node, address, &[("host", host)], "").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{host} {address:?}");
        }
    }
    assert!(node.get("/api/faults?session=a").await.body.contains("\"on\":false"));
}
