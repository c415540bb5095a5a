//! The ways onto a stage: a WebSocket that says the newest frame at each stir, and the same over plain HTTP, one post a turn,
//! for where WebSocket is blocked. Knows no engine and no application.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

use super::faults::Gate;
use super::sse::UNBUFFERED;
use crate::connection::counters::{Open, Way};
use crate::connection::shared_body;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::limits;
use crate::quota::guard;
use crate::quota::guard::RequestClient;
use crate::transport::handler::{Farewell, Packet, Talk};
use crate::transport::handshake::{self, Door};
use duplex_hub::quota::{self, Client, Rate, Resource};
use duplex_hub::simulation::{JoinError, Participant, ProtocolError, RateLimited, Simulation};
use duplex_protocol::code;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::SessionId;

pub fn route(router: Router<Gateway>, stage: &Arc<dyn Simulation>) -> Router<Gateway> {
    let door = Door {
        path: stage.path(),
        purpose: stage.purpose(),
        way: Way::Stage,
    };
    let turns = Arc::new(Turns::default());
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
            door.path,
            any(async move |State(state): State<Gateway>, request: Request| {
                let client = guard::client(request.extensions());
                let (parts, _) = request.into_parts();
                let caller = match state.identify.identify(super::of_visitor(&parts)).await {
                    Ok(caller) => caller,
                    Err(problem) => return problem.into_response(),
                };
                super::enter(&state, parts, door, client.clone(), caller.clone(), |_, _| {
                    let hub = caller.hub(&state.hub);
                    let held = state.quotas.hold(&client.known_as(&caller.person), Resource::Seats);
                    let seat = held.map_err(|_| JoinError::Full);
                    let seat = seat.and_then(|held| Ok((Arc::clone(&entered).join(&caller.person, &hub)?, held)));
                    let play = Play::new(seat);
                    (handshake::subprotocol, play, Gate::default())
                })
            }),
        )
        .route(
            &format!("{}/turn", door.path),
            turn.layer(DefaultBodyLimit::max(stage.message_limit())),
        )
        .route(&format!("{}/record", door.path), get(async move || record(&*kept)))
}

/// Over WebSocket.
struct Play {
    seat: Result<RateLimited, JoinError>,
    /// Among the seats of the client.
    _held: Option<quota::QuotaGuard>,
    began: Instant,
    told: bool,
}

impl Play {
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

fn farewell(code: u16, reason: &(impl ToString + ?Sized)) -> Farewell {
    Farewell {
        code,
        reason: reason.to_string().into(),
    }
}

impl Talk for Play {
    const PING: Duration = limits::STAGE_PING;
    const SILENCE: Duration = limits::STAGE_SILENCE;
    const STALL: Duration = limits::STALL;
    const MESSAGE: usize = limits::SMALL_MESSAGE;

    async fn hear(&mut self, packet: Packet, _out: &mut Vec<Packet>) -> Result<(), Farewell> {
        let Ok(seat) = &mut self.seat else { return Ok(()) };
        let heard = match &packet {
            Packet::Binary(bytes) => seat.on_message(bytes, self.began.elapsed()),
            Packet::Text(_) => Err(ProtocolError::Malformed),
        };
        heard.map_err(|breach| farewell(breach.code(), &breach))
    }

    async fn stir(&mut self) {
        match &mut self.seat {
            Ok(seat) => seat.ready().await,
            // It is said why, once; then the peer is waited for.
            Err(_) if !self.told => self.told = true,
            Err(_) => std::future::pending().await,
        }
    }

    async fn say(&mut self, out: &mut Vec<Packet>) -> Result<(), Farewell> {
        match &mut self.seat {
            Ok(seat) => out.extend(seat.next_frame().map(Packet::Binary)),
            Err(why) => return Err(farewell(why.code(), why)),
        }
        Ok(())
    }

    fn part(&mut self, _out: &mut Vec<Packet>) -> Farewell {
        farewell(code::RESTART, "the server is going away; come back")
    }
}

/// `?seat=ID`: of the client's making, and the same for all its turns.
#[derive(Debug, Deserialize)]
struct Asked {
    seat: SessionId,
}

/// The seats of those who post, between two posts.
#[derive(Default)]
struct Turns(Mutex<HashMap<Key, Arc<Chair>>>);

/// Nobody comes to another's seat by its id alone.
type Key = (PersonId, SessionId);

struct Chair {
    seat: tokio::sync::Mutex<Seated>,
    /// When it is given up, unless another turn comes.
    until: Mutex<Instant>,
    /// Who posts counts as a connection.
    _counted: (Open, quota::QuotaGuard, quota::QuotaGuard),
}

struct Seated {
    held: RateLimited,
    began: Instant,
    /// When the last turn was answered.
    said: Instant,
}

impl Turns {
    async fn turn(
        self: &Arc<Self>,
        state: &Gateway,
        stage: &Arc<dyn Simulation>,
        client: Client,
        (headers, extensions): (&HeaderMap, &Extensions),
        query: Result<Query<Asked>, QueryRejection>,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Option<Bytes>, Problem> {
        let Query(Asked { seat }) = query.map_err(|error| Problem::new(error.status(), error.body_text()))?;
        if !seat.is_well_formed() {
            let detail = "A seat's id has 1 to 64 letters, digits and hyphens.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
        if state.shutdown.has_begun() {
            return Err(Problem::unavailable("The server is going away."));
        }
        let asked = IdentityRequest::new(headers, extensions).of_session(&seat).as_visitor();
        let caller = state.identify.identify(asked).await?;
        let person = caller.person.clone();
        let client = client.known_as(&person);
        state.quotas.take(&client, Rate::Turns).map_err(Problem::from)?;
        let key = (person.id.clone(), seat);
        let hub = caller.hub(&state.hub);
        let join = || Arc::clone(stage).join(&person, &hub);
        let place = self.place(state, &key, (&client, caller), join)?;
        state.counters.add(1, 1);
        let mut seated = place.seat.lock().await;
        let now = seated.began.elapsed();
        if !body.is_empty()
            && let Err(breach) = seated.held.on_message(&body, now)
        {
            lock(&self.0).remove(&key);
            return Err(broken(breach));
        }
        let frame = next(&mut seated, state).await?;
        *lock(&place.until) = Instant::now() + limits::STAGE_LEASE;
        Ok(frame)
    }

    fn place(
        self: &Arc<Self>,
        state: &Gateway,
        key: &Key,
        (client, caller): (&Client, Caller),
        join: impl FnOnce() -> Result<Box<dyn Participant>, JoinError>,
    ) -> Result<Arc<Chair>, Problem> {
        let mut places = lock(&self.0);
        let until = Instant::now() + limits::STAGE_LEASE + limits::STAGE_WAIT;
        if let Some(place) = places.get(key) {
            *lock(&place.until) = until;
            return Ok(Arc::clone(place));
        }
        if places.keys().filter(|(person, _)| *person == key.0).count() >= limits::STAGE_SEATS_EACH {
            return Err(Problem::unavailable("You have as many seats here as one may."));
        }
        let seat = state.quotas.hold(client, Resource::Seats).map_err(Problem::from)?;
        let held = state
            .quotas
            .hold(client, Resource::Connections)
            .map_err(Problem::from)?;
        let counted = state.counters.open(state.settings.max_connections as u64);
        let counted = counted.map(|open| open.by(Way::Stage));
        let counted = counted.ok_or_else(|| Problem::unavailable("The server has as many connections as it may."))?;
        let joined = RateLimited::new(join().map_err(|why| Problem::unavailable(why.to_string()))?);
        let now = Instant::now();
        let place = Arc::new(Chair {
            seat: tokio::sync::Mutex::new(Seated {
                held: joined,
                began: now,
                said: now,
            }),
            until: Mutex::new(until),
            _counted: (counted, held, seat),
        });
        places.insert(key.clone(), Arc::clone(&place));
        let (turns, key) = (Arc::clone(self), key.clone());
        let shutdown = state.shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.begun() => {}
                _ = caller.login().wait() => {}
                () = turns.lapse(&key) => {}
            }
            lock(&turns.0).remove(&key);
        });
        Ok(place)
    }

    /// Ready when the seat's time is up, or it is gone.
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

/// The newest frame, when there is one; a short pause after the last one, so that a turn is worth its request.
async fn next(seated: &mut Seated, state: &Gateway) -> Result<Option<Bytes>, Problem> {
    let shutdown = state.shutdown.clone();
    let stirred = async {
        sleep_until(seated.said + limits::STAGE_PAUSE).await;
        let mut frame = seated.held.next_frame();
        while frame.is_none() {
            seated.held.ready().await;
            frame = seated.held.next_frame();
        }
        frame
    };
    let frame = tokio::select! {
        () = shutdown.begun() => return Err(Problem::unavailable("The server is going away.")),
        frame = timeout(limits::STAGE_WAIT, stirred) => frame.ok().flatten(),
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

/// Already as small as it gets: to compress it would only take time.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
