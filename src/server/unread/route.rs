//! The event stream of an unread hint: it sends one event as soon as the visitor has something unread. The page then subscribes
//! to the topics.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::{self, StreamExt as _};

use crate::server::access::Grant;
use crate::server::identity::FallbackIdentity;
use crate::server::moderation::Subject;
use crate::server::state::ServerState;
use crate::server::unread::UnreadEndpoint;
use crate::server::{identity, limits};
use crate::wire::first_visit::FirstVisit;
use crate::wire::unread::{ALREADY_UNREAD, NEWLY_UNREAD};
use duplex_axum::connection::{ConnectionKind, UNBUFFERED_HEADERS};
use duplex_axum::error::Problem;
use duplex_axum::quota::RequestClient;
use duplex_axum::shutdown::reconnect_delay;
use duplex_hub::quota::ClientKey;
use duplex_hub::session::Reader;
use duplex_hub::{ReadLimit, now};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::SessionId;
use duplex_protocol::topic::TopicName;

/// The routes of all unread hints.
pub fn routes(unread_endpoints: impl IntoIterator<Item = UnreadEndpoint>) -> Router<ServerState> {
    unread_endpoints.into_iter().fold(Router::new(), route)
}

fn route(router: Router<ServerState>, endpoint: UnreadEndpoint) -> Router<ServerState> {
    let handler =
        async move |State(state): State<ServerState>,
                    RequestClient(client): RequestClient,
                    parts: Extensions,
                    headers: HeaderMap| { stream_hint(state, client, (&headers, &parts), endpoint) };
    router.route(endpoint.path, get(handler))
}

fn stream_hint(
    state: ServerState,
    client: ClientKey,
    (headers, extensions): (&HeaderMap, &Extensions),
    endpoint: UnreadEndpoint,
) -> Response {
    if state.shutdown.has_begun() {
        return Problem::unavailable("The server is shutting down.").into_response();
    }
    // A separate session id, because the stream does not belong to the tab's session.
    let session = SessionId(uuid::Uuid::new_v4().simple().to_string());
    let person = identity::person(
        &state,
        &Grant::from_extensions(extensions),
        headers,
        FallbackIdentity::New,
    );
    let first_visit = FirstVisit(identity::first_visit(headers, &state.settings));
    let client = client.with_person(&person);
    let connection_guard = match state.acquire_connection(&client) {
        Ok(guard) => guard.with_kind(ConnectionKind::Sse),
        Err(problem) => return problem.into_response(),
    };
    let subject = Subject::for_person(extensions, &person);
    // Browsers reconnect by themselves; the delay differs between clients.
    let retry = reconnect_delay(&session);
    let topics = (endpoint.topics)(&person);
    let mut reader = Reader::new(
        state.hub_for_client(&state.hub, client),
        Encoding::Json,
        session,
        person,
    );
    let hint = async move {
        let _connection_guard = connection_guard;
        for topic in &topics {
            reader.subscribe(topic, None).await;
        }
        let unread = tokio::select! {
            () = state.shutdown.begun() => None,
            _ = state.moderation.banned(&subject) => None,
            data = wait_for_unread(&mut reader, &topics, endpoint, first_visit) => Some(data),
        };
        unread.map(|data| Ok::<_, Infallible>(Event::default().data(data)))
    };
    let first = stream::iter([Ok(Event::default().retry(retry))]);
    let stream = first.chain(stream::once(hint).filter_map(async |event| event));
    let keep_alive = KeepAlive::new().interval(limits::SSE_KEEPALIVE);
    (UNBUFFERED_HEADERS, Sse::new(stream).keep_alive(keep_alive)).into_response()
}

/// Waits until something is unread. Returns the event's data, which tells whether it was already unread when the stream opened.
async fn wait_for_unread(
    reader: &mut Reader,
    topics: &[TopicName],
    endpoint: UnreadEndpoint,
    first_visit: FirstVisit,
) -> &'static str {
    let limit = ReadLimit {
        frames: limits::BATCH_MESSAGES,
        bytes: limits::BATCH_BYTES,
    };
    let mut frames: Vec<_> = Vec::new();
    let mut data = ALREADY_UNREAD;
    loop {
        let mut states = Vec::new();
        for topic in topics {
            states.push(reader.state(topic).await);
        }
        if (endpoint.has_unread)(&states, first_visit, now()) {
            return data;
        }
        while frames.is_empty() {
            reader.woken().await;
            reader.gather(limit, &mut frames).await;
        }
        frames.clear();
        data = NEWLY_UNREAD;
    }
}
