//! The ways in: the doors of the endpoints, what stands behind each, and the records of who came in.
//! Knows the hub and HTTP; not what an application does with a message, and no engine.

mod door;
mod meter;
mod record;
mod websocket;

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::upgrade::OnUpgrade;
use tracing::Instrument as _;
use uuid::Uuid;

use self::door::Refusal;
use self::websocket::{Conversation, End};
use super::error::Problem;
use super::hub::Endpoint;
use super::hub::counters::Open;
use super::state::ServerState;
use crate::wire::handshake::Ended;

/// A route for each endpoint, for every method: HTTP/1.1 opens with GET, HTTP/2 with CONNECT.
pub fn routes(endpoints: impl IntoIterator<Item = Endpoint>) -> Router<ServerState> {
    endpoints.into_iter().fold(
        Router::new().route("/api/handshake/{trace}", get(show_handshake)),
        |router, endpoint| {
            router.route(
                endpoint.path,
                any(async move |state, request| enter(state, request, endpoint)),
            )
        },
    )
}

async fn show_handshake(State(state): State<ServerState>, Path(trace): Path<String>) -> Response {
    match state.handshakes.get(&trace) {
        Some(record) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(record)).into_response(),
        None => Problem::not_found("No connection is known under this name, or it ended too long ago.").into_response(),
    }
}

fn enter(State(state): State<ServerState>, request: Request, endpoint: Endpoint) -> Response {
    let (mut parts, _) = request.into_parts();
    match admit(&state, &mut parts) {
        Ok(guest) => open(state, &parts, endpoint, guest),
        Err(refusal) => {
            tracing::debug!(path = endpoint.path, "refused: {refusal}");
            refusal.problem(&endpoint).into_response()
        }
    }
}

/// What is needed to open a connection.
struct Guest {
    upgrade: OnUpgrade,
    counted: Open,
}

fn admit(state: &ServerState, parts: &mut Parts) -> Result<Guest, Refusal> {
    door::check_handshake(parts)?;
    if state.shutdown.has_begun() {
        return Err(Refusal::Leaving);
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Refusal::NotAnUpgrade)?;
    let counted = state
        .counters
        .open(state.settings.max_connections as u64)
        .ok_or(Refusal::Full)?;
    Ok(Guest { upgrade, counted })
}

fn open(state: ServerState, parts: &Parts, endpoint: Endpoint, guest: Guest) -> Response {
    let connection = Uuid::now_v7().to_string();
    let response = accept(parts);
    let trace = door::trace(parts.uri.query()).map(str::to_owned);
    if let Some(trace) = &trace {
        let record = record::answer(
            record::begin(connection.clone(), parts),
            response.status(),
            response.headers(),
        );
        state.handshakes.open(trace, record);
    }
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| tracing::field::display(*peer));
    let span = tracing::info_span!("socket", %connection, path = endpoint.path, peer);
    let visit = Visit {
        connection,
        trace,
        state: state.clone(),
    };
    state.shutdown.spawn(visit.run(endpoint, guest).instrument(span));
    response
}

/// HTTP/1.1 switches protocols with the key's answer (RFC 6455 section 4.2.2); HTTP/2 just agrees (RFC 8441 section 5).
fn accept(parts: &Parts) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(std::time::SystemTime::now())) {
        headers.insert(header::DATE, date);
    }
    if let Some(protocol) = door::subprotocol(&parts.headers) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    if parts.version < Version::HTTP_2 {
        switch_protocols(headers, &parts.headers);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    }
    response
}

fn switch_protocols(answer: &mut HeaderMap, request: &HeaderMap) {
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let key = request
        .get(header::SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if let Ok(accept) = HeaderValue::from_str(&websocket::derive_accept_key(key)) {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
}

/// A connection from its opening to its last line in the log.
struct Visit {
    connection: String,
    trace: Option<String>,
    state: ServerState,
}

impl Visit {
    async fn run(self, endpoint: Endpoint, Guest { upgrade, counted }: Guest) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!("the upgrade failed: {error}");
                return self.leave(End::lost("the upgrade failed"), counted);
            }
        };
        tracing::info!("클라이언트 연결됨");
        let (end, line) = Conversation::new(endpoint, &self.state).run(upgraded).await;
        tracing::info!(by = ?end.by, code = end.code, reason = ?end.reason, "클라이언트 연결 종료");
        self.leave(end, counted);
        line.hang_up().await;
    }

    /// Before the peer sees the end, its record is complete and it is no longer counted.
    fn leave(self, end: End, counted: Open) {
        let ended = Ended {
            by: end.by,
            code: end.code,
            reason: end.reason.into_owned(),
            at: record::unix_millis(),
        };
        if let Some(trace) = &self.trace {
            self.state.handshakes.end(trace, &self.connection, ended);
        }
        drop(counted);
    }
}
