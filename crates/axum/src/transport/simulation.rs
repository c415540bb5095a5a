//! The transports of simulations: a WebSocket that sends the latest frame whenever there is one, and the same over HTTP, one post a
//! turn, for networks that block WebSocket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout};

use super::faults::FaultGate;
use crate::connection::counters::{ConnectionGuard, TransportKind};
use crate::connection::{UNBUFFERED, shared_body};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::limits;
use crate::lock::lock;
use crate::quota::{self as client_quota, RequestClient};
use crate::transport::handler::{CloseFrame, ConnectionHandler, Message};
use crate::transport::handshake::{self, UpgradeEndpoint};
use duplex_hub::quota::{self, Client, Rate, Resource};
use duplex_hub::simulation::{JoinError, Participant, ProtocolError, RateLimited, Simulation};
use duplex_protocol::code;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::SessionId;

/// Routes for simulations. Under the path of each: a WebSocket. Under `{path}/turn`: the same over HTTP, by a `POST` for each turn with
/// `?seat=ID`, answered with the latest frame or 204. Under `{path}/record`: what the simulation recorded, or 404.
pub fn routes<S: Clone + Send + Sync + 'static>(gateway: Gateway, stages: &[Arc<dyn Simulation>]) -> Router<S> {
    stages.iter().fold(Router::new(), route).with_state(gateway)
}

fn route(router: Router<Gateway>, stage: &Arc<dyn Simulation>) -> Router<Gateway> {
    let endpoint = UpgradeEndpoint {
        path: stage.path(),
        purpose: stage.purpose(),
        kind: TransportKind::Simulation,
    };
    let turns = Arc::new(PostingParticipants::default());
    let (entered, turned, kept) = (Arc::clone(stage), Arc::clone(stage), Arc::clone(stage));
    let turn = post(
        async move |State(state): State<Gateway>,
                    RequestClient(client): RequestClient,
                    extensions: Extensions,
                    headers: HeaderMap,
                    query,
                    body| {
            answer(
                turns
                    .turn(&state, &turned, client, (&headers, &extensions), query, body)
                    .await,
            )
        },
    );
    router
        .route(
            endpoint.path,
            any(async move |State(state): State<Gateway>, request: Request| {
                let client = client_quota::client(request.extensions());
                let (parts, _) = request.into_parts();
                let caller = match state
                    .identify(IdentityRequest::new(&parts.headers, &parts.extensions).as_visitor())
                    .await
                {
                    Ok(caller) => caller,
                    Err(problem) => return problem.into_response(),
                };
                super::upgrade::enter(&state, parts, endpoint, client.clone(), caller.clone(), |_, _| {
                    let hub = caller.hub(&state.hub);
                    let held = state.quotas.hold(&client.known_as(&caller.person), Resource::Seats);
                    let seat = held.map_err(|_| JoinError::Full);
                    let seat = seat.and_then(|held| Ok((Arc::clone(&entered).join(&caller.person, &hub)?, held)));
                    let handler = SimulationHandler::new(seat);
                    (handshake::subprotocol, handler, FaultGate::default())
                })
            }),
        )
        .route(
            &format!("{}/turn", endpoint.path),
            turn.layer(DefaultBodyLimit::max(stage.message_limit())),
        )
        .route(&format!("{}/record", endpoint.path), get(async move || record(&*kept)))
}

/// A participant over WebSocket.
struct SimulationHandler {
    seat: Result<RateLimited, JoinError>,
    /// The place among those of its client.
    _held: Option<quota::QuotaGuard>,
    began: Instant,
    told: bool,
}

impl SimulationHandler {
    fn new(seat: Result<(Box<dyn Participant>, quota::QuotaGuard), JoinError>) -> Self {
        let (seat, held) = match seat {
            Ok((seat, held)) => (Ok(seat), Some(held)),
            Err(why) => (Err(why), None),
        };
        Self {
            seat: seat.map(RateLimited::new),
            _held: held,
            began: Instant::now(),
            told: false,
        }
    }
}

impl ConnectionHandler for SimulationHandler {
    const PING_INTERVAL: Duration = limits::SIMULATION_PING;
    const SILENCE_LIMIT: Duration = limits::SIMULATION_SILENCE;
    const STALL_LIMIT: Duration = limits::SESSION_STALL;
    const MAX_MESSAGE: usize = limits::SMALL_MESSAGE;

    async fn on_message(&mut self, message: Message, _out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        let Ok(seat) = &mut self.seat else { return Ok(()) };
        let heard = match &message {
            Message::Binary(bytes) => seat.on_message(bytes, self.began.elapsed()),
            Message::Text(_) => Err(ProtocolError::Malformed),
        };
        heard.map_err(|breach| CloseFrame::new(breach.code(), breach.to_string()))
    }

    async fn ready(&mut self) {
        match &mut self.seat {
            Ok(seat) => seat.ready().await,
            // The refusal is sent once; then the peer's close frame is awaited.
            Err(_) if !self.told => self.told = true,
            Err(_) => std::future::pending().await,
        }
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        match &mut self.seat {
            Ok(seat) => out.extend(seat.next_frame().map(Message::Binary)),
            Err(why) => return Err(CloseFrame::new(why.code(), why.to_string())),
        }
        Ok(())
    }

    fn on_shutdown(&mut self, _out: &mut Vec<Message>) -> CloseFrame {
        CloseFrame::new(code::RESTART, "the server is going away; come back")
    }
}

/// `?seat=ID`: chosen by the client, and the same for all its turns.
#[derive(Debug, Deserialize)]
struct Asked {
    seat: SessionId,
}

/// The participants over HTTP, which stay between two turns.
#[derive(Default)]
struct PostingParticipants(Mutex<HashMap<Key, Arc<PostingParticipant>>>);

/// The person is part of the key: the id alone gives nobody access.
type Key = (PersonId, SessionId);

struct PostingParticipant {
    seat: tokio::sync::Mutex<ParticipantState>,
    /// When the participant leaves, unless another turn comes.
    until: Mutex<Instant>,
    /// A participant over HTTP counts as a connection, too.
    _counted: (ConnectionGuard, quota::QuotaGuard),
}

struct ParticipantState {
    held: RateLimited,
    began: Instant,
    /// When the last turn was answered.
    said: Instant,
}

impl PostingParticipants {
    async fn turn(
        self: &Arc<Self>,
        state: &Gateway,
        stage: &Arc<dyn Simulation>,
        client: Client,
        (headers, extensions): (&HeaderMap, &Extensions),
        query: Result<Query<Asked>, QueryRejection>,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Option<Bytes>, Problem> {
        let Query(Asked { seat }) = query?;
        if !seat.is_well_formed() {
            let detail = "A seat's id has 1 to 64 letters, digits and hyphens.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        let body = body?;
        if state.shutdown.has_begun() {
            return Err(Problem::unavailable("The server is going away."));
        }
        let asked = IdentityRequest::new(headers, extensions).of_session(&seat).as_visitor();
        let caller = state.identify(asked).await?;
        let person = caller.person.clone();
        let client = client.known_as(&person);
        state.quotas.take(&client, Rate::Turns)?;
        let key = (person.id.clone(), seat);
        let hub = caller.hub(&state.hub);
        let join = || Arc::clone(stage).join(&person, &hub);
        let place = self.place(state, &key, (&client, caller), join)?;
        state.counters.count_messages(1, 1);
        let mut seated = place.seat.lock().await;
        let now = seated.began.elapsed();
        if !body.is_empty()
            && let Err(breach) = seated.held.on_message(&body, now)
        {
            lock(&self.0).remove(&key);
            return Err(broken(breach));
        }
        let frame = next(&mut seated, state).await?;
        *lock(&place.until) = Instant::now() + limits::SIMULATION_LEASE;
        Ok(frame)
    }

    fn place(
        self: &Arc<Self>,
        state: &Gateway,
        key: &Key,
        (client, caller): (&Client, Caller),
        join: impl FnOnce() -> Result<Box<dyn Participant>, JoinError>,
    ) -> Result<Arc<PostingParticipant>, Problem> {
        let mut places = lock(&self.0);
        let until = Instant::now() + limits::SIMULATION_LEASE + limits::SIMULATION_WAIT;
        if let Some(place) = places.get(key) {
            *lock(&place.until) = until;
            return Ok(Arc::clone(place));
        }
        if places.keys().filter(|(person, _)| *person == key.0).count() >= limits::SIMULATION_PLACES_EACH {
            return Err(Problem::unavailable("You have as many seats here as one may."));
        }
        let seat = state.quotas.hold(client, Resource::Seats)?;
        let held = state.quotas.hold(client, Resource::Connections)?;
        let counted = state
            .count_connection()?
            .holding(held)
            .with_kind(TransportKind::Simulation);
        let joined = RateLimited::new(join().map_err(|why| Problem::unavailable(why.to_string()))?);
        let now = Instant::now();
        let place = Arc::new(PostingParticipant {
            seat: tokio::sync::Mutex::new(ParticipantState {
                held: joined,
                began: now,
                said: now,
            }),
            until: Mutex::new(until),
            _counted: (counted, seat),
        });
        places.insert(key.clone(), Arc::clone(&place));
        let (turns, key) = (Arc::clone(self), key.clone());
        let shutdown = state.shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.begun() => {}
                _ = caller.login_end() => {}
                () = turns.lapse(&key) => {}
            }
            lock(&turns.0).remove(&key);
        });
        Ok(place)
    }

    /// Completes when the participant's lease has expired, or it is gone.
    async fn lapse(&self, key: &Key) {
        loop {
            let until = lock(&self.0).get(key).map(|place| *lock(&place.until));
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }
}

/// Waits for the next frame, at least [`limits::SIMULATION_PAUSE`] after the previous response.
async fn next(seated: &mut ParticipantState, state: &Gateway) -> Result<Option<Bytes>, Problem> {
    let shutdown = state.shutdown.clone();
    let stirred = async {
        sleep_until(seated.said + limits::SIMULATION_PAUSE).await;
        let mut frame = seated.held.next_frame();
        while frame.is_none() {
            seated.held.ready().await;
            frame = seated.held.next_frame();
        }
        frame
    };
    let frame = tokio::select! {
        () = shutdown.begun() => return Err(Problem::unavailable("The server is going away.")),
        frame = timeout(limits::SIMULATION_WAIT, stirred) => frame.ok().flatten(),
    };
    seated.said = Instant::now();
    Ok(frame)
}

fn broken(breach: ProtocolError) -> Problem {
    let status = match breach {
        ProtocolError::TooFast => StatusCode::TOO_MANY_REQUESTS,
        ProtocolError::Malformed => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, breach.to_string())
}

/// The response to a turn. Frames are compact: `identity` keeps the server from compressing them.
fn answer(turn: Result<Option<Bytes>, Problem>) -> Response {
    let kind = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (header::CONTENT_ENCODING, HeaderValue::from_static("identity")),
    ];
    match turn {
        Ok(Some(frame)) => (UNBUFFERED, kind, frame).into_response(),
        Ok(None) => (StatusCode::NO_CONTENT, UNBUFFERED).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn record(stage: &dyn Simulation) -> Response {
    let head = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    match stage.record() {
        Some(bytes) => {
            let length = [(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()))];
            (head, length, shared_body(bytes)).into_response()
        }
        None => Problem::not_found("Nothing has happened yet that could be kept.").into_response(),
    }
}
