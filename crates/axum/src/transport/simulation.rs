//! The transports of simulations: a WebSocket that sends the latest frame whenever there is one, and the same over HTTP, one `POST` per
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
use crate::connection::counters::{ConnectionGuard, ConnectionKind};
use crate::connection::{UNBUFFERED_HEADERS, shared_body};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::limits;
use crate::lock::lock;
use crate::quota::{self as client_quota, RequestClient};
use crate::transport::handler::{CloseFrame, ConnectionHandler, Message};
use crate::transport::handshake::{self, UpgradeEndpoint};
use duplex_hub::quota::{self, ClientKey, Rate, Resource};
use duplex_hub::simulation::{JoinError, MessageError, Participant, RateLimited, Simulation};
use duplex_protocol::code;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::SessionId;

/// Routes for simulations. The path of each is a WebSocket. `{path}/turn` is the same over HTTP: each `POST` with `?seat=ID` is one
/// turn, a long-poll request that is answered with the latest frame or 204. `{path}/record` is the simulation's recording, or 404.
pub fn routes<S: Clone + Send + Sync + 'static>(gateway: Gateway, simulations: &[Arc<dyn Simulation>]) -> Router<S> {
    simulations.iter().fold(Router::new(), route).with_state(gateway)
}

fn route(router: Router<Gateway>, simulation: &Arc<dyn Simulation>) -> Router<Gateway> {
    let endpoint = UpgradeEndpoint {
        path: simulation.path(),
        description: simulation.description(),
        kind: ConnectionKind::Simulation,
    };
    let participants = Arc::new(HttpParticipants::default());
    let (socket_simulation, turn_simulation, recording_simulation) =
        (Arc::clone(simulation), Arc::clone(simulation), Arc::clone(simulation));
    let turn = post(
        async move |State(state): State<Gateway>,
                    RequestClient(client): RequestClient,
                    extensions: Extensions,
                    headers: HeaderMap,
                    query,
                    body| {
            turn_response(
                participants
                    .turn(&state, &turn_simulation, client, (&headers, &extensions), query, body)
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
                super::upgrade::accept_upgrade(&state, parts, endpoint, client.clone(), caller.clone(), |_, _| {
                    let hub = caller.hub(&state.hub);
                    let quota = state
                        .quotas
                        .acquire(&client.with_person(&caller.person), Resource::Participants);
                    let joined = quota.map_err(|_| JoinError::Full);
                    let joined = joined
                        .and_then(|quota| Ok((Arc::clone(&socket_simulation).join(&caller.person, &hub)?, quota)));
                    let handler = SimulationHandler::new(joined);
                    (handshake::first_offered_subprotocol, handler, FaultGate::default())
                })
            }),
        )
        .route(
            &format!("{}/turn", endpoint.path),
            turn.layer(DefaultBodyLimit::max(simulation.message_limit())),
        )
        .route(
            &format!("{}/record", endpoint.path),
            get(async move || recording(&*recording_simulation)),
        )
}

/// A participant over WebSocket.
struct SimulationHandler {
    participant: Result<RateLimited, JoinError>,
    /// Counts the participant towards its client's quota.
    _quota: Option<quota::QuotaGuard>,
    started: Instant,
    /// Whether the join error was sent.
    error_sent: bool,
}

impl SimulationHandler {
    fn new(joined: Result<(Box<dyn Participant>, quota::QuotaGuard), JoinError>) -> Self {
        let (participant, quota) = match joined {
            Ok((participant, quota)) => (Ok(participant), Some(quota)),
            Err(error) => (Err(error), None),
        };
        Self {
            participant: participant.map(RateLimited::new),
            _quota: quota,
            started: Instant::now(),
            error_sent: false,
        }
    }
}

impl ConnectionHandler for SimulationHandler {
    const PING_INTERVAL: Duration = limits::SIMULATION_PING;
    const SILENCE_LIMIT: Duration = limits::SIMULATION_SILENCE;
    const STALL_LIMIT: Duration = limits::SESSION_STALL;
    const MAX_MESSAGE: usize = limits::SMALL_MESSAGE;
    const COMPRESSED: bool = false;

    async fn on_message(&mut self, message: Message, _out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        let Ok(participant) = &mut self.participant else {
            return Ok(());
        };
        let handled = match &message {
            Message::Binary(bytes) => participant.on_message(bytes, self.started.elapsed()),
            Message::Text(_) | Message::Frame(..) => Err(MessageError::Malformed),
        };
        handled.map_err(|error| CloseFrame::new(error.code(), error.to_string()))
    }

    async fn ready(&mut self) {
        match &mut self.participant {
            Ok(participant) => participant.ready().await,
            // The close frame is sent once; then the connection waits for the peer's.
            Err(_) if !self.error_sent => self.error_sent = true,
            Err(_) => std::future::pending().await,
        }
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        match &mut self.participant {
            Ok(participant) => out.extend(participant.next_frame().map(Message::Binary)),
            Err(error) => return Err(CloseFrame::new(error.code(), error.to_string())),
        }
        Ok(())
    }

    fn on_shutdown(&mut self, _out: &mut Vec<Message>) -> CloseFrame {
        CloseFrame::new(code::RESTART, "the server is going away; come back")
    }
}

/// `?seat=ID`: the participant id, which the client chooses and uses for all its turns.
#[derive(Debug, Deserialize)]
struct TurnQuery {
    #[serde(rename = "seat")]
    participant_id: SessionId,
}

/// The participants over HTTP, which are kept between two turns.
#[derive(Default)]
struct HttpParticipants(Mutex<HashMap<Key, Arc<HttpParticipant>>>);

/// The person is part of the key: the id alone does not give access.
type Key = (PersonId, SessionId);

struct HttpParticipant {
    state: tokio::sync::Mutex<ParticipantState>,
    /// When the participant leaves, unless another turn arrives.
    lease_until: Mutex<Instant>,
    /// A participant over HTTP also counts as a connection.
    _guards: (ConnectionGuard, quota::QuotaGuard),
}

struct ParticipantState {
    participant: RateLimited,
    started: Instant,
    /// When the last turn was answered.
    answered_at: Instant,
}

impl HttpParticipants {
    async fn turn(
        self: &Arc<Self>,
        state: &Gateway,
        simulation: &Arc<dyn Simulation>,
        client: ClientKey,
        (headers, extensions): (&HeaderMap, &Extensions),
        query: Result<Query<TurnQuery>, QueryRejection>,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Option<Bytes>, Problem> {
        let Query(TurnQuery { participant_id }) = query?;
        if !participant_id.is_well_formed() {
            let detail = "A participant id must have 1 to 64 letters, digits and hyphens.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        let body = body?;
        if state.shutdown.has_begun() {
            return Err(Problem::unavailable("The server is going away."));
        }
        let request = IdentityRequest::new(headers, extensions)
            .with_session(&participant_id)
            .as_visitor();
        let caller = state.identify(request).await?;
        let person = caller.person.clone();
        let client = client.with_person(&person);
        state.quotas.take(&client, Rate::SimulationMessages)?;
        let key = (person.id.clone(), participant_id);
        let hub = caller.hub(&state.hub);
        let join = || Arc::clone(simulation).join(&person, &hub);
        let participant = self.get_or_join(state, &key, (&client, caller), join)?;
        state.counters.count_messages(1, 1);
        let mut turn = participant.state.lock().await;
        let now = turn.started.elapsed();
        if !body.is_empty()
            && let Err(error) = turn.participant.on_message(&body, now)
        {
            lock(&self.0).remove(&key);
            return Err(message_problem(error));
        }
        let frame = next_frame(&mut turn, state).await?;
        *lock(&participant.lease_until) = Instant::now() + limits::SIMULATION_LEASE;
        Ok(frame)
    }

    fn get_or_join(
        self: &Arc<Self>,
        state: &Gateway,
        key: &Key,
        (client, caller): (&ClientKey, Caller),
        join: impl FnOnce() -> Result<Box<dyn Participant>, JoinError>,
    ) -> Result<Arc<HttpParticipant>, Problem> {
        let mut participants = lock(&self.0);
        let lease_until = Instant::now() + limits::SIMULATION_LEASE + limits::SIMULATION_WAIT;
        if let Some(participant) = participants.get(key) {
            *lock(&participant.lease_until) = lease_until;
            return Ok(Arc::clone(participant));
        }
        if participants.keys().filter(|(person, _)| *person == key.0).count()
            >= limits::SIMULATION_PARTICIPANTS_PER_PERSON
        {
            return Err(Problem::unavailable(
                "You have the maximum number of participants here.",
            ));
        }
        let participant_quota = state.quotas.acquire(client, Resource::Participants)?;
        let connection_quota = state.quotas.acquire(client, Resource::Connections)?;
        let connection = state
            .acquire_connection_slot()?
            .with_quota(connection_quota)
            .with_kind(ConnectionKind::Simulation);
        let joined = RateLimited::new(join().map_err(|error| Problem::unavailable(error.to_string()))?);
        let now = Instant::now();
        let participant = Arc::new(HttpParticipant {
            state: tokio::sync::Mutex::new(ParticipantState {
                participant: joined,
                started: now,
                answered_at: now,
            }),
            lease_until: Mutex::new(lease_until),
            _guards: (connection, participant_quota),
        });
        participants.insert(key.clone(), Arc::clone(&participant));
        let (all_participants, key) = (Arc::clone(self), key.clone());
        let shutdown = state.shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.begun() => {}
                _ = caller.wait_for_login_end() => {}
                () = all_participants.lease_expired(&key) => {}
            }
            lock(&all_participants.0).remove(&key);
        });
        Ok(participant)
    }

    /// Completes when the participant's lease has expired, or the participant has left.
    async fn lease_expired(&self, key: &Key) {
        loop {
            let lease_until = lock(&self.0)
                .get(key)
                .map(|participant| *lock(&participant.lease_until));
            match lease_until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }
}

/// Waits for the next frame, at least [`limits::SIMULATION_PAUSE`] after the previous response.
async fn next_frame(turn: &mut ParticipantState, state: &Gateway) -> Result<Option<Bytes>, Problem> {
    let shutdown = state.shutdown.clone();
    let next_frame = async {
        sleep_until(turn.answered_at + limits::SIMULATION_PAUSE).await;
        let mut frame = turn.participant.next_frame();
        while frame.is_none() {
            turn.participant.ready().await;
            frame = turn.participant.next_frame();
        }
        frame
    };
    let frame = tokio::select! {
        () = shutdown.begun() => return Err(Problem::unavailable("The server is going away.")),
        frame = timeout(limits::SIMULATION_WAIT, next_frame) => frame.ok().flatten(),
    };
    turn.answered_at = Instant::now();
    Ok(frame)
}

fn message_problem(error: MessageError) -> Problem {
    let status = match error {
        MessageError::TooFast => StatusCode::TOO_MANY_REQUESTS,
        MessageError::Malformed => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, error.to_string())
}

/// The response to a turn. Frames are already compact; `Content-Encoding: identity` disables response compression.
fn turn_response(turn: Result<Option<Bytes>, Problem>) -> Response {
    let kind = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (header::CONTENT_ENCODING, HeaderValue::from_static("identity")),
    ];
    match turn {
        Ok(Some(frame)) => (UNBUFFERED_HEADERS, kind, frame).into_response(),
        Ok(None) => (StatusCode::NO_CONTENT, UNBUFFERED_HEADERS).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn recording(simulation: &dyn Simulation) -> Response {
    let head = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    match simulation.recording() {
        Some(bytes) => {
            let length = [(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()))];
            (head, length, shared_body(bytes)).into_response()
        }
        None => Problem::not_found("There is no recording yet.").into_response(),
    }
}
