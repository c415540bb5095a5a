//! Health checks have reserved connections: they are answered even if all other connections are in use.

use duplex::server::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{ListeningNode, Node, wait_until, with_timeout};

async fn get(listening: &ListeningNode, path: &str) -> String {
    let mut stream = listening.connect().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    with_timeout(stream.write_all(request.as_bytes())).await.unwrap();
    let mut response = String::new();
    let _ = with_timeout(stream.read_to_string(&mut response)).await;
    response
}

/// Opens `count` connections that send nothing.
async fn open_idle(listening: &ListeningNode, count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(listening.connect().await);
    }
    connections
}

#[tokio::test]
async fn a_full_node_answers_health_checks_and_503_to_other_requests() {
    let node = Node::with_settings(|settings| settings.max_connections = 1);
    let listening = node.listen().await;
    let idle = open_idle(
        &listening,
        limits::TCP_CONNECTIONS_PER_WEBSOCKET + limits::HEALTH_CONNECTIONS,
    )
    .await;
    for path in ["/healthz", "/readyz"] {
        let response = get(&listening, path).await;
        assert!(
            response.starts_with("HTTP/1.1 200 ") && response.ends_with("ok\n"),
            "{path}: {response}"
        );
    }
    let response = get(&listening, "/about").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(
        response.contains("retry-after: ") && response.contains("its connection limit"),
        "{response}"
    );
    drop(idle);
}

/// A request on a new connection is answered, however many idle connections exceed the limit.
#[tokio::test]
async fn connections_beyond_the_limit_do_not_delay_health_checks() {
    let node = Node::with_settings(|settings| settings.max_connections = 1);
    let listening = node.listen().await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.extend(open_idle(&listening, limits::HEALTH_CONNECTIONS).await);
        let response = get(&listening, "/healthz").await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    }
}

#[tokio::test]
async fn a_closed_connection_frees_its_slot() {
    let node = Node::with_settings(|settings| settings.max_connections = 1);
    let listening = node.listen().await;
    let idle = open_idle(&listening, limits::TCP_CONNECTIONS_PER_WEBSOCKET).await;
    assert!(get(&listening, "/about").await.starts_with("HTTP/1.1 503 "));
    drop(idle);
    wait_until(async || get(&listening, "/api/vitals").await.starts_with("HTTP/1.1 200 ")).await;
}
