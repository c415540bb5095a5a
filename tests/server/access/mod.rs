//! Access control: requests of visitors and of programs without the required role, over every transport and endpoint.

mod brute_force;
mod cli;
mod devices;
mod loopback;
mod revocation;
mod roles;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use duplex::server::token::Token;
use duplex_hub::Role;
use duplex_protocol::session::{Answer, Denial, Rejection};

use crate::harness::{Node, Response};

const TOKEN: &str = "a-token-for-the-tests";

/// Endpoints that require the role read.
const READ_ENDPOINTS: [(&str, &str); 3] = [
    ("GET", "/metrics"),
    ("GET", "/api/topics"),
    ("GET", "/api/operator/events?topic=chat/lobby"),
];

const BACKUP: (&str, &str) = ("POST", "/api/operator/backup");

/// A node with the applications' topics and the operator token [`TOKEN`].
fn node() -> Node {
    node_with_demo(false)
}

fn node_with_demo(demo: bool) -> Node {
    Node::with_apps(|settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
        settings.demo = demo;
    })
}

/// Creates a token; returns its secret and its id.
fn token(node: &Node, role: &str, lifetime: Option<Duration>) -> (String, String) {
    let role: Role = role.parse().unwrap();
    let (secret, record) = node.state.access.tokens().create(role, "", lifetime).unwrap();
    (secret.as_str().to_owned(), record.id)
}

async fn request(node: &Node, (method, path): (&str, &str), headers: &[(&str, &str)], body: &str) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    node.page(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn request_with_token(node: &Node, endpoint: (&str, &str), token: &str) -> Response {
    request(node, endpoint, &[("authorization", &format!("Bearer {token}"))], "").await
}

async fn post_form(node: &Node, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "http://localhost"),
    ];
    request(node, ("POST", path), &[&form, headers].concat(), body).await
}

/// Signs in as an operator; returns the cookie `operator=…`.
async fn sign_in(node: &Node, token: &str) -> String {
    let response = post_form(node, "/api/operator/sign-in", &[], &format!("token={token}")).await;
    assert_eq!(response.header("location"), "/status");
    let (pair, attributes) = response.header("set-cookie").split_once("; ").unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict"));
    pair.to_owned()
}

/// The outcome of a command as one word.
fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Answer::Accepted { .. } => "accepted",
        Answer::Rejected(why) if why.as_missing_role().is_some() => "role",
        Answer::Rejected(Rejection::Denied(Denial::Forbidden)) => "forbidden",
        Answer::Rejected(_) => "rejected",
    }
}
