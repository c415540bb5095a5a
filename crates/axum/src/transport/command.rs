//! HTTP routes for posted client frames (one per request, answered with one frame or 204) and for pages of a topic's history.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tracing::Instrument as _;

use super::poll::JSON;
use super::query::SessionQuery;
use crate::connection::UNBUFFERED_HEADERS;
use crate::error::{Problem, missing_role};
use crate::gateway::Gateway;
use crate::identity::IdentityRequest;
use crate::quota::RequestClient;
use crate::{identity, limits};
use duplex_hub::Hub;
use duplex_hub::quota::ClientKey;
use duplex_hub::session::authorize_write;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::Person;
use duplex_protocol::presence::MAX_ACTIVITY;
use duplex_protocol::session::{Answer, ClientFrame, CommandId, MAX_COMMAND, Rejection, ServerFrame, SessionId};
use duplex_protocol::subprotocol::Subprotocol;
use duplex_protocol::topic::TopicName;

/// `POST` [`COMMAND_PATH`](duplex_protocol::session::COMMAND_PATH)
pub(super) async fn command(
    State(state): State<Gateway>,
    RequestClient(client): RequestClient,
    headers: HeaderMap,
    extensions: Extensions,
    query: Result<Query<SessionQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match handle_frame(&state, client, (&headers, &extensions), query, body).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn handle_frame(
    state: &Gateway,
    client: ClientKey,
    (headers, extensions): (&HeaderMap, &Extensions),
    query: Result<Query<SessionQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let session = query.session().map_err(|error| error.problem())?;
    let body = body?;
    let protocol = query.protocol(&[]).map_err(|error| error.problem())?;
    let frame = protocol
        .decode(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("The frame cannot be decoded: {error}")))?;
    let request = IdentityRequest::new(headers, extensions).with_session(&session);
    let caller = state.identify(request).await?;
    let person = caller.person.clone();
    state.counters.count_messages(1, 1);
    state.streams.on_post(&person.id, &session);
    let hub = state.hub_for_client(&caller.hub(&state.hub), client.with_person(&person));
    match frame {
        ClientFrame::Command { topic, id, command } => {
            let span = tracing::info_span!("command", session = identity::session_id_hash(&session), %topic);
            let reply = send_command(&hub, person, topic, id, command).instrument(span).await;
            match rejected_role(&reply) {
                Some(role) if caller.rights.is_program() => Err(missing_role(role, caller.rights.roles())),
                _ => frame_response(protocol, &reply),
            }
        }
        ClientFrame::Activity { topic, activity } => set_activity(&hub, person, session, &topic, activity).await,
        // Only checks the name: the client stores it in a cookie, which its next requests send.
        ClientFrame::Rename { name } => Ok(match hub.name_policy().choose(&person.id, hub.is_operator(), &name) {
            Ok(_) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => {
                let reason = error.reason.to_owned();
                return frame_response(protocol, &ServerFrame::NameRejected { reason });
            }
        }),
        // Nothing to do: `on_post` has already recorded the activity.
        ClientFrame::Ping { .. } => Ok(StatusCode::NO_CONTENT.into_response()),
        _ => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Only the frames command, activity, rename and ping can be posted.",
        )),
    }
}

fn frame_response(protocol: Subprotocol, frame: &ServerFrame) -> Result<Response, Problem> {
    let body = protocol.encode(frame).map_err(|error| {
        tracing::error!("a frame cannot be encoded: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The reply cannot be encoded.")
    })?;
    Ok(([JSON], body).into_response())
}

/// The role that the command's sender lacks.
fn rejected_role(reply: &ServerFrame) -> Option<&str> {
    match reply {
        ServerFrame::Reply {
            answer: Answer::Rejected(rejection),
            ..
        } => rejection.as_missing_role(),
        _ => None,
    }
}

async fn send_command(
    hub: &Hub,
    person: Person,
    topic: TopicName,
    id: CommandId,
    command: EncodedValue,
) -> ServerFrame {
    if command.0.len() > MAX_COMMAND {
        let answer = Answer::Rejected(Rejection::TooLarge);
        return ServerFrame::Reply {
            id,
            answer,
            duplicate: false,
        };
    }
    match authorize_write(hub, &person, &topic, None, (&command, Encoding::Json)).await {
        Err(answer) => ServerFrame::Reply {
            id,
            answer,
            duplicate: false,
        },
        Ok(topic) => {
            let (answer, duplicate) = topic.command(person, id.clone(), command, Encoding::Json).await;
            ServerFrame::Reply { id, answer, duplicate }
        }
    }
}

async fn set_activity(
    hub: &Hub,
    person: Person,
    session: SessionId,
    topic: &TopicName,
    activity: Option<String>,
) -> Result<Response, Problem> {
    if activity.as_ref().is_some_and(|activity| activity.len() > MAX_ACTIVITY) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The activity is too long.",
        ));
    }
    hub.admit(&person, topic)?;
    // A topic that is not running has no subscribers.
    if let Some(topic) = hub.awake_handle(topic) {
        topic.set_activity(&session, activity);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Debug, Deserialize)]
pub(super) struct HistoryQuery {
    topic: TopicName,
    /// `None` for the newest page.
    before: Option<Seq>,
    limit: Option<usize>,
}

/// `GET` [`HISTORY_PATH`](duplex_protocol::session::HISTORY_PATH)
pub(super) async fn history(
    State(state): State<Gateway>,
    RequestClient(client): RequestClient,
    headers: HeaderMap,
    extensions: Extensions,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Response {
    match history_page(&state, client, (&headers, &extensions), query).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn history_page(
    state: &Gateway,
    client: ClientKey,
    (headers, extensions): (&HeaderMap, &Extensions),
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(HistoryQuery { topic, before, limit }) = query?;
    let limit = limit.unwrap_or(limits::HISTORY_PAGE).clamp(1, limits::HISTORY_PAGE);
    let caller = state.identify(IdentityRequest::new(headers, extensions)).await?;
    let person = caller.person.clone();
    let hub = state.hub_for_client(&caller.hub(&state.hub), client.with_person(&person));
    hub.admit(&person, &topic)?;
    let page = hub.history(&topic, before.unwrap_or(Seq::MAX), limit).await?;
    Ok((UNBUFFERED_HEADERS, Json(page)).into_response())
}
