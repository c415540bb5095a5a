//! The long-polling transport, for networks that hold back even event streams. Each request is answered when there is something to
//! send, or after a while without. Between two requests only the place among those present is kept.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use super::faults::{Ending, FaultGate};
use super::query::Query;
use super::session::{reconnect_ms, welcome};
use super::sse::{Aborted, asked};
use crate::connection::UNBUFFERED;
use crate::connection::counters::TransportKind;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::quota::RequestClient;
use crate::{identity, limits};
use duplex_hub::ReadLimit;
use duplex_hub::quota::Resource;
use duplex_hub::session::{AnswerKind, Answered, Reader};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{Closing, ServerFrame, SessionId};
use duplex_protocol::topic::TopicName;

/// `GET` [`POLL_PATH`](duplex_protocol::session::POLL_PATH)
pub(super) async fn poll(
    State(state): State<Gateway>,
    RequestClient(client): RequestClient,
    extensions: Extensions,
    headers: HeaderMap,
    query: Result<Parameters<Query>, QueryRejection>,
) -> Response {
    let at_once = query.as_ref().is_ok_and(|Parameters(query)| query.is_at_once());
    let (session, topics, protocol) = match asked(query) {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let asked = IdentityRequest::new(&headers, &extensions).of_session(&session);
    let caller = match state.identify(asked).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let person = caller.person.clone();
    let client = client.known_as(&person);
    let held = match state.quotas.hold(&client, Resource::Connections) {
        Ok(held) => held,
        Err(exceeded) => return Problem::from(exceeded).into_response(),
    };
    let _counted = match state.count_connection() {
        Ok(counted) => counted.holding(held).with_kind(TransportKind::Poll),
        Err(problem) => return problem.into_response(),
    };
    let gate = state.faults.enter(&session, &person.id, TransportKind::Poll);
    let hub = state.hub_for(&caller.hub(&state.hub), client);
    let mut reader = Reader::new(hub, protocol, session.clone(), person);
    // Each poll begins with another topic, so that a busy one does not starve the others.
    reader.begin_with(usize::try_from(state.counters.snapshot().opened(TransportKind::Poll)).unwrap_or_default());
    let mut answer = PollResponse {
        state,
        caller,
        reader,
        frames: Vec::new(),
    };
    let span = tracing::info_span!("poll", session = identity::shown(&session));
    if answer.run(session, topics, at_once, gate).instrument(span).await == Some(Ending::Cut) {
        return Body::from_stream(stream::iter([Err::<Bytes, _>(Aborted)])).into_response();
    }
    answer.state.counters.count_messages(0, answer.frames.len() as u64);
    (UNBUFFERED, [JSON], list(&answer.frames)).into_response()
}

type Topics = Vec<(TopicName, Option<Cursor>)>;

struct PollResponse {
    state: Gateway,
    caller: Caller,
    reader: Reader,
    frames: Vec<Bytes>,
}

impl PollResponse {
    /// Gathers the response's frames. Returns how an injected fault ends it, if one does.
    async fn run(&mut self, session: SessionId, topics: Topics, at_once: bool, mut gate: FaultGate) -> Option<Ending> {
        let lease = Instant::now() + limits::POLL_LEASE;
        if at_once {
            let welcome = welcome(&self.state, session.clone(), self.reader.person().clone());
            self.frames.extend(self.reader.encoded(&ServerFrame::Welcome(welcome)));
        }
        self.subscribe(topics, at_once, lease).await;
        self.reader.overlook_presence();
        self.gather().await;
        let (shutdown, caller) = (self.state.shutdown.clone(), self.caller.clone());
        let mut ending = gate.ended().now_or_never();
        if self.frames.is_empty() && ending.is_none() {
            tokio::select! {
                () = shutdown.begun() => {}
                _ = caller.login_end() => {}
                ordered = gate.ended() => ending = Some(ordered),
                _ = timeout(limits::POLL_WAIT, self.wait()) => {}
            }
        }
        tokio::select! {
            () = gate.pass() => {}
            () = shutdown.begun() => {}
        }
        ending = ending.or(gate.ended().now_or_never());
        if shutdown.has_begun() || ending == Some(Ending::Drain) {
            self.close(Closing::Draining, reconnect_ms(&session));
        } else if let Some(end) = caller.login_ended() {
            tracing::info!("the session ends: {}", end.reason);
            self.close(end.closing, if end.is_ban() { 0 } else { reconnect_ms(&session) });
        }
        // Joins and leaves between two polls were not seen: each response says who is present.
        let room = limits::POLL_BYTES.saturating_sub(self.bytes());
        self.reader.presences(room, &mut self.frames);
        ending
    }

    /// Subscribes until the response is full. A topic without room is left to the next poll, which repeats its cursor. Topics with
    /// a cursor come first: most of them cost next to nothing.
    async fn subscribe(&mut self, mut topics: Topics, at_once: bool, lease: Instant) {
        topics.sort_by_key(|(_, cursor)| cursor.is_none());
        for (topic, cursor) in topics {
            if self.bytes() >= limits::POLL_BYTES {
                return;
            }
            let Answered { frame, kind } = self.reader.subscribe_framed(&topic, cursor).await;
            self.reader.lease(&topic, lease);
            // That nothing was missed does not answer a poll that waits.
            if at_once || kind != AnswerKind::Resumed {
                self.frames.extend(frame);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }

    /// Waits until there are frames, then gathers a burst.
    async fn wait(&mut self) {
        while self.frames.is_empty() {
            self.reader.woken().await;
            sleep(limits::POLL_GATHER).await;
            self.gather().await;
        }
    }

    async fn gather(&mut self) {
        let most = ReadLimit {
            frames: limits::TURN_MESSAGES,
            bytes: limits::POLL_BYTES.saturating_sub(self.bytes()),
        };
        self.reader.gather(most, &mut self.frames).await;
    }

    fn close(&mut self, reason: Closing, retry_after_ms: u32) {
        let closing = ServerFrame::Closing { reason, retry_after_ms };
        self.frames.extend(self.reader.encoded(&closing));
    }
}

pub(super) const JSON: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

/// Joins frames, which are JSON already, to a JSON array.
fn list(frames: &[Bytes]) -> Bytes {
    let mut list = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 1).sum::<usize>() + 2);
    list.push(b'[');
    for (place, frame) in frames.iter().enumerate() {
        if place > 0 {
            list.push(b',');
        }
        list.extend_from_slice(frame);
    }
    list.push(b']');
    list.into()
}
