//! The transports of sessions: WebSocket, server-sent events, long polling and posted commands, and their routes.

mod activity_meter;
mod command;
mod connection_log;
pub(crate) mod endpoint;
pub(crate) mod faults;
#[cfg(test)]
mod fuzz_tests;
pub(crate) mod handler;
pub(crate) mod handshake;
mod poll;
mod query;
mod record;
mod session;
pub(crate) mod simulation;
mod sse;
pub(crate) mod streams;
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
use self::upgrade::Choose;
use crate::connection::counters::TransportKind;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::IdentityRequest;
use crate::{limits, quota};

/// The routes of sessions: WebSocket, server-sent events, long polling, commands, history, and records of handshakes. Their paths
/// are those of [`duplex_protocol`], which clients know.
pub fn routes<S: Clone + Send + Sync + 'static>(gateway: Gateway) -> Router<S> {
    Router::new()
        .route("/api/handshake/{trace}", get(show_handshake))
        .route(SESSION_PATH, any(enter_session))
        .route(EVENTS_PATH, get(sse::events))
        .route(POLL_PATH, get(poll::poll))
        .route(
            COMMAND_PATH,
            post(command::command).layer(DefaultBodyLimit::max(limits::COMMAND_BODY)),
        )
        .route(HISTORY_PATH, get(command::history))
        .route(
            FAULTS_PATH,
            get(faults::show)
                .post(faults::order)
                .layer(DefaultBodyLimit::max(limits::FAULT_BODY)),
        )
        .with_state(gateway)
}

async fn show_handshake(State(gateway): State<Gateway>, Path(trace): Path<String>) -> Response {
    match gateway.handshakes.get(&trace) {
        Some(record) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(record)).into_response(),
        None => Problem::not_found("No connection is known under this name, or it ended too long ago.").into_response(),
    }
}

async fn enter_session(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let endpoint = UpgradeEndpoint {
        path: SESSION_PATH,
        kind: TransportKind::WebSocket,
        purpose: "topics, by the session protocol; its subprotocols are duplex.v2.json and duplex.v2.postcard.",
    };
    let (parts, _) = request.into_parts();
    let named = handshake::session(parts.uri.query());
    let asked = IdentityRequest {
        session: named.as_ref(),
        ..IdentityRequest::new(&parts.headers, &parts.extensions)
    };
    let caller = gateway.identify(asked).await?;
    if gateway.faults.is_blocked(&caller.person.id, TransportKind::WebSocket) {
        return Err(UpgradeError::Blocked.problem(endpoint));
    }
    let client = quota::client(&parts.extensions).known_as(&caller.person);
    Ok(upgrade::enter(
        &gateway,
        parts,
        endpoint,
        client.clone(),
        caller.clone(),
        |parts, connection| {
            let protocol = handshake::session_protocol(&parts.headers);
            let session = SessionId(connection.to_owned());
            let gate = gateway
                .faults
                .enter(&session, &caller.person.id, TransportKind::WebSocket);
            let hub = gateway.hub_for(&caller.hub(&gateway.hub), client);
            let handler = session::SessionHandler::new(&gateway, hub, protocol, session, caller.person);
            (handshake::session_subprotocol as Choose, handler, gate)
        },
    ))
}
