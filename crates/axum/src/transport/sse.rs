//! The transport of server-sent events, for networks that block WebSocket. The server keeps only the open response: the cursors are in
//! the request, so another node may serve the next one.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use super::faults::{Ending, FaultGate};
use super::query::{NotAQuery, Query};
use super::session::{reconnect_ms, welcome};
use super::streams::OpenStream;
use crate::quota::RequestClient;
use crate::{
    connection::UNBUFFERED,
    connection::counters::{self, ConnectionGuard, TransportKind},
    error::Problem,
    gateway::Gateway,
    identity::{self, Caller, IdentityRequest, LoginEnd},
    limits,
};
use duplex_hub::{
    ReadLimit,
    session::{Reader, encoded},
};
use duplex_protocol::{
    cursor::Cursor,
    protocol::{Protocol, Version},
    session::{Closing, ServerFrame, SessionId, Welcome},
    topic::TopicName,
};

/// `GET` [`EVENTS_PATH`](duplex_protocol::session::EVENTS_PATH)
pub(super) async fn events(
    State(state): State<Gateway>,
    RequestClient(client): RequestClient,
    extensions: Extensions,
    headers: HeaderMap,
    query: Result<Parameters<Query>, QueryRejection>,
) -> Response {
    let (session, topics, protocol) = match asked(query) {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    if state.shutdown.has_begun() {
        return Problem::unavailable("The server is going away.").into_response();
    }
    let asked = IdentityRequest::new(&headers, &extensions).of_session(&session);
    let caller = match state.identify(asked).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let person = caller.person.clone();
    if state.faults.is_blocked(&person.id, TransportKind::Sse) {
        let why = "This visitor asked to be kept from server-sent events for a while.";
        return Problem::new(StatusCode::FORBIDDEN, why).into_response();
    }
    let client = client.known_as(&person);
    let counted = match state.open_connection(&client) {
        Ok(counted) => counted.with_kind(TransportKind::Sse),
        Err(problem) => return problem.into_response(),
    };
    let gate = state.faults.enter(&session, &person.id, TransportKind::Sse);
    let hub = state.hub_for(&caller.hub(&state.hub), client);
    let reader = Reader::new(hub, protocol, session.clone(), person);
    let limit = silence_limit(&state, protocol);
    let open = state.streams.open(&reader.person().id, &session, limit);
    let stream = EventStream {
        welcome: Some(welcome(&state, session.clone(), reader.person().clone())),
        topics: topics.into(),
        reader,
        ends: StreamEnd {
            open,
            state,
            protocol,
            session: session.clone(),
            caller,
            gate,
        },
    };
    let span = tracing::info_span!("events", session = identity::shown(&session));
    let said = stream.start(span, counted);
    // A frame, not a comment: pages do not see comments, and need to know that the stream is alive.
    let alive = Event::default().data(r#"{"pong":{"nonce":0}}"#);
    let kept = KeepAlive::new().interval(limits::SSE_KEEPALIVE).event(alive);
    (UNBUFFERED, Sse::new(said).keep_alive(kept)).into_response()
}

/// How long the client may post nothing. A client of version 1 does not answer pongs: it shows that it reads by reconnecting.
fn silence_limit(state: &Gateway, protocol: Protocol) -> Duration {
    match protocol.version {
        Version::V1 => limits::SSE_V1_SILENCE,
        Version::V2 => limits::SESSION_SILENCE.min(state.settings.silence_limit),
    }
}

pub(super) type Asked = (SessionId, Vec<(TopicName, Option<Cursor>)>, Protocol);

pub(super) fn asked(query: Result<Parameters<Query>, QueryRejection>) -> Result<Asked, Problem> {
    let Parameters(query) = query?;
    let asked = || {
        let topics = query.topics()?;
        let protocol = query.protocol(&topics)?;
        Ok((query.session()?, topics, protocol))
    };
    asked().map_err(|error: NotAQuery| error.problem())
}

struct EventStream {
    /// Until it is sent.
    welcome: Option<Welcome>,
    /// Topics without a verdict.
    topics: VecDeque<(TopicName, Option<Cursor>)>,
    reader: Reader,
    ends: StreamEnd,
}

/// Frames that are sent together, or the abort of the response.
type Turn = Result<Vec<Bytes>, Aborted>;

impl EventStream {
    /// Runs the stream in a task of its own: HTTP polls no body whose client does not read, and the session's end must be noticed
    /// meanwhile. `counted` lives as long as the response.
    fn start(self, span: Span, counted: ConnectionGuard) -> impl Stream<Item = Result<Event, Aborted>> {
        let ((ask, asks), (say, said)) = (mpsc::channel(1), mpsc::channel(1));
        tokio::spawn(self.run(asks, say).instrument(span));
        stream::unfold((ask, said, counted), |(ask, mut said, counted)| async {
            // The task may have ended; its last turn is still in the channel.
            let _ = ask.send(()).await;
            let turn: Turn = said.recv().await?;
            Some((turn, (ask, said, counted)))
        })
        .flat_map(|turn| stream::iter(turn.map_or_else(|cut| vec![Err(cut)], written)))
    }

    /// Makes a turn when the client has read the previous one.
    async fn run(mut self, mut asks: mpsc::Receiver<()>, say: mpsc::Sender<Turn>) {
        let last = loop {
            let turn = tokio::select! {
                ask = asks.recv() => match ask {
                    Some(()) => self.turn(&mut asks).await,
                    None => return,
                },
                last = self.ends.come() => Err(last),
            };
            match turn {
                Ok(frames) if frames.is_empty() => return,
                Ok(frames) => {
                    self.ends.state.counters.count_messages(0, frames.len() as u64);
                    if say.send(Ok(frames)).await.is_err() {
                        return;
                    }
                }
                Err(last) => break last,
            }
        };
        // The session leaves its topics now: the client may never read the last turn.
        drop(self);
        let _ = say.send(last).await;
    }

    /// The next turn: at first the welcome and the verdicts, then events. Empty if the response is gone. The last turn is an error.
    async fn turn(&mut self, asks: &mut mpsc::Receiver<()>) -> Result<Vec<Bytes>, Turn> {
        let mut frames = Vec::new();
        if let Some(welcome) = self.welcome.take() {
            frames.extend(self.reader.encoded(&ServerFrame::Welcome(welcome)));
        }
        self.give_verdicts(&mut frames).await;
        while frames.is_empty() {
            tokio::select! {
                // A second request before the first turn: the response is gone.
                _ = asks.recv() => break,
                last = self.ends.come() => return Err(last),
                () = self.reader.woken() => {
                    let shutdown = self.ends.state.shutdown.clone();
                    tokio::select! {
                        () = self.ends.gate.pass() => {}
                        () = shutdown.begun() => {}
                    }
                    let most = ReadLimit { frames: limits::TURN_MESSAGES, bytes: limits::TURN_BYTES };
                    self.reader.gather(most, &mut frames).await;
                }
            }
        }
        Ok(frames)
    }

    async fn give_verdicts(&mut self, frames: &mut Vec<Bytes>) {
        let mut bytes = 0;
        while bytes < limits::TURN_BYTES
            && let Some((topic, cursor)) = self.topics.pop_front()
        {
            let frame = self.reader.subscribe_framed(&topic, cursor).await.frame;
            bytes += frame.as_ref().map_or(0, Bytes::len);
            frames.extend(frame);
        }
    }
}

/// The causes for which the server ends a stream.
struct StreamEnd {
    open: OpenStream,
    state: Gateway,
    protocol: Protocol,
    session: SessionId,
    caller: Caller,
    gate: FaultGate,
}

impl StreamEnd {
    /// Completes with the last turn when a cause has come. Cancel-safe.
    async fn come(&mut self) -> Turn {
        tokio::select! {
            () = self.state.shutdown.begun() => Ok(self.closing(Closing::Draining)),
            end = self.caller.login_end() => Ok(self.over(&end)),
            () = self.open.silent() => Ok(self.unheard()),
            ending = self.gate.ended() => match ending {
                Ending::Cut => Err(Aborted),
                Ending::Drain => Ok(self.closing(Closing::Draining)),
            },
        }
    }

    /// The last turn after the caller's login has ended.
    fn over(&self, end: &LoginEnd) -> Vec<Bytes> {
        tracing::info!("the session ends: {}", end.reason);
        if end.is_ban() {
            self.state.counters.count_disconnect(counters::DisconnectReason::Banned);
        }
        self.closing(end.closing)
    }

    /// The last turn for a client that posted nothing. One that reads it comes back at once.
    fn unheard(&self) -> Vec<Bytes> {
        let reason = match self.protocol.version {
            // A client of version 1 was not asked to post.
            Version::V1 => Closing::Draining,
            Version::V2 => {
                self.state.counters.count_disconnect(counters::DisconnectReason::Silent);
                Closing::Slow
            }
        };
        self.closing_within(reason, 0)
    }

    fn closing(&self, reason: Closing) -> Vec<Bytes> {
        self.closing_within(reason, reconnect_ms(&self.session))
    }

    fn closing_within(&self, reason: Closing, retry_after_ms: u32) -> Vec<Bytes> {
        let closing = ServerFrame::Closing { reason, retry_after_ms };
        Vec::from_iter(encoded(self.protocol, &closing))
    }
}

/// The abort of a response in the middle, and with it of the connection.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("cut, as its visitor asked")]
pub(super) struct Aborted;

fn written(frames: Vec<Bytes>) -> Vec<Result<Event, Aborted>> {
    frames.into_iter().filter_map(event).collect()
}

fn event(frame: Bytes) -> Option<Result<Event, Aborted>> {
    // JSON has no line breaks but escaped ones: a frame is one `data:` line.
    let frame = str::from_utf8(&frame).ok()?;
    Some(Ok(Event::default().data(frame)))
}
