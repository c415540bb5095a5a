//! Sessions and connections are closed when their credential is revoked or expires.

use std::time::Duration;

use axum::http::StatusCode;
use duplex::wire::status::STATUS;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, CloseReason, EVENTS_PATH, ServerFrame, Verdict};
use serde_json::json;

use super::{READ_ENDPOINTS, TOKEN, node, post_form, request, request_with_token, sign_in, token};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::with_timeout;

/// Reads up to the close frame; returns its code and reason.
async fn close_frame(visitor: &mut Visitor<'_>) -> (u16, String) {
    loop {
        let message = visitor.websocket().await.receive().await;
        if let tokio_tungstenite::tungstenite::Message::Close(frame) = message {
            let frame = frame.unwrap();
            return (frame.code.into(), frame.reason.to_string());
        }
    }
}

#[tokio::test]
async fn a_websocket_closes_when_its_credential_ends() {
    let node = node();
    let (revoked, id) = token(&node, "operator", None);
    let (expiring, _) = token(&node, "operator", Some(Duration::from_millis(300)));
    let cookie = sign_in(&node, TOKEN).await;
    let transport = Transport::WebSocket(Encoding::Json);
    let mut visitors = [
        Visitor::new(&node, transport).await.with_token(&revoked),
        Visitor::new(&node, transport).await.with_token(&expiring),
        Visitor::new(&node, transport).await.with_cookie(&cookie),
    ];
    for visitor in &mut visitors {
        assert!(matches!(visitor.subscribe(STATUS, None).await, Verdict::Reset { .. }));
    }
    let mut stranger = Visitor::new(&node, transport).await;
    stranger.subscribe("chat/lobby", None).await;
    node.state.access.tokens().revoke(&id).unwrap();
    post_form(&node, "/api/operator/sign-out", &[("cookie", &cookie)], "").await;
    let mut close_frames = Vec::new();
    for visitor in &mut visitors {
        close_frames.push(close_frame(visitor).await);
    }
    assert_eq!(close_frames[0], (4502, "the token is revoked".to_owned()));
    assert_eq!(close_frames[1], (4502, "the token has expired".to_owned()));
    assert_eq!(close_frames[2], (4502, "the operator's session has ended".to_owned()));
    let post = json!({ "post": { "text": "hello", "reply_to": null } });
    assert!(matches!(
        stranger.command("chat/lobby", &post).await,
        Answer::Accepted { .. }
    ));
}

#[tokio::test]
async fn an_event_stream_closes_when_its_token_is_revoked() {
    let node = node();
    for transport in [Transport::Sse, Transport::Poll] {
        let (secret, id) = token(&node, "read", None);
        let mut program = Visitor::new(&node, transport).await.with_token(&secret);
        assert!(matches!(program.subscribe(STATUS, None).await, Verdict::Reset { .. }));
        let closing = async {
            loop {
                if let ServerFrame::Closing { reason, .. } = program.next_frame().await {
                    return reason;
                }
            }
        };
        let revoking = async {
            tokio::task::yield_now().await;
            node.state.access.tokens().revoke(&id).unwrap();
        };
        if transport == Transport::Sse {
            assert_eq!(
                tokio::join!(with_timeout(closing), revoking).0,
                CloseReason::Ended,
                "{transport:?}"
            );
        } else {
            // The next poll is rejected like any other request.
            revoking.await;
            assert_eq!(
                request_with_token(&node, ("GET", EVENTS_PATH), &secret).await.status,
                StatusCode::UNAUTHORIZED
            );
        }
    }
}

#[tokio::test]
async fn operator_cookies_are_random_and_end_at_sign_out() {
    let node = node();
    let (one, other) = (sign_in(&node, TOKEN).await, sign_in(&node, TOKEN).await);
    assert_ne!(one, other);
    let open = async |cookie: &str| {
        request(&node, READ_ENDPOINTS[0], &[("cookie", cookie)], "")
            .await
            .status
            == StatusCode::OK
    };
    assert!(open(&one).await && open(&other).await);
    post_form(&node, "/api/operator/sign-out", &[("cookie", &one)], "").await;
    assert!(!open(&one).await, "a copy of the cookie is invalid");
    assert!(open(&other).await);
    // In earlier versions the cookie was a hash of the token.
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(format!("duplex operator {TOKEN}"));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    for forged in [
        format!("operator={hash}"),
        format!("operator={TOKEN}"),
        "operator=".to_owned(),
    ] {
        assert!(!open(&forged).await, "{forged}");
    }
}

#[tokio::test]
async fn an_operator_session_ends_when_its_token_is_revoked() {
    let node = node();
    let (secret, id) = token(&node, "operator", None);
    let cookie = sign_in(&node, &secret).await;
    let status = async || {
        request(&node, READ_ENDPOINTS[0], &[("cookie", &cookie)], "")
            .await
            .status
    };
    assert_eq!(status().await, StatusCode::OK);
    node.state.access.tokens().revoke(&id).unwrap();
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
    let (reader, _) = token(&node, "read", None);
    let rejected = post_form(&node, "/api/operator/sign-in", &[], &format!("token={reader}")).await;
    assert_eq!(
        (rejected.header("location"), rejected.header("set-cookie")),
        ("/status?refused", "")
    );
}
