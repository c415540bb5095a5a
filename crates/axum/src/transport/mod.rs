//! The transports of sessions (WebSocket, server-sent events, long polling, posted commands) and their routes.

mod activity_meter;
mod command;
mod connection_log;
pub(crate) mod endpoint;
mod event_body;
pub(crate) mod event_streams;
pub(crate) mod faults;
#[cfg(test)]
mod fuzz_tests;
mod gzip;
pub(crate) mod handler;
pub(crate) mod handshake;
mod poll;
mod query;
mod record;
mod session;
pub(crate) mod simulation;
mod sse;
pub(crate) mod upgrade;
mod websocket;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use duplex_protocol::fault::FAULTS_PATH;
use duplex_protocol::session::{COMMAND_PATH, EVENTS_PATH, HISTORY_PATH, POLL_PATH, SESSION_PATH, SessionId};

use self::handshake::{UpgradeEndpoint, UpgradeError};
use self::upgrade::SubprotocolSelector;
use crate::connection::counters::ConnectionKind;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::IdentityRequest;
use crate::{limits, quota};

/// The routes of sessions: WebSocket, server-sent events, long polling, commands, history, and handshake records. Their paths are
/// the constants of [`duplex_protocol`], which clients use.
pub fn routes<S: Clone + Send + Sync + 'static>(gateway: Gateway) -> Router<S> {
    Router::new()
        .route("/api/handshake/{trace}", get(handshake_record))
        .route(SESSION_PATH, any(upgrade_session))
        .route(EVENTS_PATH, get(sse::events))
        .route(POLL_PATH, get(poll::poll))
        .route(
            COMMAND_PATH,
            post(command::command).layer(DefaultBodyLimit::max(limits::COMMAND_BODY)),
        )
        .route(HISTORY_PATH, get(command::history))
        .route(
            FAULTS_PATH,
            get(faults::get_report)
                .post(faults::post_fault)
                .layer(DefaultBodyLimit::max(limits::FAULT_BODY)),
        )
        .with_state(gateway)
}

async fn handshake_record(State(gateway): State<Gateway>, Path(trace): Path<String>) -> Response {
    match gateway.handshakes.get(&trace) {
        Some(record) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(record)).into_response(),
        None => Problem::not_found("No handshake record has this trace id.").into_response(),
    }
}

async fn upgrade_session(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let endpoint = UpgradeEndpoint {
        path: SESSION_PATH,
        kind: ConnectionKind::WebSocket,
        description: "topics, by the session protocol; its subprotocols are duplex.v2.json and duplex.v2.postcard.",
    };
    let (parts, _) = request.into_parts();
    let session = handshake::session(parts.uri.query());
    let identity_request = IdentityRequest {
        session: session.as_ref(),
        ..IdentityRequest::new(&parts.headers, &parts.extensions)
    };
    let caller = gateway.identify(identity_request).await?;
    if gateway.faults.is_blocked(&caller.person.id, ConnectionKind::WebSocket) {
        return Err(UpgradeError::Blocked.problem(endpoint));
    }
    let client = quota::client(&parts.extensions).with_person(&caller.person);
    Ok(upgrade::accept_upgrade(
        &gateway,
        parts,
        endpoint,
        client.clone(),
        caller.clone(),
        |parts, connection| {
            let protocol = handshake::negotiated_protocol(&parts.headers);
            let session = SessionId(connection.to_owned());
            let gate = gateway
                .faults
                .register(&session, &caller.person.id, ConnectionKind::WebSocket);
            let hub = gateway.hub_for_client(&caller.hub(&gateway.hub), client);
            let handler = session::SessionHandler::new(&gateway, hub, protocol, session, caller.person);
            (
                handshake::session_response_subprotocol as SubprotocolSelector,
                handler,
                gate,
            )
        },
    ))
}
