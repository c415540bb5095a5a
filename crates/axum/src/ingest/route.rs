//! The routes of ingest: a request is authenticated, its body becomes a command, and the topic's answer becomes the response.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Json, Router};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::{Problem, missing_role};
use crate::gateway::Gateway;
use crate::identity::{Caller, IdentityRequest};
use crate::ingest::{IngestCommand, IngestEndpoint, IngestError, IngestRequest};
use crate::limits;
use crate::quota::RequestClient;
use duplex_hub::quota::{ClientKey, Rate};
use duplex_hub::{Hub, WriteDenial, json};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The response to an accepted command.
#[derive(Serialize)]
struct IngestResponse {
    topic: TopicName,
    /// The seq of the command's last event.
    seq: Seq,
    /// Whether an earlier request with the same key already had the effect and this is its answer.
    #[serde(rename = "again")]
    duplicate: bool,
    /// Further members: see [`IngestEndpoint::response_fields`].
    #[serde(flatten)]
    response_fields: Option<serde_json::Value>,
}

/// Events before a command's seq that are searched for response fields.
const RESPONSE_FIELDS_EVENTS: usize = 64;

/// Routes for `endpoints`. Each takes `POST`; another method is answered with 405 and the endpoint's description.
pub fn routes<S: Clone + Send + Sync + 'static>(
    gateway: Gateway,
    endpoints: impl IntoIterator<Item = IngestEndpoint>,
) -> Router<S> {
    endpoints.into_iter().fold(Router::new(), route).with_state(gateway)
}

fn route(router: Router<Gateway>, endpoint: IngestEndpoint) -> Router<Gateway> {
    let accept = async move |State(state): State<Gateway>,
                             Path(params): Path<BTreeMap<String, String>>,
                             RequestClient(client): RequestClient,
                             headers: HeaderMap,
                             extensions: Extensions,
                             body: Result<Bytes, BytesRejection>| {
        match accept(&state, client, endpoint, params, (&headers, &extensions), body).await {
            Ok(response) => Json(response).into_response(),
            Err(problem) => problem.into_response(),
        }
    };
    let methods: MethodRouter<Gateway> = post(accept).fallback(async move || wrong_method(endpoint));
    router.route(endpoint.path, methods.layer(DefaultBodyLimit::max(endpoint.body_limit)))
}

fn wrong_method(endpoint: IngestEndpoint) -> Response {
    let detail = format!("Programs post here: {}", endpoint.description);
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
        .header(header::ALLOW, HeaderValue::from_static("POST"))
        .into_response()
}

async fn accept(
    state: &Gateway,
    client: ClientKey,
    endpoint: IngestEndpoint,
    params: BTreeMap<String, String>,
    (headers, extensions): (&HeaderMap, &Extensions),
    body: Result<Bytes, BytesRejection>,
) -> Result<IngestResponse, Problem> {
    let caller = state.identify(IdentityRequest::new(headers, extensions)).await?;
    if !caller.rights.is_program() {
        let detail = "A program must send a token: Authorization: Bearer …";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    let client = client.with_person(&caller.person);
    state.quotas.take(&client, Rate::ProgramRequests)?;
    let body = body?;
    let body = if endpoint.lenient_numbers {
        json::sanitize(&body)
    } else {
        Cow::Borrowed(&body[..])
    };
    let body = json::parse(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("The body is not JSON: {error}")))?;
    let IngestCommand { command, key, time } = (endpoint.command)(&IngestRequest { params, body }).map_err(problem)?;
    let (topic, command) = command.into_parts();
    let id = match header_key(headers)? {
        Some(key) => command_id(endpoint.path, &topic, Some(key), None)?,
        None => command_id(endpoint.path, &topic, key, time)?,
    };
    state.counters.count_messages(1, 1);
    let hub = caller.hub(&state.hub);
    let (answer, duplicate) = send(&hub, &caller, &topic, id, command).await?;
    match answer {
        Answer::Accepted { seq } => Ok(IngestResponse {
            response_fields: response_fields(&hub, endpoint, &topic, seq).await,
            topic,
            seq,
            duplicate,
        }),
        Answer::Rejected(rejection) => Err(rejection.into()),
    }
}

/// The response fields of the newest event up to `seq` that has some. `None` if retention has removed the event.
async fn response_fields(
    hub: &Hub,
    endpoint: IngestEndpoint,
    topic: &TopicName,
    seq: Seq,
) -> Option<serde_json::Value> {
    let response_fields = endpoint.response_fields?;
    let before = seq.saturating_sub(RESPONSE_FIELDS_EVENTS as Seq);
    let (records, _) = hub.events(topic, before, RESPONSE_FIELDS_EVENTS).await.ok()?;
    let latest_first = records.iter().rev().filter(|record| record.seq <= seq);
    latest_first.filter_map(|record| response_fields(&record.event)).next()
}

async fn send(
    hub: &Hub,
    caller: &Caller,
    topic: &TopicName,
    id: CommandId,
    command: EncodedValue,
) -> Result<(Answer, bool), Problem> {
    let denied = |denial| Ok((Answer::Rejected(Rejection::Denied(denial)), false));
    match hub.authorize_write(&caller.person, topic) {
        Err(WriteDenial::Role(role)) => return Err(missing_role(role, caller.rights.roles())),
        Err(WriteDenial::Denied(denial)) => return denied(denial),
        Ok(()) => {}
    }
    match hub.open(topic).await {
        Ok(handle) => Ok(handle.command(caller.person.clone(), id, command, Encoding::Json).await),
        Err(denial) => denied(denial),
    }
}

/// The idempotency key, with or without quotes: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.
fn header_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().map(|key| key.trim().trim_matches('"').to_owned());
    key.map(Some)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "The idempotency key is not visible ASCII."))
}

fn command_id(path: &str, topic: &TopicName, key: Option<String>, time: Option<u64>) -> Result<CommandId, Problem> {
    let Some(key) = key else {
        return Ok(CommandId::from_bits(uuid::Uuid::new_v4().as_u128()));
    };
    if key.is_empty() || key.chars().count() > limits::IDEMPOTENCY_KEY {
        let detail = format!(
            "An idempotency key must have 1 to {} characters.",
            limits::IDEMPOTENCY_KEY
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let mut hash = Sha256::new();
    for part in [path, topic.as_str(), &key] {
        hash.update(part);
        hash.update([0]);
    }
    let bits = CommandId::digest_bits(&hash.finalize());
    Ok(match time {
        Some(time) => CommandId::from_time(time, bits),
        None => CommandId::without_time(bits),
    })
}

fn problem(error: IngestError) -> Problem {
    match error {
        IngestError::NotFound(detail) => Problem::not_found(detail),
        IngestError::Unprocessable(detail) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::gateway::Settings;
    use crate::identity::Identify;
    use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
    use duplex_hub::log::memory::MemoryLog;
    use duplex_hub::{Rights, Role};
    use duplex_protocol::cursor::Epoch;
    use duplex_protocol::person::{Person, PersonId};
    use duplex_protocol::session::Denial;
    use duplex_protocol::topic::Topic;

    const TOKEN: &str = "Bearer a-token-for-the-tests";

    /// A request with the token comes from a program with the operator role.
    struct TokenLogin;

    impl Identify for TokenLogin {
        async fn identify(&self, request: IdentityRequest<'_>) -> Result<Caller, Problem> {
            let has_token = request
                .headers
                .get(header::AUTHORIZATION)
                .is_some_and(|sent| sent == TOKEN);
            let rights = match has_token {
                true => Rights::program(vec![Role::Operator], false),
                false => Rights::visitor(false),
            };
            let visitor = Person {
                id: PersonId("a".to_owned()),
                name: String::new(),
            };
            Ok(Caller::visitor(rights.sender_kind().person(visitor)).with_rights(rights))
        }
    }

    /// Accepts numbers up to ten from programs.
    struct Sums;

    impl Topic for Sums {
        const KIND: &'static str = "sums";
        type Command = u32;
        type Event = u32;
        type State = u64;

        fn apply(state: &mut u64, _seq: Seq, event: &u32) {
            *state += u64::from(*event);
        }
    }

    impl Decider for Sums {
        type ServerCommand = NoCommand;

        fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
            Ok(Access::Write)
        }

        fn decide(&self, context: Context<'_>, _state: &u64, add: u32) -> Result<Vec<u32>, Rejection> {
            assert_eq!(context.principal(), Principal::program());
            if add > 10 {
                Err(Rejection::custom("too_many"))
            } else {
                Ok(vec![add])
            }
        }
    }

    #[derive(serde::Deserialize)]
    struct Add {
        add: u32,
        key: Option<String>,
    }

    fn app() -> Router {
        let hub = Hub::new(
            Arc::new(MemoryLog::new(Epoch::new(7))),
            vec![duplex_hub::dyn_topic(Sums)],
        );
        let endpoint = IngestEndpoint {
            path: "/api/sums/{name}",
            description: "numbers.",
            body_limit: 64,
            lenient_numbers: false,
            response_fields: None,
            command: |request| {
                let unprocessable = |error: serde_json::Error| IngestError::Unprocessable(error.to_string());
                let Add { add, key } = serde_json::from_value(request.body.clone()).map_err(unprocessable)?;
                Ok(IngestCommand::to::<Sums>(&request.params["name"], &add)?.with_key(key))
            },
        };
        let gateway = Gateway::new(hub, Settings::default(), TokenLogin);
        routes(gateway, [endpoint])
    }

    async fn post(app: &Router, path: &str, token: Option<&str>, key: Option<&str>, body: &str) -> (StatusCode, Value) {
        let mut request = Request::post(path);
        for (name, value) in [("authorization", token), ("idempotency-key", key)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let response = app
            .clone()
            .oneshot(request.body(Body::from(body.to_owned())).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let kind = response.headers()[header::CONTENT_TYPE].clone();
        assert_eq!(kind == "application/problem+json", !status.is_success());
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_request_without_the_token_has_no_effect() {
        let app = app();
        for token in [None, Some("Bearer wrong-wrong-wrong"), Some("Basic YTpi")] {
            let (status, _) = post(&app, "/api/sums/a", token, None, r#"{"add":1}"#).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        let token = Some("Bearer a-token-for-the-tests");
        let (status, response) = post(&app, "/api/sums/a", token, None, r#"{"add":1}"#).await;
        assert_eq!(
            (status, response),
            (StatusCode::OK, json!({"topic": "sums/a", "seq": 1, "again": false}))
        );
    }

    #[tokio::test]
    async fn requests_of_one_key_have_one_effect() {
        let (app, token) = (app(), Some("Bearer a-token-for-the-tests"));
        for (duplicate, key, body) in [
            (false, Some("k"), r#"{"add":1}"#),
            (true, Some("\"k\""), r#"{"add":1}"#),
            (true, None, r#"{"add":1,"key":"k"}"#),
        ] {
            let (status, response) = post(&app, "/api/sums/a", token, key, body).await;
            assert_eq!(
                (status, response),
                (StatusCode::OK, json!({"topic": "sums/a", "seq": 1, "again": duplicate}))
            );
        }
        let (_, response) = post(&app, "/api/sums/b", token, Some("k"), r#"{"add":1}"#).await;
        assert_eq!(response["again"], json!(false), "another topic is another request");
        let (_, response) = post(&app, "/api/sums/a", token, Some("l"), r#"{"add":1}"#).await;
        assert_eq!(response["seq"], json!(2));
    }

    #[tokio::test]
    async fn each_failure_has_its_status() {
        let (app, token) = (app(), Some("Bearer a-token-for-the-tests"));
        for (path, key, body, expected) in [
            ("/api/sums/a", None, "{", StatusCode::BAD_REQUEST),
            ("/api/sums/a", None, r#"{"add":1,"add":2}"#, StatusCode::BAD_REQUEST),
            ("/api/sums/a", None, r#"{"add":NaN}"#, StatusCode::BAD_REQUEST),
            ("/api/sums/a", None, "{}", StatusCode::UNPROCESSABLE_ENTITY),
            ("/api/sums/a", None, r#"{"add":11}"#, StatusCode::UNPROCESSABLE_ENTITY),
            ("/api/sums/a", None, r#"{"add":"x"}"#, StatusCode::UNPROCESSABLE_ENTITY),
            ("/api/sums/A", None, r#"{"add":1}"#, StatusCode::NOT_FOUND),
            (
                "/api/sums/a",
                Some(""),
                r#"{"add":1}"#,
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ("/api/sums/a", None, &"x".repeat(65), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let (status, problem) = post(&app, path, token, key, body).await;
            assert_eq!(status, expected, "{body}: {problem}");
        }
        let response = app
            .clone()
            .oneshot(Request::get("/api/sums/a").body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
