//! From a request to a WebSocket connection: the handshake is checked and answered, a record of it is kept, and the connection runs in
//! a task of its own.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use duplex_hub::quota::Client;
use duplex_protocol::handshake::Ended;
use hyper::upgrade::OnUpgrade;
use tracing::Instrument as _;
use uuid::Uuid;

use super::faults::FaultGate;
use super::handler::ConnectionHandler;
use super::handshake::{self, UpgradeEndpoint, UpgradeError};
use super::websocket::{self, Connection, ConnectionEnd};
use super::{connection_log, record};
use crate::client_addr::ClientName;
use crate::connection::ActiveExchange;
use crate::connection::counters::{ConnectionGuard, TransportKind};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::quota;

/// Opens a WebSocket for the visitor who sends `request`, and runs what `handler` makes on the connection. The route must take
/// every method ([`axum::routing::any`]): HTTP/1.1 opens a WebSocket by GET (RFC 6455 section 4), HTTP/2 by CONNECT (RFC 8441).
///
/// The first subprotocol that the client offers is accepted.
///
/// # Errors
///
/// The login's response, if it refuses the caller. A handshake that cannot be answered is no error here: its response says why.
pub async fn upgrade<T: ConnectionHandler + 'static>(
    gateway: &Gateway,
    request: Request,
    endpoint: UpgradeEndpoint,
    handler: impl FnOnce(&Caller) -> T,
) -> Result<Response, Problem> {
    let client = quota::client(request.extensions());
    let (parts, _) = request.into_parts();
    let asked = IdentityRequest::new(&parts.headers, &parts.extensions).as_visitor();
    let caller = gateway.identify(asked).await?;
    Ok(enter(gateway, parts, endpoint, client, caller.clone(), |_, _| {
        (handshake::subprotocol, handler(&caller), FaultGate::default())
    }))
}

/// Chooses the subprotocol.
pub(crate) type Choose = fn(&HeaderMap) -> Option<HeaderValue>;

/// Opens a WebSocket for `caller`, or responds why not. `meet` makes the handler for the connection of this id, and the faults that may
/// disturb it.
pub(crate) fn enter<H: ConnectionHandler + 'static>(
    gateway: &Gateway,
    mut parts: Parts,
    endpoint: UpgradeEndpoint,
    client: Client,
    caller: Caller,
    meet: impl FnOnce(&Parts, &str) -> (Choose, H, FaultGate),
) -> Response {
    let accepted = match admit(gateway, &client, &mut parts, endpoint.kind) {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(path = endpoint.path, "refused: {error}");
            return error.problem(endpoint).into_response();
        }
    };
    let id = Uuid::now_v7().to_string();
    let (choose, handler, gate) = meet(&parts, &id);
    let connection = Connection::new(handler, gateway, gate, caller);
    let response = accept(&parts, choose(&parts.headers));
    let peer = ClientName::of(&parts.extensions).map(tracing::field::display);
    let span = tracing::info_span!("socket", connection = %id, path = endpoint.path, peer);
    let task = ConnectionTask::new(gateway, &parts, id, endpoint, &response);
    gateway.shutdown.spawn(task.run(connection, accepted).instrument(span));
    response
}

/// What is needed to open a connection.
struct AcceptedUpgrade {
    upgrade: OnUpgrade,
    counted: ConnectionGuard,
}

fn admit(
    state: &Gateway,
    client: &Client,
    parts: &mut Parts,
    kind: TransportKind,
) -> Result<AcceptedUpgrade, UpgradeError> {
    handshake::check_handshake(parts)?;
    if state.shutdown.has_begun() {
        return Err(UpgradeError::Leaving);
    }
    let upgrade = parts
        .extensions
        .remove::<OnUpgrade>()
        .ok_or(UpgradeError::NotAnUpgrade)?;
    let held = state.hold_connection(client).map_err(UpgradeError::Exceeded)?;
    let limit = state.settings.max_connections as u64;
    let counted = match kind {
        TransportKind::Signals => state.counters.open_signals(limit),
        _ => state.counters.open(limit),
    };
    let counted = counted.ok_or(UpgradeError::Full)?.holding(held).with_kind(kind);
    Ok(AcceptedUpgrade { upgrade, counted })
}

/// The response to a handshake: 101 with `Sec-WebSocket-Accept` in HTTP/1.1 (RFC 6455 section 4.2.2), 200 in HTTP/2 (RFC 8441
/// section 5).
fn accept(parts: &Parts, protocol: Option<HeaderValue>) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(std::time::SystemTime::now())) {
        headers.insert(header::DATE, date);
    }
    if let Some(protocol) = protocol {
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
struct ConnectionTask {
    id: String,
    trace: Option<String>,
    gateway: Gateway,
    /// Whether its begin and end are logged at level info. A page's second socket comes and goes with its first.
    told: bool,
    /// Keeps the HTTP/2 connection below in use.
    _exchange: Option<Arc<ActiveExchange>>,
}

impl ConnectionTask {
    /// Begins the connection's record, if its page gave it a name.
    fn new(gateway: &Gateway, parts: &Parts, id: String, endpoint: UpgradeEndpoint, response: &Response) -> Self {
        let trace = handshake::trace(parts.uri.query()).map(str::to_owned);
        if let Some(trace) = &trace {
            let record = record::begin(id.clone(), parts);
            let record = record::answer(record, response.status(), response.headers());
            gateway.handshakes.open(trace, record);
        }
        Self {
            id,
            trace,
            gateway: gateway.clone(),
            told: endpoint.kind != TransportKind::Signals && connection_log::takes(),
            _exchange: parts.extensions.get().cloned(),
        }
    }

    async fn run<T: ConnectionHandler>(
        self,
        connection: Connection<T>,
        AcceptedUpgrade { upgrade, counted }: AcceptedUpgrade,
    ) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!("the upgrade failed: {error}");
                return self.leave(ConnectionEnd::lost("the upgrade failed"), counted);
            }
        };
        if self.told {
            tracing::info!("client connected");
        }
        let (end, line) = connection.run(upgraded).await;
        if self.told {
            tracing::info!(by = ?end.by, code = end.code, reason = ?end.reason, "client disconnected");
        } else {
            tracing::debug!(by = ?end.by, code = end.code, reason = ?end.reason, "connection ended");
        }
        self.leave(end, counted);
        line.hang_up().await;
    }

    /// Completes the record and gives the place back, before the peer sees the end.
    fn leave(self, end: ConnectionEnd, counted: ConnectionGuard) {
        let ended = Ended {
            by: end.by,
            code: end.code,
            reason: end.reason.into_owned(),
            at: duplex_hub::now(),
        };
        if let Some(trace) = &self.trace {
            self.gateway.handshakes.end(trace, &self.id, ended);
        }
        drop(counted);
    }
}
