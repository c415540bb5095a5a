//! Who may do what: attacks of strangers and of programs with too little a role, on every way in.

mod commands;
mod devices;
mod endings;
mod guesses;
mod neighbours;
mod roles;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use duplex::server::token::Token;
use duplex_hub::Role;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer as Reply, Denied, Rejection};

use crate::harness::topics::Way;
use crate::harness::{Answer, Node};

const TOKEN: &str = "a-token-for-the-tests";

const READABLE: [(&str, &str); 3] = [
    ("GET", "/metrics"),
    ("GET", "/api/topics"),
    ("GET", "/api/operator/events?topic=chat/lobby"),
];

const BACKUP: (&str, &str) = ("POST", "/api/operator/backup");

const WAYS: [Way; 4] = [
    Way::WebSocket(Encoding::Json),
    Way::WebSocket(Encoding::Postcard),
    Way::Sse,
    Way::Poll,
];

/// With the applications' topics.
fn node() -> Node {
    node_with(false)
}

fn node_with(demo: bool) -> Node {
    Node::of_apps(|settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
        settings.demo = demo;
    })
}

fn token(node: &Node, role: &str, life: Option<Duration>) -> (String, String) {
    let role: Role = role.parse().unwrap();
    let (secret, record) = node.state.access.tokens().create(role, "", life).unwrap();
    (secret.as_str().to_owned(), record.id)
}

async fn ask(node: &Node, (method, path): (&str, &str), headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    node.page(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn show(node: &Node, address: (&str, &str), token: &str) -> Answer {
    ask(node, address, &[("authorization", &format!("Bearer {token}"))], "").await
}

async fn form(node: &Node, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "http://localhost"),
    ];
    ask(node, ("POST", path), &[&form, headers].concat(), body).await
}

/// `operator=…`, of a session that was just begun.
async fn sign_in(node: &Node, token: &str) -> String {
    let entered = form(node, "/api/operator/sign-in", &[], &format!("token={token}")).await;
    assert_eq!(entered.header("location"), "/status");
    let (pair, attributes) = entered.header("set-cookie").split_once("; ").unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict"));
    pair.to_owned()
}

fn said(answer: &Reply) -> &'static str {
    match answer {
        Reply::Accepted { .. } => "accepted",
        Reply::Rejected(why) if why.role_needed().is_some() => "role",
        Reply::Rejected(Rejection::Denied(Denied::Forbidden)) => "forbidden",
        Reply::Rejected(_) => "rejected",
    }
}
