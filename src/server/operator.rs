//! Routes for operators: metrics, the active topics, events of the log, a backup. Each requires a role; see [`super::access`].

use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::access::{self, Grant};
use super::state::ServerState;
use super::{backup, limits, metrics};
use duplex_axum::error::{Problem, missing_role};
use duplex_hub::{RequiredRole, TopicStats};
use duplex_protocol::codec::EncodedValue;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::Denial;
use duplex_protocol::topic::TopicName;

pub const TOPICS_PATH: &str = "/api/topics";
pub const EVENTS_PATH: &str = "/api/operator/events";
pub const BACKUP_PATH: &str = "/api/operator/backup";

pub fn routes() -> Router<ServerState> {
    let read = Router::new()
        .route("/metrics", get(metrics::get_metrics))
        .route(TOPICS_PATH, get(topics))
        .route(EVENTS_PATH, get(events))
        .layer(from_fn(require_read));
    let operate = Router::new()
        .route(BACKUP_PATH, post(backup::download))
        .layer(from_fn(require_operator));
    access::sign_in::routes().merge(read).merge(operate)
}

/// Admits the role `read`.
async fn require_read(grant: Grant, request: Request, next: Next) -> Response {
    require(&grant, RequiredRole::Read, request, next).await
}

async fn require_operator(grant: Grant, request: Request, next: Next) -> Response {
    require(&grant, RequiredRole::Operator, request, next).await
}

async fn require(grant: &Grant, required: RequiredRole<'_>, request: Request, next: Next) -> Response {
    match grant.require(required) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

const NO_STORE: [(HeaderName, HeaderValue); 1] = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// `GET` [`TOPICS_PATH`]: the active topics, sorted by name.
async fn topics(State(state): State<ServerState>) -> Response {
    let mut topics: Vec<TopicStats> = state.hub.awake_topics();
    topics.sort_by(|left, right| left.topic.cmp(&right.topic));
    (NO_STORE, Json(topics)).into_response()
}

#[derive(Debug, Deserialize)]
struct EventsQuery {
    topic: TopicName,
    #[serde(default)]
    after: Seq,
}

/// A page of a topic's events, in order; the next page begins after its last event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogPage {
    /// The cursor of the newest event.
    pub head: Cursor,
    pub events: Vec<(Seq, EncodedValue)>,
}

/// `GET` [`EVENTS_PATH`]
async fn events(
    State(state): State<ServerState>,
    grant: Grant,
    Query(EventsQuery { topic, after }): Query<EventsQuery>,
) -> Response {
    let hub = grant.hub(&state.hub);
    // Operators may read every topic; the role `read` only topics that do not belong to a person.
    if !grant.is_operator() && hub.admit(duplex_hub::Principal::program().person, &topic).is_err() {
        return missing_role(RequiredRole::Operator.name(), grant.roles()).into_response();
    }
    match hub.events(&topic, after, limits::LOG_PAGE).await {
        Ok((records, head)) => {
            let events = records
                .into_iter()
                .map(|record| (record.seq, EncodedValue(record.event)))
                .collect();
            (NO_STORE, Json(LogPage { head, events })).into_response()
        }
        Err(Denial::Unavailable | Denial::Full) => {
            Problem::unavailable("The topic is unavailable now.").into_response()
        }
        Err(_) => Problem::not_found("There is no such topic.").into_response(),
    }
}
