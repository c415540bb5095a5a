//! Server-sent events that say one thing: that something waits for the visitor. Whoever hears it follows the topics then.
//! Knows the hub, not what waits.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use crate::server::access::Grant;
use crate::server::identity::FallbackIdentity;
use crate::server::moderation::Subject;
use crate::server::state::ServerState;
use crate::server::unread::UnreadEndpoint;
use crate::server::{identity, limits};
use crate::wire::first_visit::FirstVisit;
use crate::wire::unread::{ALREADY_UNREAD, NEWLY_UNREAD};
use duplex_axum::connection::{TransportKind, UNBUFFERED};
use duplex_axum::error::Problem;
use duplex_axum::quota::RequestClient;
use duplex_axum::shutdown::reconnect_delay;
use duplex_hub::quota::Client;
use duplex_hub::session::Reader;
use duplex_hub::{ReadLimit, now};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::SessionId;
use duplex_protocol::topic::TopicName;

/// The address of each.
pub fn routes(unread_endpoints: impl IntoIterator<Item = UnreadEndpoint>) -> Router<ServerState> {
    unread_endpoints.into_iter().fold(Router::new(), route)
}

fn route(router: Router<ServerState>, endpoint: UnreadEndpoint) -> Router<ServerState> {
    let wait = async move |State(state): State<ServerState>,
                           RequestClient(client): RequestClient,
                           parts: Extensions,
                           headers: HeaderMap| { wait(state, client, (&headers, &parts), endpoint) };
    router.route(endpoint.path, get(wait))
}

fn wait(
    state: ServerState,
    client: Client,
    (headers, extensions): (&HeaderMap, &Extensions),
    endpoint: UnreadEndpoint,
) -> Response {
    if state.shutdown.has_begun() {
        return Problem::unavailable("The server is going away.").into_response();
    }
    // One that nobody else has: whoever waits is in no crowd.
    let session = SessionId(uuid::Uuid::new_v4().simple().to_string());
    let person = identity::person(&state, &Grant::of_request(extensions), headers, FallbackIdentity::New);
    let arrival = FirstVisit(identity::first_visit(headers, &state.settings));
    let client = client.known_as(&person);
    let counted = match state.open_connection(&client) {
        Ok(counted) => counted.with_kind(TransportKind::Sse),
        Err(problem) => return problem.into_response(),
    };
    let subject = Subject::of_person(extensions, &person);
    // Who is cut off comes back by itself: not all at the same moment.
    let pause = reconnect_delay(&session);
    let topics = (endpoint.topics)(&person);
    let mut reader = Reader::new(state.hub_for(&state.hub, client), Encoding::Json, session, person);
    let news = async move {
        let _counted = counted;
        for topic in &topics {
            reader.subscribe(topic, None).await;
        }
        let heard = tokio::select! {
            () = state.shutdown.begun() => None,
            _ = state.moderation.banned(&subject) => None,
            news = until(&mut reader, &topics, endpoint, arrival) => Some(news),
        };
        heard.map(|news| Ok::<_, Infallible>(Event::default().data(news)))
    };
    let first = stream::iter([Ok(Event::default().retry(pause))]);
    let stream = first.chain(stream::once(news).filter_map(async |event| event));
    let alive = KeepAlive::new().interval(limits::SSE_KEEPALIVE);
    (UNBUFFERED, Sse::new(stream).keep_alive(alive)).into_response()
}

/// Until something waits; whether it did already.
async fn until(
    reader: &mut Reader,
    topics: &[TopicName],
    endpoint: UnreadEndpoint,
    arrival: FirstVisit,
) -> &'static str {
    let most = ReadLimit {
        frames: limits::TURN_MESSAGES,
        bytes: limits::TURN_BYTES,
    };
    let mut seen: Vec<Bytes> = Vec::new();
    let mut news = ALREADY_UNREAD;
    loop {
        let mut states = Vec::new();
        for topic in topics {
            states.push(reader.state(topic).await);
        }
        if (endpoint.waits)(&states, arrival, now()) {
            return news;
        }
        while seen.is_empty() {
            reader.woken().await;
            reader.gather(most, &mut seen).await;
        }
        seen.clear();
        news = NEWLY_UNREAD;
    }
}
