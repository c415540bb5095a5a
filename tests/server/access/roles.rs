//! Which endpoints and topics each token role grants, over every transport.

use std::time::Duration;

use axum::http::StatusCode;
use duplex::wire::notice::{Level, LocalizedText, Notice};
use duplex::wire::status::STATUS;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::session::{ClientFrame, CommandId, Denial, HISTORY_PATH, ServerFrame, Verdict};
use serde_json::json;

use super::{BACKUP, READ_ENDPOINTS, node, outcome, request, request_with_token, token};
use crate::harness::Node;
use crate::harness::visitor::{Transport, Visitor};

#[tokio::test]
async fn each_role_grants_only_its_endpoints() {
    let node = node();
    let roles = ["operator", "read", "notify", "device"];
    let tokens = roles.map(|role| token(&node, role, None).0);
    for endpoint in READ_ENDPOINTS {
        // One after the other: each request holds the route list lock.
        let mut responses = Vec::new();
        for token in &tokens {
            responses.push(request_with_token(&node, endpoint, token).await);
        }
        let statuses: Vec<_> = responses.iter().map(|response| response.status.as_u16()).collect();
        assert_eq!(statuses, [200, 200, 403, 403], "{endpoint:?}");
        assert!(
            responses[2].problem().contains("the role read"),
            "{}",
            responses[2].body
        );
    }
    for (index, role) in roles.iter().enumerate() {
        let response = request_with_token(&node, BACKUP, &tokens[index]).await;
        if *role == "operator" {
            // The in-memory log cannot be backed up.
            assert!(response.status.is_success() || response.status.is_server_error());
        } else {
            assert_eq!(response.status, StatusCode::FORBIDDEN, "{role}");
            assert!(response.problem().contains("the role operator"));
        }
    }
    let private = "/api/operator/events?topic=inbox/00000000000000aa";
    assert_eq!(
        request_with_token(&node, ("GET", private), &tokens[1]).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        request_with_token(&node, ("GET", private), &tokens[0]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn ingest_endpoints_accept_only_the_matching_role() {
    let node = node();
    let post = async |path: &str, body: serde_json::Value, role: &str| {
        let bearer = format!("Bearer {}", token(&node, role, None).0);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        request(&node, ("POST", path), &headers, &body.to_string()).await
    };
    let notice = json!({ "to": "everyone", "title": "hello" });
    let report = json!({ "readings": [{ "metric": "t", "value": 1 }] });
    for (role, notifies, oven, door) in [
        ("operator", 200, 200, 200),
        ("notify", 200, 403, 403),
        ("device", 403, 200, 200),
        ("device:oven-*", 403, 200, 403),
        ("read", 403, 403, 403),
    ] {
        let sent = post("/api/notifications", notice.clone(), role).await;
        assert_eq!(sent.status.as_u16(), notifies, "{role}");
        if notifies == 403 {
            assert!(sent.problem().contains("the role notify") && sent.problem().contains(role));
        }
        for (id, expected) in [("oven-1", oven), ("door", door)] {
            let path = format!("/api/devices/{id}/readings");
            let sent = post(&path, report.clone(), role).await;
            assert_eq!(sent.status.as_u16(), expected, "{role} {id}");
        }
    }
}

fn send_notice() -> serde_json::Value {
    json!({ "send": Notice {
        title: LocalizedText::untranslated("hello"),
        body: LocalizedText::untranslated(""),
        link: None,
        level: Level::Info,
        expires: None,
    } })
}

/// Sends a command over WebSocket and over HTTP; returns the outcome, which must be equal.
async fn send_command(node: &Node, token: &str, topic: &str, command: &serde_json::Value) -> &'static str {
    let mut program = Visitor::new(node, Transport::WebSocket(Encoding::Json))
        .await
        .with_token(token);
    let over_socket = program.command(topic, command).await;
    let (status, posted) = program.post(&frame(topic, command)).await;
    match (outcome(&over_socket), status, posted) {
        ("role", StatusCode::FORBIDDEN, None) => "role",
        (outcome_over_socket, StatusCode::OK, Some(ServerFrame::Reply { answer, .. })) => {
            assert_eq!(
                outcome_over_socket,
                outcome(&answer),
                "{topic}: the outcome differs over HTTP"
            );
            outcome_over_socket
        }
        (socket, status, posted) => panic!("{topic}: {socket} over WebSocket, {status} {posted:?} over HTTP"),
    }
}

fn frame(topic: &str, command: &serde_json::Value) -> ClientFrame {
    ClientFrame::Command {
        topic: topic.parse().unwrap(),
        id: CommandId::from_bits(uuid::Uuid::new_v4().as_u128()),
        command: EncodedValue(command.to_string().into_bytes()),
    }
}

#[tokio::test]
async fn a_program_session_writes_only_what_its_role_permits() {
    let node = node();
    let inbox = "inbox/00000000000000aa";
    let report = json!({ "report": { "readings": [{ "metric": "t", "value": 1 }] } });
    let order = json!({ "order": { "name": "reboot", "argument": "" } });
    let post = json!({ "post": { "text": "hello", "reply_to": null } });
    let read_all = json!({ "read_all": { "heads": {} } });
    for (role, expected) in [
        (
            "operator",
            ["accepted", "accepted", "accepted", "accepted", "accepted", "accepted"],
        ),
        ("notify", ["role", "accepted", "accepted", "role", "role", "role"]),
        ("device:oven-*", ["accepted", "role", "role", "role", "role", "role"]),
        ("device:door", ["role", "role", "role", "role", "role", "role"]),
        ("read", ["role", "role", "role", "role", "role", "role"]),
    ] {
        let (token, _) = token(&node, role, None);
        let outcomes = [
            send_command(&node, &token, "device/oven-1", &report).await,
            send_command(&node, &token, "notices/all", &send_notice()).await,
            send_command(&node, &token, inbox, &send_notice()).await,
            send_command(&node, &token, inbox, &read_all).await,
            send_command(&node, &token, "device/oven-1", &order).await,
            send_command(&node, &token, "chat/lobby", &post).await,
        ];
        assert_eq!(outcomes, expected, "{role}");
    }
}

#[tokio::test]
async fn no_role_reads_private_topics() {
    let node = node();
    let private = ["inbox/00000000000000aa", "alerts/00000000000000aa"];
    for role in ["read", "notify", "device"] {
        let (token, _) = token(&node, role, None);
        for transport in Transport::ALL {
            for topic in private {
                let mut program = Visitor::new(&node, transport).await.with_token(&token);
                let verdict = program.subscribe(topic, None).await;
                assert!(
                    matches!(
                        verdict,
                        Verdict::Denied {
                            reason: Denial::Forbidden
                        }
                    ),
                    "{role} {transport:?} {topic}"
                );
            }
            let mut program = Visitor::new(&node, transport).await.with_token(&token);
            let opens = matches!(program.subscribe(STATUS, None).await, Verdict::Reset { .. });
            assert_eq!(opens, role == "read", "{role} {transport:?}");
        }
        for topic in private {
            let path = format!("{HISTORY_PATH}?topic={topic}");
            assert_eq!(
                request_with_token(&node, ("GET", &path), &token).await.status,
                StatusCode::FORBIDDEN
            );
        }
    }
}

#[tokio::test]
async fn a_revoked_or_expired_token_is_rejected_with_the_reason() {
    let node = node();
    let (revoked, id) = token(&node, "read", None);
    assert_eq!(
        request_with_token(&node, READ_ENDPOINTS[0], &revoked).await.status,
        StatusCode::OK
    );
    node.state.access.tokens().revoke(&id).unwrap();
    let (expired, _) = token(&node, "read", Some(Duration::ZERO));
    for (token, reason) in [(&revoked, "revoked"), (&expired, "expired")] {
        for endpoint in [
            READ_ENDPOINTS[0],
            BACKUP,
            ("POST", "/api/notifications"),
            ("GET", "/chat"),
        ] {
            let response = request_with_token(&node, endpoint, token).await;
            assert_eq!(response.status, StatusCode::UNAUTHORIZED);
            assert!(response.problem().contains(reason), "{}", response.body);
            assert!(response.header("www-authenticate").contains("invalid_token"));
        }
    }
}
