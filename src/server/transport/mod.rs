//! The ways in: the doors of the endpoints, what stands behind each, and the records of who came in.
//! Knows the hub and HTTP; not what an application does with a message, and no engine.

mod command;
mod connection_log;
mod door;
mod echo;
pub mod faults;
mod fuzz;
mod inlet;
mod meter;
mod poll;
mod query;
mod record;
mod session;
mod signals;
mod sse;
mod stage;
pub mod streams;
mod summons;
mod talk;
mod watch;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use hyper::upgrade::OnUpgrade;
use tracing::Instrument as _;
use uuid::Uuid;

use self::door::{Door, Refusal};
use self::echo::Echo;
use self::faults::Gate;
use self::talk::Talk;
use self::watch::Watch;
use self::websocket::{Conversation, End};
use super::access::Grant;
use super::client_addr::ClientName;
use super::connection::ActiveExchange;
use super::error::Problem;
use super::identity::Otherwise;
use super::moderation::Subject;
use super::signals::SIGNALS_PATH;
use super::state::ServerState;
use super::{identity, limits};
use crate::server::connection::counters::{Open, Way};
use crate::server::{endpoint::Endpoint, ingest::Inlet, unread::Summons};
use crate::wire::measure::WATCH_PATH;
use duplex_hub::quota::{Client, Held};
use duplex_hub::simulation::Stage;
use duplex_protocol::fault::FAULTS_PATH;
use duplex_protocol::handshake::Ended;
use duplex_protocol::session::{COMMAND_PATH, EVENTS_PATH, HISTORY_PATH, POLL_PATH, SESSION_PATH, SessionId};

/// The doors: each endpoint's and the session's, for every method (HTTP/1.1 opens with GET, HTTP/2 with CONNECT), and the
/// session's fallbacks. And the addresses for programs, and the stages.
pub fn routes(
    endpoints: impl IntoIterator<Item = Endpoint>,
    inlets: impl IntoIterator<Item = Inlet>,
    summonses: impl IntoIterator<Item = Summons>,
    stages: &[Arc<dyn Stage>],
) -> Router<ServerState> {
    let router = Router::new()
        .route("/api/handshake/{trace}", get(show_handshake))
        .route(SESSION_PATH, any(enter_session))
        .route(WATCH_PATH, any(enter_watch))
        .route(SIGNALS_PATH, any(signals::enter))
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
    let router = inlets.into_iter().fold(router, inlet::route);
    let router = summonses.into_iter().fold(router, summons::route);
    let router = stages.iter().fold(router, stage::route);
    endpoints.into_iter().fold(router, |router, endpoint| {
        router.route(
            endpoint.path,
            any(async move |state, request| enter_endpoint(state, request, endpoint)),
        )
    })
}

async fn show_handshake(State(state): State<ServerState>, Path(trace): Path<String>) -> Response {
    match state.handshakes.get(&trace) {
        Some(record) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(record)).into_response(),
        None => Problem::not_found("No connection is known under this name, or it ended too long ago.").into_response(),
    }
}

fn enter_endpoint(State(state): State<ServerState>, request: Request, endpoint: Endpoint) -> Response {
    let Endpoint { path, purpose, .. } = endpoint;
    let door = Door {
        path,
        purpose,
        way: Way::Echo,
    };
    let client = crate::server::quota::guard::client(request.extensions());
    enter(&state, request, door, client.clone(), |_, _| {
        let echo = Echo::new(endpoint, &state, client);
        (door::subprotocol, echo, Gate::default())
    })
}

async fn enter_session(State(state): State<ServerState>, grant: Grant, request: Request) -> Response {
    let door = Door {
        path: SESSION_PATH,
        way: Way::WebSocket,
        purpose: "topics, by the session protocol; its subprotocols are duplex.v2.json and duplex.v2.postcard.",
    };
    let named = door::session(request.uri().query());
    let otherwise = named
        .as_ref()
        .map_or(Otherwise::New, |SessionId(named)| Otherwise::Session(named));
    let person = identity::caller(&state, &grant, request.headers(), otherwise);
    if state.faults.is_blocked(&person.id, Way::WebSocket) {
        return Refusal::Blocked.problem(door).into_response();
    }
    let client = crate::server::quota::guard::client(request.extensions()).known_as(&person);
    enter(&state, request, door, client.clone(), |parts, connection| {
        let protocol = door::session_protocol(&parts.headers);
        let session = SessionId(connection.to_owned());
        let gate = state.faults.enter(&session, &person.id, Way::WebSocket);
        let hub = state.hub_for(&grant.hub(&state.hub), client);
        let talk = session::Topics::new(&state, hub, grant, protocol, session, person);
        (door::session_subprotocol as Choose, talk, gate)
    })
}

#[derive(serde::Deserialize)]
struct Watched {
    run: String,
    r#box: String,
}

async fn enter_watch(State(state): State<ServerState>, Query(watched): Query<Watched>, request: Request) -> Response {
    let Some(mailbox) = state.bench.boxes.get(&watched.run, &watched.r#box) else {
        return Problem::not_found("There is no box of this name.").into_response();
    };
    let door = Door {
        path: WATCH_PATH,
        purpose: "what is said into the box that the address names.",
        way: Way::Echo,
    };
    let client = crate::server::quota::guard::client(request.extensions());
    enter(&state, request, door, client, |_, _| {
        (door::subprotocol, Watch::new(mailbox), Gate::default())
    })
}

/// Which subprotocol is agreed to.
type Choose = fn(&HeaderMap) -> Option<HeaderValue>;

/// `meet` makes the server's side of the conversation, for the connection of this id, and what may disturb it.
fn enter<T: Talk + 'static>(
    state: &ServerState,
    request: Request,
    door: Door,
    client: Client,
    meet: impl FnOnce(&Parts, &str) -> (Choose, T, Gate),
) -> Response {
    let (mut parts, _) = request.into_parts();
    match admit(state, &client, &mut parts, door.way) {
        Ok(guest) => {
            let connection = Uuid::now_v7().to_string();
            let (choose, talk, gate) = meet(&parts, &connection);
            let subject = Subject::of(state, &parts.headers, &parts.extensions, Otherwise::New);
            let conversation = Conversation::new(talk, state, gate, subject);
            let counted = (guest.counted.0.by(door.way), guest.counted.1);
            let guest = Guest { counted, ..guest };
            open(state.clone(), &parts, connection, choose, door, guest, conversation)
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
    counted: (Open, Held),
}

fn admit(state: &ServerState, client: &Client, parts: &mut Parts, way: Way) -> Result<Guest, Refusal> {
    door::check_handshake(parts)?;
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
    state: ServerState,
    parts: &Parts,
    connection: String,
    choose: Choose,
    door: Door,
    guest: Guest,
    conversation: Conversation<T>,
) -> Response {
    let response = accept(parts, choose(&parts.headers));
    let trace = door::trace(parts.uri.query()).map(str::to_owned);
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
    state: ServerState,
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
    fn leave(self, end: End, counted: (Open, Held)) {
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
