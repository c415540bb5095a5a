//! How a visitor asks for faults: a post for each, answered with how the session stands. Knows HTTP, no transport.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query as Parameters, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::NotOrdered;
use crate::server::access::Grant;
use crate::server::error::Problem;
use crate::server::identity::{self, Otherwise};
use crate::server::state::ServerState;
use duplex_protocol::fault::FaultRequest;
use duplex_protocol::session::SessionId;

impl NotOrdered {
    fn problem(self) -> Problem {
        let status = match self {
            Self::Off | Self::Unknown => StatusCode::NOT_FOUND,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => return Problem::unavailable(self.to_string()),
        };
        Problem::new(status, self.to_string())
    }
}

/// `POST` [`FAULTS_PATH`](duplex_protocol::fault::FAULTS_PATH)
pub async fn order(
    State(state): State<ServerState>,
    grant: Grant,
    headers: HeaderMap,
    request: Result<Json<FaultRequest>, JsonRejection>,
) -> Response {
    let Json(FaultRequest { session, fault }) = match request {
        Ok(request) => request,
        Err(error) => return Problem::new(error.status(), error.body_text()).into_response(),
    };
    let person = identity::caller(&state, &grant, &headers, Otherwise::Session(&session.0));
    match state.faults.make(&session, &person.id, fault) {
        Ok(()) => {
            tracing::info!(
                session = identity::shown(&session),
                ?fault,
                "a fault, as its visitor asked"
            );
            report(&state, &grant, &headers, &session)
        }
        Err(error) => error.problem().into_response(),
    }
}

#[derive(Debug, Deserialize)]
pub struct Shown {
    session: SessionId,
}

/// `GET` [`FAULTS_PATH`](duplex_protocol::fault::FAULTS_PATH)
pub async fn show(
    State(state): State<ServerState>,
    grant: Grant,
    headers: HeaderMap,
    query: Result<Parameters<Shown>, QueryRejection>,
) -> Response {
    match query {
        Ok(Parameters(Shown { session })) => report(&state, &grant, &headers, &session),
        Err(error) => Problem::new(error.status(), error.body_text()).into_response(),
    }
}

fn report(state: &ServerState, grant: &Grant, headers: &HeaderMap, session: &SessionId) -> Response {
    let person = identity::caller(state, grant, headers, Otherwise::Session(&session.0));
    let report = state.faults.report(session, &person.id);
    ([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
