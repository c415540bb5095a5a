//! Health checks have places of their own: they are answered when every connection is taken, and when everybody asks.

use duplex::server::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{ListeningNode, Node, wait_until, with_timeout};

async fn ask(listening: &ListeningNode, path: &str) -> String {
    let mut stream = listening.connect().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    with_timeout(stream.write_all(request.as_bytes())).await.unwrap();
    let mut answer = String::new();
    let _ = with_timeout(stream.read_to_string(&mut answer)).await;
    answer
}

/// As many as there may be, and more, none of which ask for anything.
async fn fill(listening: &ListeningNode, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(listening.connect().await);
    }
    held
}

#[tokio::test]
async fn a_full_node_answers_health_checks_and_503_to_other_requests() {
    let node = Node::with_settings(|settings| settings.max_connections = 1);
    let listening = node.listen().await;
    let held = fill(&listening, limits::TCP_PER_SOCKET + limits::HEALTH_CONNECTIONS).await;
    for path in ["/healthz", "/readyz"] {
        let answer = ask(&listening, path).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"),
            "{path}: {answer}"
        );
    }
    let answer = ask(&listening, "/about").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.contains("retry-after: ") && answer.contains("as many connections as it may"),
        "{answer}"
    );
    drop(held);
}

/// However many come beyond the last place, who asks at once is answered.
#[tokio::test]
async fn connections_beyond_the_limit_do_not_delay_health_checks() {
    let node = Node::with_settings(|settings| settings.max_connections = 1);
    let listening = node.listen().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.extend(fill(&listening, limits::HEALTH_CONNECTIONS).await);
        let answer = ask(&listening, "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_closed_connection_frees_its_slot() {
    let node = Node::with_settings(|settings| settings.max_connections = 1);
    let listening = node.listen().await;
    let held = fill(&listening, limits::TCP_PER_SOCKET).await;
    assert!(ask(&listening, "/about").await.starts_with("HTTP/1.1 503 "));
    drop(held);
    wait_until(async || ask(&listening, "/api/vitals").await.starts_with("HTTP/1.1 200 ")).await;
}
