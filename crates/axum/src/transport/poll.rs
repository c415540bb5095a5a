//! The long-polling transport, for networks whose proxies buffer event streams. Each request is answered when there are frames to
//! send, or after a timeout. Between two requests the server keeps only the session's presence.

use std::iter::repeat;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use duplex_hub::topic::Frame;
use futures_util::{FutureExt as _, stream};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use super::event_body::Aborted;
use super::faults::{FaultGate, InjectedEnd};
use super::gzip::{self, GzipWriter};
use super::query::SessionQuery;
use super::session::{reconnect_ms, welcome};
use super::sse::parse_query;
use crate::connection::UNBUFFERED_HEADERS;
use crate::connection::counters::ConnectionKind;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::quota::RequestClient;
use crate::{identity, limits};
use duplex_hub::ReadLimit;
use duplex_hub::quota::Resource;
use duplex_hub::session::{Reader, SubscribeReply, VerdictKind};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{CloseReason, ServerFrame, SessionId};
use duplex_protocol::topic::TopicName;

/// `GET` [`POLL_PATH`](duplex_protocol::session::POLL_PATH)
pub(super) async fn poll(
    State(state): State<Gateway>,
    RequestClient(client): RequestClient,
    extensions: Extensions,
    headers: HeaderMap,
    query: Result<Query<SessionQuery>, QueryRejection>,
) -> Response {
    let accepts_gzip = gzip::is_accepted(&headers);
    let immediate = query.as_ref().is_ok_and(|Query(query)| query.is_immediate());
    let (session, topics, protocol) = match parse_query(query) {
        Ok(parsed) => parsed,
        Err(problem) => return problem.into_response(),
    };
    let request = IdentityRequest::new(&headers, &extensions).with_session(&session);
    let caller = match state.identify(request).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let person = caller.person.clone();
    let client = client.with_person(&person);
    let quota = match state.quotas.acquire(&client, Resource::Connections) {
        Ok(quota) => quota,
        Err(exceeded) => return Problem::from(exceeded).into_response(),
    };
    let _guard = match state.acquire_connection_slot() {
        Ok(guard) => guard.with_quota(quota).with_kind(ConnectionKind::Poll),
        Err(problem) => return problem.into_response(),
    };
    let gate = state.faults.register(&session, &person.id, ConnectionKind::Poll);
    let hub = state.hub_for_client(&caller.hub(&state.hub), client);
    let mut reader = Reader::new(hub, protocol, session.clone(), person);
    // Rotate the first topic, so that a busy one does not starve the others.
    reader.start_at(usize::try_from(state.counters.snapshot().opened(ConnectionKind::Poll)).unwrap_or_default());
    let mut poll = PollRequest {
        state,
        caller,
        reader,
        frames: Vec::new(),
    };
    let span = tracing::info_span!("poll", session = identity::session_id_hash(&session));
    if poll.run(session, topics, immediate, gate).instrument(span).await == Some(InjectedEnd::Abort) {
        return Body::from_stream(stream::iter([Err::<Bytes, _>(Aborted)])).into_response();
    }
    poll.state.counters.count_messages(0, poll.frames.len() as u64);
    let headers = (
        UNBUFFERED_HEADERS,
        [JSON, (header::VARY, HeaderValue::from_static("accept-encoding"))],
    );
    let gzip = accepts_gzip.then(|| gzip_array(&poll.frames)).flatten();
    match gzip {
        Some(gzip) => (headers, [(header::CONTENT_ENCODING, "gzip")], gzip).into_response(),
        None => (headers, json_array(&poll.frames)).into_response(),
    }
}

type Topics = Vec<(TopicName, Option<Cursor>)>;

struct PollRequest {
    state: Gateway,
    caller: Caller,
    reader: Reader,
    frames: Vec<Frame>,
}

impl PollRequest {
    /// Collects the response's frames. Returns the injected fault that ends the response, if there is one.
    async fn run(
        &mut self,
        session: SessionId,
        topics: Topics,
        immediate: bool,
        mut gate: FaultGate,
    ) -> Option<InjectedEnd> {
        let lease_until = Instant::now() + limits::POLL_LEASE;
        if immediate {
            let welcome = welcome(&self.state, session.clone(), self.reader.person().clone());
            self.frames.extend(self.reader.encode(&ServerFrame::Welcome(welcome)));
        }
        self.subscribe(topics, immediate, lease_until).await;
        self.reader.skip_presence();
        self.gather().await;
        let (shutdown, caller) = (self.state.shutdown.clone(), self.caller.clone());
        let mut end = gate.ended().now_or_never();
        if self.frames.is_empty() && end.is_none() {
            tokio::select! {
                () = shutdown.begun() => {}
                _ = caller.wait_for_login_end() => {}
                injected = gate.ended() => end = Some(injected),
                _ = timeout(limits::POLL_WAIT, self.wait()) => {}
            }
        }
        tokio::select! {
            () = gate.writable() => {}
            () = shutdown.begun() => {}
        }
        end = end.or(gate.ended().now_or_never());
        if shutdown.has_begun() || end == Some(InjectedEnd::Drain) {
            self.close(CloseReason::Draining, reconnect_ms(&session));
        } else if let Some(login_end) = caller.login_end_reason() {
            tracing::info!("the session ends: {}", login_end.reason);
            let retry_after_ms = if login_end.is_ban() { 0 } else { reconnect_ms(&session) };
            self.close(login_end.closing, retry_after_ms);
        }
        // The session misses joins and leaves between two polls, so each response contains the presence.
        let room = limits::POLL_BYTES.saturating_sub(self.bytes());
        self.reader.gather_presence(room, &mut self.frames);
        end
    }

    /// Subscribes until the response is full. A topic that does not fit is left to the next poll, which repeats its cursor. Topics with
    /// a cursor come first: most of them add almost nothing.
    async fn subscribe(&mut self, mut topics: Topics, immediate: bool, lease_until: Instant) {
        topics.sort_by_key(|(_, cursor)| cursor.is_none());
        for (topic, cursor) in topics {
            if self.bytes() >= limits::POLL_BYTES {
                return;
            }
            let SubscribeReply { frame, kind } = self.reader.subscribe_encoded(&topic, cursor).await;
            self.reader.lease(&topic, lease_until);
            // A resumed subscription without missed events does not answer a waiting poll.
            if immediate || kind != VerdictKind::Resumed {
                self.frames.extend(frame);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.len()).sum()
    }

    /// Waits until there are frames, then collects a burst.
    async fn wait(&mut self) {
        while self.frames.is_empty() {
            self.reader.woken().await;
            sleep(limits::POLL_GATHER).await;
            self.gather().await;
        }
    }

    async fn gather(&mut self) {
        let limit = ReadLimit {
            frames: limits::BATCH_MESSAGES,
            bytes: limits::POLL_BYTES.saturating_sub(self.bytes()),
        };
        self.reader.gather(limit, &mut self.frames).await;
    }

    fn close(&mut self, reason: CloseReason, retry_after_ms: u32) {
        let closing = ServerFrame::Closing { reason, retry_after_ms };
        self.frames.extend(self.reader.encode(&closing));
    }
}

pub(super) const JSON: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

/// Frames, which are already JSON, as a JSON array.
fn json_array(frames: &[Frame]) -> Bytes {
    let mut array = Vec::with_capacity(array_len(frames));
    array.push(b'[');
    for (separator, frame) in separated(frames) {
        array.extend_from_slice(separator);
        array.extend_from_slice(frame);
    }
    array.push(b']');
    array.into()
}

/// The same, joined from the compressed forms of large frames, such as states. `None` if that saves too little: many small frames are
/// better compressed together, by the app's middleware.
fn gzip_array(frames: &[Frame]) -> Option<Bytes> {
    if frames.iter().all(|frame| frame.len() < limits::POLL_GZIP_BYTES) {
        return None;
    }
    let mut gzip = GzipWriter::new();
    gzip.store(b"[");
    for (separator, frame) in separated(frames) {
        match frame.len() < limits::POLL_GZIP_BYTES {
            true => gzip.store(&[separator, frame].concat()),
            false => gzip.write(separator, frame, b""),
        }
    }
    gzip.store(b"]");
    gzip.finish();
    (gzip.len() <= array_len(frames) / 2).then(|| gzip.take())
}

/// Frames with the bytes before each.
fn separated(frames: &[Frame]) -> impl Iterator<Item = (&'static [u8], &Frame)> {
    let separators = [b"" as &[u8]].into_iter().chain(repeat(b"," as &[u8]));
    separators.zip(frames)
}

/// The most bytes of the JSON array.
fn array_len(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| frame.len() + 1).sum::<usize>() + 2
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame::from(format!("\"{}\"", "abcdefgh".repeat(bytes / 8)).into_bytes())
    }

    #[test]
    fn a_gzip_array_is_the_same() {
        for frames in [vec![frame(4000)], vec![frame(8), frame(4000), frame(200), frame(2000)]] {
            let plain = json_array(&frames);
            assert_eq!(plain.len(), array_len(&frames) - 1);
            let gzip = gzip_array(&frames).unwrap();
            assert!(gzip.len() < plain.len() / 2);
            let mut inflated = Vec::new();
            GzDecoder::new(&*gzip).read_to_end(&mut inflated).unwrap();
            assert_eq!(inflated, plain);
        }
    }

    #[test]
    fn small_frames_are_not_joined_as_gzip() {
        assert_eq!(json_array(&[]), "[]");
        for frames in [vec![], vec![frame(200); 50]] {
            assert_eq!(gzip_array(&frames), None);
        }
    }
}
