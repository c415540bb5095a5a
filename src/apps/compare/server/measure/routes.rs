//! The measured HTTP endpoints, and the middleware that counts labelled requests. No response is compressed, as the comparison is
//! of transports, not of compression.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::time::timeout;

use super::cpu_us;
use super::mailbox_socket;
use super::mailboxes::Mailbox;
use super::wire_bytes::ConnectionBytes;
use crate::apps::compare::wire::measure::{
    DOCUMENT_PATH, ECHO_PATH, EVENTS_PATH, LABEL_COOKIE, MAX_DOCUMENT, MAX_PAYLOAD, POLL_PATH, RUNS_PATH, RunCounts,
    SEND_PATH, VALUE_PATH, WATCH_PATH, document,
};
use crate::server::limits;
use crate::server::preferences::cookie_value;
use crate::server::state::ServerState;
use duplex_axum::connection::shared_body;
use duplex_axum::error::Problem;
use duplex_axum::quota::RequestClient;

pub fn routes() -> Router<ServerState> {
    Router::new()
        .route(ECHO_PATH, post(echo))
        .route(SEND_PATH, post(send))
        .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
        .route(DOCUMENT_PATH, get(document_response))
        .route(VALUE_PATH, get(newest_value))
        .route(EVENTS_PATH, get(events))
        .route(POLL_PATH, get(long_poll))
        .route(WATCH_PATH, any(mailbox_socket::open))
        .route(&format!("{RUNS_PATH}/{{run}}"), get(counts))
}

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
const TEXT_PLAIN: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");

/// Outermost middleware. Attributes the connection's bytes to the run and transport in the request's label.
pub async fn count_bytes(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(connection) = parts.extensions.get::<Arc<ConnectionBytes>>() {
        let counters = label(&parts).and_then(|(run, transport)| state.measurements.byte_ledger.totals(run, transport));
        if parts.version < Version::HTTP_2 {
            connection.set_owner(counters);
        } else if let Some(counters) = counters {
            use std::sync::atomic::Ordering::Relaxed;
            counters.requests.fetch_add(1, Relaxed);
            counters.multiplexed.fetch_add(1, Relaxed);
        }
    }
    next.run(Request::from_parts(parts, body)).await
}

/// The label of a request: `?run=RUN&way=TRANSPORT`, or the cookie.
fn label(parts: &Parts) -> Option<(&str, &str)> {
    let query = parts.uri.query().unwrap_or_default();
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    match (parameter("run"), parameter("way")) {
        (Some(run), Some(transport)) => Some((run, transport)),
        _ => cookie_value(&parts.headers, LABEL_COOKIE)?.split_once('.'),
    }
}

async fn counts(State(state): State<ServerState>, Path(run): Path<String>) -> Response {
    match state.measurements.byte_ledger.counts(&run) {
        Some(transports) => {
            let cpu_us = cpu_us();
            (NO_STORE, Json(RunCounts { cpu_us, transports })).into_response()
        }
        None => Problem::not_found("This run is unknown: no labelled request has arrived recently.").into_response(),
    }
}

#[derive(Debug, Default, Deserialize)]
struct MeasureQuery {
    #[serde(default)]
    run: String,
    #[serde(default)]
    r#box: String,
    after: Option<u64>,
    bytes: Option<usize>,
    close: Option<u8>,
}

type Parameters = Result<Query<MeasureQuery>, QueryRejection>;

fn parse_query(parameters: Parameters) -> Result<MeasureQuery, Problem> {
    let Query(query) = parameters.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    Ok(query)
}

fn find_mailbox(state: &ServerState, query: &MeasureQuery) -> Result<Arc<Mailbox>, Problem> {
    state
        .measurements
        .mailboxes
        .get_or_create(&query.run, &query.r#box)
        .ok_or_else(|| {
            let detail =
                "The mailbox parameters are `run` (16 hexadecimal digits) and `box` (1 to 16 characters of a-z 0-9).";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        })
}

/// The body as a message, which is one line of text.
fn parse_message(body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let text = String::from_utf8(body.into()).ok();
    text.filter(|text| !text.contains(char::is_control))
        .ok_or_else(|| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "A message is text of one line."))
}

async fn echo(parameters: Parameters, body: Result<Bytes, BytesRejection>) -> Response {
    let answer = parse_query(parameters).and_then(|query| Ok((query, parse_message(body)?)));
    match answer {
        Err(problem) => problem.into_response(),
        Ok((query, text)) => {
            let mut response = (NO_STORE, [TEXT_PLAIN], text).into_response();
            if query.close == Some(1) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response
        }
    }
}

async fn send(
    State(state): State<ServerState>,
    parameters: Parameters,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let parsed = parse_query(parameters).and_then(|query| Ok((find_mailbox(&state, &query)?, parse_message(body)?)));
    match parsed {
        Err(problem) => problem.into_response(),
        Ok((mailbox, text)) => {
            mailbox.push(&text);
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn newest_value(State(state): State<ServerState>, parameters: Parameters) -> Response {
    match parse_query(parameters).and_then(|query| find_mailbox(&state, &query)) {
        Err(problem) => problem.into_response(),
        Ok(mailbox) => (NO_STORE, [TEXT_PLAIN], mailbox.newest().1.to_string()).into_response(),
    }
}

/// Responds with the number of the newest message in the first line, then a line for each message.
async fn long_poll(State(state): State<ServerState>, parameters: Parameters) -> Response {
    let (query, mailbox) = match parse_query(parameters).and_then(|query| Ok((find_mailbox(&state, &query)?, query))) {
        Ok((mailbox, query)) => (query, mailbox),
        Err(problem) => return problem.into_response(),
    };
    let Some(after) = query.after else {
        return (NO_STORE, [TEXT_PLAIN], mailbox.newest().0.to_string()).into_response();
    };
    tokio::select! {
        () = state.shutdown.begun() => {}
        _ = timeout(limits::POLL_WAIT, mailbox.wait_after(after)) => {}
    }
    let messages = mailbox.since(after);
    let newest = messages.last().map_or(after, |(number, _)| *number);
    let lines = messages.iter().map(|(_, text)| text.to_string());
    let lines: Vec<_> = std::iter::once(newest.to_string()).chain(lines).collect();
    (NO_STORE, [TEXT_PLAIN], lines.join("\n")).into_response()
}

async fn events(
    State(state): State<ServerState>,
    RequestClient(client): RequestClient,
    parameters: Parameters,
) -> Response {
    let mailbox = match parse_query(parameters).and_then(|query| find_mailbox(&state, &query)) {
        Ok(mailbox) => mailbox,
        Err(problem) => return problem.into_response(),
    };
    let guard = match state.acquire_connection(&client) {
        Ok(guard) => guard,
        Err(problem) => return problem.into_response(),
    };
    let from = mailbox.newest().0;
    let batches = stream::unfold(
        (state, mailbox, from, guard),
        async move |(state, mailbox, after, guard)| {
            tokio::select! {
                () = state.shutdown.begun() => return None,
                () = mailbox.wait_after(after) => {}
            }
            let messages = mailbox.since(after);
            let newest = messages.last().map_or(after, |(number, _)| *number);
            Some((messages, (state, mailbox, newest, guard)))
        },
    );
    let keep_alive = KeepAlive::new().interval(limits::SSE_KEEPALIVE);
    (NO_STORE, Sse::new(flatten(batches)).keep_alive(keep_alive)).into_response()
}

fn flatten(messages: impl Stream<Item = Vec<(u64, Arc<str>)>>) -> impl Stream<Item = Result<Event, Infallible>> {
    use futures_util::StreamExt as _;
    messages.flat_map(|messages| stream::iter(messages.into_iter().map(|(_, text)| Ok(Event::default().data(&*text)))))
}

/// Serves a constant document with `no-cache`, so that every load is revalidated with its ETag.
async fn document_response(headers: HeaderMap, parameters: Parameters) -> Response {
    let bytes = match parse_query(parameters) {
        Ok(query) => query.bytes.unwrap_or_default().min(MAX_DOCUMENT),
        Err(problem) => return problem.into_response(),
    };
    let tag = format!("\"document-{bytes}\"");
    let is_unchanged = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.as_bytes() == tag.as_bytes());
    let cache_headers = [
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    if is_unchanged {
        return (StatusCode::NOT_MODIFIED, cache_headers).into_response();
    }
    let length = [(header::CONTENT_LENGTH, HeaderValue::from(bytes))];
    (cache_headers, [TEXT_PLAIN], length, shared_body(TEXT.slice(..bytes))).into_response()
}

/// The text whose prefixes are the documents; generated once.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| document(MAX_DOCUMENT).into());
