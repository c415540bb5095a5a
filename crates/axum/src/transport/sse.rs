//! A session's way out as server-sent events, for where WebSocket is blocked. All that the server keeps is the open answer:
//! the cursors are in the request, so another node may serve the next one.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use crate::quota::guard::RequestClient;
use std::collections::VecDeque;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use tracing::{Instrument as _, Span};

use super::faults::{Ending, Gate};
use super::query::{NotAQuery, Query};
use super::session::{spread, welcome};
use super::streams::OpenStream;
use crate::connection::counters::{self, Open, Way};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest, LoginEnd};
use crate::{identity, limits};
use duplex_hub::Most;
use duplex_hub::quota::{Client, Exceeded, Held, Place, Rate};
use duplex_hub::session::reader::Reader;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::protocol::{Protocol, Version};
use duplex_protocol::session::{Closing, ServerFrame, SessionId, Welcome};
use duplex_protocol::topic::TopicName;

/// `GET` [`EVENTS_PATH`](duplex_protocol::session::EVENTS_PATH)
pub async fn events(
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
    let caller = match state.identify.identify(asked).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let person = caller.person.clone();
    if state.faults.is_blocked(&person.id, Way::Sse) {
        let why = "This visitor asked to be kept from server-sent events for a while.";
        return Problem::new(StatusCode::FORBIDDEN, why).into_response();
    }
    let client = client.known_as(&person);
    let held = match open_stream(&state, &client) {
        Ok(held) => held,
        Err(exceeded) => return Problem::from(exceeded).into_response(),
    };
    let counted = state.counters.open(state.settings.max_connections as u64);
    let Some(counted) = counted.map(|open| open.by(Way::Sse)) else {
        return Problem::unavailable("The server has as many connections as it may.").into_response();
    };
    let gate = state.faults.enter(&session, &person.id, Way::Sse);
    let hub = state.hub_for(&caller.hub(&state.hub), client);
    let reader = Reader::new(hub, protocol, session.clone(), person);
    // A client of version 1 knows of no answer to a pong.
    let limit = (protocol.version != Version::V1).then(|| limits::SESSION_SILENCE.min(state.settings.silence_limit));
    let open = state.streams.open(&reader.person().id, &session, limit);
    let feed = Feed {
        open,
        span: tracing::info_span!("events", session = identity::shown(&session)),
        welcome: Some(welcome(&state, session.clone(), reader.person().clone())),
        topics: topics.into(),
        state,
        session,
        caller,
        reader,
        gate,
        _counted: (counted, held),
    };
    // A frame, not a comment: a page does not get to see comments, and wants to know that the stream is alive.
    let alive = Event::default().data(r#"{"pong":{"nonce":0}}"#);
    let kept = KeepAlive::new().interval(limits::SSE_COMMENT).event(alive);
    (UNBUFFERED, Sse::new(feed.run()).keep_alive(kept)).into_response()
}

/// A stream is opened as a socket is.
pub fn open_stream(state: &Gateway, client: &Client) -> Result<Held, Exceeded> {
    state.quotas.take(client, Rate::Handshakes)?;
    state.quotas.hold(client, Place::Connections)
}

/// Proxies must neither keep nor gather what is meant for now.
pub const UNBUFFERED: [(HeaderName, HeaderValue); 2] = [
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    ),
    (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    ),
];

pub type Asked = (SessionId, Vec<(TopicName, Option<Cursor>)>, Protocol);

pub fn asked(query: Result<Parameters<Query>, QueryRejection>) -> Result<Asked, Problem> {
    let Parameters(query) = query.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let asked = || {
        let topics = query.topics()?;
        let protocol = query.protocol(&topics)?;
        Ok((query.session()?, topics, protocol))
    };
    asked().map_err(|error: NotAQuery| error.problem())
}

struct Feed {
    open: OpenStream,
    /// As long as the answer is open.
    span: Span,
    state: Gateway,
    session: SessionId,
    caller: Caller,
    /// Until it is said.
    welcome: Option<Welcome>,
    /// Those without a verdict.
    topics: VecDeque<(TopicName, Option<Cursor>)>,
    reader: Reader,
    gate: Gate,
    /// Counted among the node's connections as long as the answer is open.
    _counted: (Open, Held),
}

impl Feed {
    fn run(self) -> impl Stream<Item = Result<Event, Cut>> {
        stream::unfold(Some(self), |feed| async move {
            let feed = feed?;
            let span = feed.span.clone();
            Some(feed.next().instrument(span).await)
        })
        .flat_map(|said| stream::iter(said.map_or_else(|cut| vec![Err(cut)], written)))
    }

    /// What comes next: at first the welcome and the verdicts, a turn of them at a time. A turn is made when the client has taken the
    /// one before.
    async fn next(mut self) -> (Result<Vec<Bytes>, Cut>, Option<Self>) {
        let mut frames = Vec::new();
        if let Some(welcome) = self.welcome.take() {
            frames.extend(self.reader.encoded(&ServerFrame::Welcome(welcome)));
        }
        self.give_verdicts(&mut frames).await;
        while frames.is_empty() {
            let shutdown = self.state.shutdown.clone();
            tokio::select! {
                () = shutdown.begun() => return (Ok(self.closing(Closing::Draining)), None),
                end = self.caller.login().wait() => return (Ok(self.over(&end)), None),
                () = self.open.silent() => {
                    self.state.counters.cut(counters::Cut::Silent);
                    return (Ok(self.closing(Closing::Slow)), None);
                }
                ending = self.gate.ended() => return match ending {
                    Ending::Cut => (Err(Cut), None),
                    Ending::Drain => (Ok(self.closing(Closing::Draining)), None),
                },
                () = self.reader.woken() => {
                    tokio::select! {
                        () = self.gate.pass() => {}
                        () = shutdown.begun() => {}
                    }
                    let most = Most { frames: limits::TURN_MESSAGES, bytes: limits::TURN_BYTES };
                    self.reader.gather(most, &mut frames).await;
                }
            }
        }
        self.state.counters.add(0, frames.len() as u64);
        (Ok(frames), Some(self))
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

    /// The login that opened it has ended.
    fn over(&self, end: &LoginEnd) -> Vec<Bytes> {
        tracing::info!("the session ends: {}", end.reason);
        if end.is_ban() {
            self.state.counters.cut(counters::Cut::Banned);
        }
        self.closing(end.closing)
    }

    fn closing(&self, reason: Closing) -> Vec<Bytes> {
        let retry_after_ms = match reason {
            // Whoever reads this is there.
            Closing::Slow => 0,
            _ => spread(&self.session),
        };
        let closing = ServerFrame::Closing { reason, retry_after_ms };
        Vec::from_iter(self.reader.encoded(&closing))
    }
}

/// The answer breaks off in the middle, and with it the connection.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("cut, as its visitor asked")]
pub struct Cut;

fn written(frames: Vec<Bytes>) -> Vec<Result<Event, Cut>> {
    frames.into_iter().filter_map(event).collect()
}

fn event(frame: Bytes) -> Option<Result<Event, Cut>> {
    // JSON has no line breaks but escaped ones: a frame is one `data:` line.
    let frame = str::from_utf8(&frame).ok()?;
    Some(Ok(Event::default().data(frame)))
}
