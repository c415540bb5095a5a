//! The upgrade of a request to a WebSocket connection: checks and answers the handshake, stores its record, and runs the connection in a
//! task of its own.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use duplex_hub::quota::ClientKey;
use duplex_protocol::handshake::ConnectionEnd;
use hyper::upgrade::OnUpgrade;
use tracing::Instrument as _;
use uuid::Uuid;

use super::faults::FaultGate;
use super::handler::ConnectionHandler;
use super::handshake::{self, UpgradeEndpoint, UpgradeError};
use super::websocket::{self, CloseInfo, Connection, DeflateParams};
use super::{connection_log, record};
use crate::client_addr::LoggedClient;
use crate::connection::ActiveExchange;
use crate::connection::counters::{ConnectionGuard, ConnectionKind};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::quota;

/// Upgrades `request` to a WebSocket, and runs the [`ConnectionHandler`] that `handler` returns on the connection. The route must
/// accept every method ([`axum::routing::any`]): HTTP/1.1 opens a WebSocket with GET (RFC 6455 section 4), HTTP/2 with CONNECT (RFC
/// 8441).
///
/// The first subprotocol that the client offers is accepted.
///
/// # Errors
///
/// The app's response, if [`Identify`](crate::identity::Identify) rejects the caller. An invalid handshake is answered with an `Ok`
/// response that contains the reason.
pub async fn upgrade<T: ConnectionHandler + 'static>(
    gateway: &Gateway,
    request: Request,
    endpoint: UpgradeEndpoint,
    handler: impl FnOnce(&Caller) -> T,
) -> Result<Response, Problem> {
    let client = quota::client(request.extensions());
    let (parts, _) = request.into_parts();
    let identity_request = IdentityRequest::new(&parts.headers, &parts.extensions).as_visitor();
    let caller = gateway.identify(identity_request).await?;
    Ok(accept_upgrade(
        gateway,
        parts,
        endpoint,
        client,
        caller.clone(),
        |_, _| {
            (
                handshake::first_offered_subprotocol,
                handler(&caller),
                FaultGate::default(),
            )
        },
    ))
}

/// Selects the subprotocol.
pub(crate) type SubprotocolSelector = fn(&HeaderMap) -> Option<HeaderValue>;

/// Opens a WebSocket for `caller`, or responds with an error. `make_handler` returns the subprotocol selector, the handler of the
/// connection with this id, and its injected faults.
pub(crate) fn accept_upgrade<H: ConnectionHandler + 'static>(
    gateway: &Gateway,
    mut parts: Parts,
    endpoint: UpgradeEndpoint,
    client: ClientKey,
    caller: Caller,
    make_handler: impl FnOnce(&Parts, &str) -> (SubprotocolSelector, H, FaultGate),
) -> Response {
    let accepted = match check_upgrade(gateway, &client, &mut parts, endpoint.kind) {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(path = endpoint.path, "rejected: {error}");
            return error.problem(endpoint).into_response();
        }
    };
    let id = Uuid::now_v7().to_string();
    let (select, handler, gate) = make_handler(&parts, &id);
    let deflate = websocket::negotiate(&parts.headers);
    let connection = Connection::new(handler, gateway, gate, caller.into_login(), deflate);
    let response = switching_response(&parts, select(&parts.headers), deflate);
    let peer = LoggedClient::from_extensions(&parts.extensions).map(tracing::field::display);
    let span = tracing::info_span!("socket", connection = %id, path = endpoint.path, peer);
    let AcceptedUpgrade { upgrade, guard } = accepted;
    let task = ConnectionTask::new(gateway, &parts, id, endpoint, &response, guard);
    // Boxed: a future stores its arguments twice, and passes them on to futures that do the same.
    let running = Box::new(task).run(Box::new(connection), upgrade);
    gateway.shutdown.spawn(running.instrument(span));
    response
}

/// A checked upgrade, counted towards the limits.
struct AcceptedUpgrade {
    upgrade: OnUpgrade,
    guard: ConnectionGuard,
}

fn check_upgrade(
    state: &Gateway,
    client: &ClientKey,
    parts: &mut Parts,
    kind: ConnectionKind,
) -> Result<AcceptedUpgrade, UpgradeError> {
    handshake::check_handshake(parts)?;
    if state.shutdown.has_begun() {
        return Err(UpgradeError::ShuttingDown);
    }
    let upgrade = parts
        .extensions
        .remove::<OnUpgrade>()
        .ok_or(UpgradeError::NotAnUpgrade)?;
    let quota = state.acquire_client_quota(client).map_err(UpgradeError::Exceeded)?;
    let limit = state.settings.max_connections as u64;
    let guard = match kind {
        ConnectionKind::Signals => state.counters.try_acquire_signals(limit),
        _ => state.counters.try_acquire_connection(limit),
    };
    let guard = guard.ok_or(UpgradeError::Full)?.with_quota(quota).with_kind(kind);
    Ok(AcceptedUpgrade { upgrade, guard })
}

/// The response to a handshake: 101 with `Sec-WebSocket-Accept` in HTTP/1.1 (RFC 6455 section 4.2.2), 200 in HTTP/2 (RFC 8441
/// section 5).
fn switching_response(parts: &Parts, protocol: Option<HeaderValue>, deflate: Option<DeflateParams>) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(std::time::SystemTime::now())) {
        headers.insert(header::DATE, date);
    }
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    if let Some(extension) = deflate.and_then(|deflate| HeaderValue::try_from(deflate.response()).ok()) {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extension);
    }
    if parts.version < Version::HTTP_2 {
        insert_upgrade_headers(headers, &parts.headers);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    }
    response
}

fn insert_upgrade_headers(response: &mut HeaderMap, request: &HeaderMap) {
    response.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let key = request
        .get(header::SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if let Ok(accept) = HeaderValue::from_str(&websocket::accept_key(key)) {
        response.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
}

/// The task of a connection, from its opening to its last log line.
struct ConnectionTask {
    id: String,
    trace: Option<String>,
    gateway: Gateway,
    /// Whether the connection's start and end are logged at level info. Signal sockets are not logged: they open and close together
    /// with the page's session.
    is_logged: bool,
    /// Counts the connection.
    guard: ConnectionGuard,
    /// Keeps the underlying HTTP/2 connection in use.
    _exchange: Option<Arc<ActiveExchange>>,
}

impl ConnectionTask {
    /// Stores the connection's handshake record, if its page sent a trace id.
    fn new(
        gateway: &Gateway,
        parts: &Parts,
        id: String,
        endpoint: UpgradeEndpoint,
        response: &Response,
        guard: ConnectionGuard,
    ) -> Self {
        let trace = handshake::trace(parts.uri.query()).map(str::to_owned);
        if let Some(trace) = &trace {
            let record = record::from_request(id.clone(), parts);
            let record = record::with_response(record, response.status(), response.headers());
            gateway.handshakes.open(trace, record);
        }
        Self {
            id,
            trace,
            gateway: gateway.clone(),
            is_logged: endpoint.kind != ConnectionKind::Signals && connection_log::should_log(),
            guard,
            _exchange: parts
                .extensions
                .get()
                .filter(|_| parts.version == Version::HTTP_2)
                .cloned(),
        }
    }

    async fn run<T: ConnectionHandler>(self: Box<Self>, connection: Box<Connection<T>>, upgrade: OnUpgrade) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!("the upgrade failed: {error}");
                return self.finish(CloseInfo::lost("the upgrade failed"));
            }
        };
        if self.is_logged {
            tracing::info!("client connected");
        }
        let (end, stream) = connection.run(upgraded).await;
        if self.is_logged {
            tracing::info!(by = ?end.by, code = end.code, reason = ?end.reason, "client disconnected");
        } else {
            tracing::debug!(by = ?end.by, code = end.code, reason = ?end.reason, "connection ended");
        }
        self.finish(end);
        // Boxed: it runs once, and its state would enlarge every idle connection.
        Box::pin(stream.linger()).await;
    }

    /// Completes the record and drops the guard. Runs before `linger` shuts the stream down.
    fn finish(self, end: CloseInfo) {
        let ended = ConnectionEnd {
            by: end.by,
            code: end.code,
            reason: end.reason.into_owned(),
            at: duplex_hub::now(),
        };
        if let Some(trace) = &self.trace {
            self.gateway.handshakes.end(trace, &self.id, ended);
        }
        drop(self.guard);
    }
}
