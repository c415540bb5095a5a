//! The server-sent events transport, for networks that block WebSocket. The server keeps no state beyond the open response: each request
//! carries the cursors, so any node can serve the next one.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use duplex_hub::topic::Frame;
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use super::event_body::{Aborted, Batch, EventBody};
use super::event_streams::OpenEventStream;
use super::faults::{FaultGate, InjectedEnd};
use super::query::{QueryError, SessionQuery};
use super::session::{reconnect_ms, welcome};
use crate::quota::RequestClient;
use crate::{
    connection::counters::{self, ConnectionKind},
    error::Problem,
    gateway::Gateway,
    identity::{self, Caller, IdentityRequest, LoginEnd},
    limits,
};
use duplex_hub::{
    ReadLimit,
    session::{Reader, encode_frame},
};
use duplex_protocol::{
    cursor::Cursor,
    session::{CloseReason, ServerFrame, SessionId, Welcome},
    subprotocol::{Subprotocol, Version},
    topic::TopicName,
};

/// `GET` [`EVENTS_PATH`](duplex_protocol::session::EVENTS_PATH)
pub(super) async fn events(
    State(state): State<Gateway>,
    RequestClient(client): RequestClient,
    extensions: Extensions,
    headers: HeaderMap,
    query: Result<Query<SessionQuery>, QueryRejection>,
) -> Response {
    let (session, topics, protocol) = match parse_query(query) {
        Ok(parsed) => parsed,
        Err(problem) => return problem.into_response(),
    };
    if state.shutdown.has_begun() {
        return Problem::unavailable("The server is going away.").into_response();
    }
    let request = IdentityRequest::new(&headers, &extensions).with_session(&session);
    let caller = match state.identify(request).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let person = caller.person.clone();
    if state.faults.is_blocked(&person.id, ConnectionKind::Sse) {
        let detail = "The visitor has blocked server-sent events with an injected fault.";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    let client = client.with_person(&person);
    let guard = match state.acquire_connection(&client) {
        Ok(guard) => guard.with_kind(ConnectionKind::Sse),
        Err(problem) => return problem.into_response(),
    };
    let gate = state.faults.register(&session, &person.id, ConnectionKind::Sse);
    let hub = state.hub_for_client(&caller.hub(&state.hub), client);
    let reader = Reader::new(hub, protocol, session.clone(), person);
    let limit = silence_limit(&state, protocol);
    let open = state.streams.open(&reader.person().id, &session, limit);
    let stream = EventStream {
        welcome: Some(welcome(&state, session.clone(), reader.person().clone())),
        topics: topics.into(),
        reader,
        end: EndConditions {
            open,
            state,
            protocol,
            session: session.clone(),
            caller,
            gate,
        },
    };
    let span = tracing::info_span!("events", session = identity::session_id_hash(&session));
    stream.start(span).into_response(&headers, guard)
}

/// How long the client may post nothing. A client of version 1 does not acknowledge pongs: it shows that it reads by reconnecting.
fn silence_limit(state: &Gateway, protocol: Subprotocol) -> Duration {
    match protocol.version {
        Version::V1 => limits::SSE_V1_SILENCE,
        Version::V2 => limits::SESSION_SILENCE.min(state.settings.silence_limit),
    }
}

/// The session, its topics with their cursors, and the protocol.
pub(super) type ParsedQuery = (SessionId, Vec<(TopicName, Option<Cursor>)>, Subprotocol);

pub(super) fn parse_query(query: Result<Query<SessionQuery>, QueryRejection>) -> Result<ParsedQuery, Problem> {
    let Query(query) = query?;
    let parse = || {
        let topics = query.topics()?;
        let protocol = query.protocol(&topics)?;
        Ok((query.session()?, topics, protocol))
    };
    parse().map_err(|error: QueryError| error.problem())
}

struct EventStream {
    /// `None` once it is sent.
    welcome: Option<Welcome>,
    /// Topics without a verdict.
    topics: VecDeque<(TopicName, Option<Cursor>)>,
    reader: Reader,
    end: EndConditions,
}

impl EventStream {
    /// Runs the stream in a task of its own: hyper does not poll the body of a client that does not read, and the session must end even
    /// then.
    fn start(self, span: Span) -> EventBody {
        let ((request, requests), (sender, batches)) = (mpsc::channel(1), mpsc::channel(1));
        tokio::spawn(self.run(requests, sender).instrument(span));
        EventBody::new(request, batches)
    }

    /// Produces the next batch once the previous one has been read.
    async fn run(mut self, mut requests: mpsc::Receiver<()>, batches: mpsc::Sender<Batch>) {
        let last = loop {
            let batch = tokio::select! {
                request = requests.recv() => match request {
                    Some(()) => self.next_batch(&mut requests).await,
                    None => return,
                },
                last = self.end.last_batch() => Err(last),
            };
            match batch {
                Ok(frames) if frames.is_empty() => return,
                Ok(frames) => {
                    self.end.state.counters.count_messages(0, frames.len() as u64);
                    if batches.send(Ok(frames)).await.is_err() {
                        return;
                    }
                }
                Err(last) => break last,
            }
        };
        // The session leaves its topics now: the client may never read the last batch.
        drop(self);
        let _ = batches.send(last).await;
    }

    /// The next batch: first the welcome, then the verdicts, then events. Empty if the response was dropped. `Err` carries the final
    /// batch.
    async fn next_batch(&mut self, requests: &mut mpsc::Receiver<()>) -> Result<Vec<Frame>, Batch> {
        let mut frames = Vec::new();
        if let Some(welcome) = self.welcome.take() {
            frames.extend(self.reader.encode(&ServerFrame::Welcome(welcome)));
        }
        if !frames.is_empty() {
            return Ok(frames);
        }
        self.write_verdicts(&mut frames).await;
        while frames.is_empty() {
            tokio::select! {
                // A second request before the first batch: the response was dropped.
                _ = requests.recv() => break,
                last = self.end.last_batch() => return Err(last),
                () = self.reader.woken() => {
                    let shutdown = self.end.state.shutdown.clone();
                    tokio::select! {
                        () = self.end.gate.writable() => {}
                        () = shutdown.begun() => {}
                    }
                    let limit = ReadLimit { frames: limits::BATCH_MESSAGES, bytes: limits::BATCH_BYTES };
                    self.reader.gather(limit, &mut frames).await;
                }
            }
        }
        Ok(frames)
    }

    async fn write_verdicts(&mut self, frames: &mut Vec<Frame>) {
        let mut bytes = 0;
        while bytes < limits::BATCH_BYTES
            && let Some((topic, cursor)) = self.topics.pop_front()
        {
            let frame = self.reader.subscribe_encoded(&topic, cursor).await.frame;
            bytes += frame.as_ref().map_or(0, |frame| frame.len());
            frames.extend(frame);
        }
    }
}

/// Everything that can end a stream.
struct EndConditions {
    open: OpenEventStream,
    state: Gateway,
    protocol: Subprotocol,
    session: SessionId,
    caller: Caller,
    gate: FaultGate,
}

impl EndConditions {
    /// Completes with the last batch when the stream must end. Cancel-safe.
    async fn last_batch(&mut self) -> Batch {
        tokio::select! {
            () = self.state.shutdown.begun() => Ok(self.closing(CloseReason::Draining)),
            end = self.caller.wait_for_login_end() => Ok(self.on_login_end(&end)),
            () = self.open.timed_out() => Ok(self.on_timeout()),
            end = self.gate.ended() => match end {
                InjectedEnd::Abort => Err(Aborted),
                InjectedEnd::Drain => Ok(self.closing(CloseReason::Draining)),
            },
        }
    }

    /// The last batch after the caller's login has ended.
    fn on_login_end(&self, end: &LoginEnd) -> Vec<Frame> {
        tracing::info!("the session ends: {}", end.reason);
        if end.is_ban() {
            self.state.counters.count_disconnect(counters::DisconnectReason::Banned);
        }
        self.closing(end.closing)
    }

    /// The last batch for a client that posted nothing. A client that reads it reconnects at once.
    fn on_timeout(&self) -> Vec<Frame> {
        let reason = match self.protocol.version {
            // A client of version 1 does not acknowledge frames.
            Version::V1 => CloseReason::Draining,
            Version::V2 => {
                self.state.counters.count_disconnect(counters::DisconnectReason::Silent);
                CloseReason::Slow
            }
        };
        self.closing_with_delay(reason, 0)
    }

    fn closing(&self, reason: CloseReason) -> Vec<Frame> {
        self.closing_with_delay(reason, reconnect_ms(&self.session))
    }

    fn closing_with_delay(&self, reason: CloseReason, retry_after_ms: u32) -> Vec<Frame> {
        let closing = ServerFrame::Closing { reason, retry_after_ms };
        Vec::from_iter(encode_frame(self.protocol, &closing))
    }
}
