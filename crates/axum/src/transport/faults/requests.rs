//! Routes that inject a fault (`POST`) and report the active ones (`GET`).

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::FaultError;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::{self, Caller, IdentityRequest};
use duplex_protocol::fault::FaultRequest;
use duplex_protocol::session::SessionId;

impl FaultError {
    fn problem(self) -> Problem {
        let status = match self {
            Self::Disabled | Self::Unknown => StatusCode::NOT_FOUND,
            Self::NotOwner => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => return Problem::unavailable(self.to_string()),
        };
        Problem::new(status, self.to_string())
    }
}

/// `POST` [`FAULTS_PATH`](duplex_protocol::fault::FAULTS_PATH)
pub(crate) async fn post_fault(
    State(state): State<Gateway>,
    headers: HeaderMap,
    extensions: Extensions,
    request: Result<Json<FaultRequest>, JsonRejection>,
) -> Response {
    let Json(FaultRequest { session, fault }) = match request {
        Ok(request) => request,
        Err(error) => return Problem::from(error).into_response(),
    };
    let caller = match identify(&state, (&headers, &extensions), &session).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    match state.faults.inject(&session, &caller.person.id, fault) {
        Ok(()) => {
            tracing::info!(
                session = identity::session_id_hash(&session),
                ?fault,
                "fault injected for the visitor"
            );
            report(&state, &caller, &session)
        }
        Err(error) => error.problem().into_response(),
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReportQuery {
    session: SessionId,
}

/// `GET` [`FAULTS_PATH`](duplex_protocol::fault::FAULTS_PATH)
pub(crate) async fn get_report(
    State(state): State<Gateway>,
    headers: HeaderMap,
    extensions: Extensions,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Response {
    match query {
        Ok(Query(ReportQuery { session })) => match identify(&state, (&headers, &extensions), &session).await {
            Ok(caller) => report(&state, &caller, &session),
            Err(problem) => problem.into_response(),
        },
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn identify(
    state: &Gateway,
    (headers, extensions): (&HeaderMap, &Extensions),
    session: &SessionId,
) -> Result<Caller, Problem> {
    let request = IdentityRequest::new(headers, extensions).with_session(session);
    state.identify(request).await
}

fn report(state: &Gateway, caller: &Caller, session: &SessionId) -> Response {
    let report = state.faults.report(session, &caller.person.id);
    ([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
