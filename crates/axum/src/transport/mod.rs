//! The transports: what is mounted where, and how a request becomes a WebSocket connection with a record of it.
//! Knows the hub and HTTP; not what an application does with a message, and no engine.

mod command;
mod connection_log;
mod echo;
pub mod faults;
#[cfg(test)]
mod fuzz_tests;
pub mod handler;
pub mod handshake;
mod meter;
mod poll;
mod query;
mod record;
pub mod session;
mod simulation;
pub mod sse;
pub mod streams;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use duplex_hub::quota::{Client, QuotaGuard};
use duplex_hub::simulation::Simulation;
use duplex_protocol::fault::FAULTS_PATH;
use duplex_protocol::handshake::Ended;
use duplex_protocol::session::{COMMAND_PATH, EVENTS_PATH, HISTORY_PATH, POLL_PATH, SESSION_PATH, SessionId};
use hyper::upgrade::OnUpgrade;
use tracing::Instrument as _;
use uuid::Uuid;

use self::echo::Echo;
use self::faults::Gate;
use self::handler::Talk;
use self::handshake::{Door, Refusal};
use self::websocket::{Conversation, End};
use crate::client_addr::ClientName;
use crate::connection::ActiveExchange;
use crate::connection::counters::{Open, Way};
use crate::endpoint::Endpoint;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::ingest::IngestEndpoint;
use crate::ingest::route::route;
use crate::limits;
use crate::quota::guard;

/// The session's transports, the given endpoints, ingest addresses and simulations, for every method (HTTP/1.1 opens with GET,
/// HTTP/2 with CONNECT).
pub fn routes<S: Clone + Send + Sync + 'static>(
    gateway: Gateway,
    endpoints: impl IntoIterator<Item = Endpoint>,
    ingest: impl IntoIterator<Item = IngestEndpoint>,
    stages: &[Arc<dyn Simulation>],
) -> Router<S> {
    let router = Router::new()
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
        );
    let router = ingest.into_iter().fold(router, route);
    let router = stages.iter().fold(router, simulation::route);
    let router = endpoints.into_iter().fold(router, |router, endpoint| {
        router.route(
            endpoint.path,
            any(async move |state, request| enter_endpoint(state, request, endpoint).await),
        )
    });
    router.with_state(gateway)
}

async fn show_handshake(State(gateway): State<Gateway>, Path(trace): Path<String>) -> Response {
    match gateway.handshakes.get(&trace) {
        Some(record) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(record)).into_response(),
        None => Problem::not_found("No connection is known under this name, or it ended too long ago.").into_response(),
    }
}

async fn enter_endpoint(
    State(gateway): State<Gateway>,
    request: Request,
    endpoint: Endpoint,
) -> Result<Response, Problem> {
    let Endpoint { path, purpose, .. } = endpoint;
    let door = Door {
        path,
        purpose,
        way: Way::Echo,
    };
    let client = guard::client(request.extensions());
    let (parts, _) = request.into_parts();
    let caller = gateway.identify.identify(of_visitor(&parts)).await?;
    Ok(enter(&gateway, parts, door, client.clone(), caller, |_, _| {
        let echo = Echo::new(endpoint, &gateway, client);
        (handshake::subprotocol, echo, Gate::default())
    }))
}

/// An [`IdentityRequest`] for a visitor.
#[must_use]
pub fn of_visitor(parts: &Parts) -> IdentityRequest<'_> {
    IdentityRequest::new(&parts.headers, &parts.extensions).as_visitor()
}

async fn enter_session(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let door = Door {
        path: SESSION_PATH,
        way: Way::WebSocket,
        purpose: "topics, by the session protocol; its subprotocols are duplex.v2.json and duplex.v2.postcard.",
    };
    let (parts, _) = request.into_parts();
    let named = handshake::session(parts.uri.query());
    let asked = IdentityRequest {
        session: named.as_ref(),
        ..IdentityRequest::new(&parts.headers, &parts.extensions)
    };
    let caller = gateway.identify.identify(asked).await?;
    if gateway.faults.is_blocked(&caller.person.id, Way::WebSocket) {
        return Err(Refusal::Blocked.problem(door));
    }
    let client = guard::client(&parts.extensions).known_as(&caller.person);
    Ok(enter(
        &gateway,
        parts,
        door,
        client.clone(),
        caller.clone(),
        |parts, connection| {
            let protocol = handshake::session_protocol(&parts.headers);
            let session = SessionId(connection.to_owned());
            let gate = gateway.faults.enter(&session, &caller.person.id, Way::WebSocket);
            let hub = gateway.hub_for(&caller.hub(&gateway.hub), client);
            let talk = session::Topics::new(&gateway, hub, protocol, session, caller.person);
            (handshake::session_subprotocol as Choose, talk, gate)
        },
    ))
}

/// Which subprotocol is agreed to.
pub type Choose = fn(&HeaderMap) -> Option<HeaderValue>;

/// Opens a WebSocket for `caller`, or says why not. `meet` makes the server's side of the conversation, for the connection of this id, and
/// the faults that may disturb it.
pub fn enter<T: Talk + 'static>(
    gateway: &Gateway,
    mut parts: Parts,
    door: Door,
    client: Client,
    caller: Caller,
    meet: impl FnOnce(&Parts, &str) -> (Choose, T, Gate),
) -> Response {
    match admit(gateway, &client, &mut parts, door.way) {
        Ok(guest) => {
            let connection = Uuid::now_v7().to_string();
            let (choose, talk, gate) = meet(&parts, &connection);
            let conversation = Conversation::new(talk, gateway, gate, caller);
            let counted = (guest.counted.0.by(door.way), guest.counted.1);
            let guest = Guest { counted, ..guest };
            open(gateway.clone(), &parts, connection, choose, door, guest, conversation)
        }
        Err(refusal) => {
            tracing::debug!(path = door.path, "refused: {refusal}");
            refusal.problem(door).into_response()
        }
    }
}

/// What is needed to open a connection.
struct Guest {
    upgrade: OnUpgrade,
    counted: (Open, QuotaGuard),
}

fn admit(state: &Gateway, client: &Client, parts: &mut Parts, way: Way) -> Result<Guest, Refusal> {
    handshake::check_handshake(parts)?;
    if state.shutdown.has_begun() {
        return Err(Refusal::Leaving);
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Refusal::NotAnUpgrade)?;
    let held = sse::open_stream(state, client).map_err(Refusal::Exceeded)?;
    let limit = state.settings.max_connections as u64;
    let counted = match way {
        Way::Signals => state.counters.open_signals(limit),
        _ => state.counters.open(limit),
    };
    let counted = counted.ok_or(Refusal::Full)?;
    Ok(Guest {
        upgrade,
        counted: (counted, held),
    })
}

fn open<T: Talk + 'static>(
    state: Gateway,
    parts: &Parts,
    connection: String,
    choose: Choose,
    door: Door,
    guest: Guest,
    conversation: Conversation<T>,
) -> Response {
    let response = accept(parts, choose(&parts.headers));
    let trace = handshake::trace(parts.uri.query()).map(str::to_owned);
    if let Some(trace) = &trace {
        let record = record::answer(
            record::begin(connection.clone(), parts),
            response.status(),
            response.headers(),
        );
        state.handshakes.open(trace, record);
    }
    let peer = ClientName::of(&parts.extensions).map(tracing::field::display);
    let span = tracing::info_span!("socket", %connection, path = door.path, peer);
    let visit = Visit {
        connection,
        trace,
        state: state.clone(),
        told: door.way != Way::Signals && connection_log::takes(),
        _exchange: parts.extensions.get().cloned(),
    };
    state.shutdown.spawn(visit.run(conversation, guest).instrument(span));
    response
}

/// HTTP/1.1 switches protocols with the key's answer (RFC 6455 section 4.2.2); HTTP/2 just agrees (RFC 8441 section 5).
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
struct Visit {
    connection: String,
    trace: Option<String>,
    state: Gateway,
    /// Whether its beginning and its end are logged for the operator. A page's second socket comes and goes with its first.
    told: bool,
    /// Over HTTP/2 the connection below is in use as long as this one is.
    _exchange: Option<Arc<ActiveExchange>>,
}

impl Visit {
    async fn run<T: Talk>(self, conversation: Conversation<T>, Guest { upgrade, counted }: Guest) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!("the upgrade failed: {error}");
                return self.leave(End::lost("the upgrade failed"), counted);
            }
        };
        if self.told {
            tracing::info!("client connected");
        }
        let (end, line) = conversation.run(upgraded).await;
        if self.told {
            tracing::info!(by = ?end.by, code = end.code, reason = ?end.reason, "client disconnected");
        } else {
            tracing::debug!(by = ?end.by, code = end.code, reason = ?end.reason, "connection ended");
        }
        self.leave(end, counted);
        line.hang_up().await;
    }

    /// Before the peer sees the end, its record is complete and it is no longer counted.
    fn leave(self, end: End, counted: (Open, QuotaGuard)) {
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
