//! The plain addresses to measure by, and the counting of labelled requests. None of the answers is compressed: what is compared is
//! how messages travel, not how well they pack. Knows HTTP; not what is measured with it.

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
use super::mailboxes::Mailbox;
use super::watch;
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
        .route(SEND_PATH, post(say))
        .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
        .route(DOCUMENT_PATH, get(show_document))
        .route(VALUE_PATH, get(value))
        .route(EVENTS_PATH, get(events))
        .route(POLL_PATH, get(poll))
        .route(WATCH_PATH, any(watch::enter))
        .route(&format!("{RUNS_PATH}/{{run}}"), get(counts))
}

const NOT_KEPT: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
const PLAIN: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");

/// Before everything else: from here on the connection's bytes count for the run and way that the request names.
pub async fn count_bytes(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(connection) = parts.extensions.get::<ConnectionBytes>() {
        let owner = label(&parts).and_then(|(run, way)| state.measurements.byte_ledger.totals(run, way));
        if parts.version < Version::HTTP_2 {
            connection.count_for(owner);
        } else if let Some(owner) = owner {
            use std::sync::atomic::Ordering::Relaxed;
            owner.requests.fetch_add(1, Relaxed);
            owner.multiplexed.fetch_add(1, Relaxed);
        }
    }
    next.run(Request::from_parts(parts, body)).await
}

/// `?run=RUN&way=WAY`, or the cookie.
fn label(parts: &Parts) -> Option<(&str, &str)> {
    let query = parts.uri.query().unwrap_or_default();
    let of = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    match (of("run"), of("way")) {
        (Some(run), Some(way)) => Some((run, way)),
        _ => cookie_value(&parts.headers, LABEL_COOKIE)?.split_once('.'),
    }
}

async fn counts(State(state): State<ServerState>, Path(run): Path<String>) -> Response {
    match state.measurements.byte_ledger.tallies(&run) {
        Some(ways) => {
            let cpu_us = cpu_us();
            (NOT_KEPT, Json(RunCounts { cpu_us, ways })).into_response()
        }
        None => Problem::not_found("No request named this run, or too long ago.").into_response(),
    }
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    run: String,
    #[serde(default)]
    r#box: String,
    after: Option<u64>,
    bytes: Option<usize>,
    close: Option<u8>,
}

type Parameters = Result<Query<Asked>, QueryRejection>;

fn asked(query: Parameters) -> Result<Asked, Problem> {
    let Query(asked) = query.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    Ok(asked)
}

fn mailbox(state: &ServerState, asked: &Asked) -> Result<Arc<Mailbox>, Problem> {
    state
        .measurements
        .mailboxes
        .get(&asked.run, &asked.r#box)
        .ok_or_else(|| {
            let detail = "A box is named by run, 16 hexadecimal digits, and box, 1 to 16 of a-z 0-9.";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        })
}

/// The body, if it is a message: text of one line.
fn message(body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let text = String::from_utf8(body.into()).ok();
    text.filter(|text| !text.contains(char::is_control))
        .ok_or_else(|| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "A message is text of one line."))
}

async fn echo(query: Parameters, body: Result<Bytes, BytesRejection>) -> Response {
    let answer = asked(query).and_then(|asked| Ok((asked, message(body)?)));
    match answer {
        Err(problem) => problem.into_response(),
        Ok((asked, text)) => {
            let mut response = (NOT_KEPT, [PLAIN], text).into_response();
            if asked.close == Some(1) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response
        }
    }
}

async fn say(State(state): State<ServerState>, query: Parameters, body: Result<Bytes, BytesRejection>) -> Response {
    let said = asked(query).and_then(|asked| Ok((mailbox(&state, &asked)?, message(body)?)));
    match said {
        Err(problem) => problem.into_response(),
        Ok((mailbox, text)) => {
            mailbox.say(&text);
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn value(State(state): State<ServerState>, query: Parameters) -> Response {
    match asked(query).and_then(|asked| mailbox(&state, &asked)) {
        Err(problem) => problem.into_response(),
        Ok(mailbox) => (NOT_KEPT, [PLAIN], mailbox.newest().1.to_string()).into_response(),
    }
}

/// The number of the newest in the first line, then what came, a line each.
async fn poll(State(state): State<ServerState>, query: Parameters) -> Response {
    let (asked, mailbox) = match asked(query).and_then(|asked| Ok((mailbox(&state, &asked)?, asked))) {
        Ok((mailbox, asked)) => (asked, mailbox),
        Err(problem) => return problem.into_response(),
    };
    let Some(after) = asked.after else {
        return (NOT_KEPT, [PLAIN], mailbox.newest().0.to_string()).into_response();
    };
    tokio::select! {
        () = state.shutdown.begun() => {}
        _ = timeout(limits::POLL_WAIT, mailbox.wait(after)) => {}
    }
    let came = mailbox.since(after);
    let newest = came.last().map_or(after, |(number, _)| *number);
    let lines = came.iter().map(|(_, text)| text.to_string());
    let lines: Vec<_> = std::iter::once(newest.to_string()).chain(lines).collect();
    (NOT_KEPT, [PLAIN], lines.join("\n")).into_response()
}

async fn events(State(state): State<ServerState>, RequestClient(client): RequestClient, query: Parameters) -> Response {
    let mailbox = match asked(query).and_then(|asked| mailbox(&state, &asked)) {
        Ok(mailbox) => mailbox,
        Err(problem) => return problem.into_response(),
    };
    let counted = match state.open_connection(&client) {
        Ok(counted) => counted,
        Err(problem) => return problem.into_response(),
    };
    let from = mailbox.newest().0;
    let said = stream::unfold(
        (state, mailbox, from, counted),
        async move |(state, mailbox, after, counted)| {
            tokio::select! {
                () = state.shutdown.begun() => return None,
                () = mailbox.wait(after) => {}
            }
            let came = mailbox.since(after);
            let newest = came.last().map_or(after, |(number, _)| *number);
            Some((came, (state, mailbox, newest, counted)))
        },
    );
    let kept = KeepAlive::new().interval(limits::SSE_KEEPALIVE);
    (NOT_KEPT, Sse::new(flat(said)).keep_alive(kept)).into_response()
}

fn flat(came: impl Stream<Item = Vec<(u64, Arc<str>)>>) -> impl Stream<Item = Result<Event, Infallible>> {
    use futures_util::StreamExt as _;
    came.flat_map(|came| stream::iter(came.into_iter().map(|(_, text)| Ok(Event::default().data(&*text)))))
}

/// It never changes, yet is asked for again each time: as a page or a price list that changes now and then.
async fn show_document(headers: HeaderMap, query: Parameters) -> Response {
    let bytes = match asked(query) {
        Ok(asked) => asked.bytes.unwrap_or_default().min(MAX_DOCUMENT),
        Err(problem) => return problem.into_response(),
    };
    let tag = format!("\"document-{bytes}\"");
    let same = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.as_bytes() == tag.as_bytes());
    let kept = [
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    if same {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    let length = [(header::CONTENT_LENGTH, HeaderValue::from(bytes))];
    (kept, [PLAIN], length, shared_body(TEXT.slice(..bytes))).into_response()
}

/// A document is the beginning of one text, which is made once.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| document(MAX_DOCUMENT).into());
