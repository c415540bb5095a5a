//! A loopback address grants no rights: a local proxy or tunnel makes every client loopback.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use axum::http::StatusCode;

use super::{BACKUP, READ_ENDPOINTS, node, request};
use crate::harness::process::{Server, minimal_site, run};

/// The status lines of two requests from loopback: one as a bare `proxy_pass http://127.0.0.1:3000;` forwards it, and one as it
/// comes through a tunnel from a browser that opened `localhost`.
fn loopback_statuses(server: &Server, method: &str, path: &str) -> String {
    let mut statuses = String::new();
    for (version, host) in [("1.0", server.addr.to_string()), ("1.1", "localhost".to_owned())] {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        let head =
            format!("{method} {path} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        statuses.push_str(String::from_utf8_lossy(&response).lines().next().unwrap());
        statuses.push('\n');
    }
    statuses
}

#[test]
fn a_loopback_address_grants_no_permission() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    for (method, path) in READ_ENDPOINTS.into_iter().chain([BACKUP]) {
        let statuses = loopback_statuses(&server, method, path);
        assert_eq!(statuses.matches(" 401 ").count(), 2, "{method} {path}: {statuses}");
    }
    let faults = loopback_statuses(&server, "GET", "/api/faults?session=a");
    assert!(!faults.contains("\"on\":true"), "{faults}");
    drop(server);

    let trusting = Server::start_with_args(dir.path(), "127.0.0.1:0", &["--trust-local"]);
    let statuses = loopback_statuses(&trusting, "GET", "/metrics");
    assert_eq!(statuses.matches(" 200 ").count(), 2, "{statuses}");
    drop(trusting);
    let site = minimal_site(dir.path());
    let public_args = ["--addr", "0.0.0.0:0", "--trust-local", "--site", site.to_str().unwrap()];
    let rejected = run(dir.path(), &public_args);
    assert!(!rejected.status.success() && rejected.stdout.is_empty(), "{rejected:?}");
    assert!(String::from_utf8_lossy(&rejected.stderr).contains("--trust-local is for"));
}

#[tokio::test]
async fn no_host_name_grants_permission() {
    let node = node();
    for host in ["localhost", "127.0.0.1:3000", "[::1]"] {
        for endpoint in READ_ENDPOINTS.into_iter().chain([BACKUP]) {
            let response = request(&node, endpoint, &[("host", host)], "").await;
            assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{host} {endpoint:?}");
        }
    }
    assert!(node.get("/api/faults?session=a").await.body.contains("\"on\":false"));
}
