//! The client of a request, to whom quotas are counted, and the quota of requests. The rates themselves stand in [`duplex_hub::quota`].

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::client_addr::ClientAddr;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::health::{ALIVE_PATH, READY_PATH};
use duplex_hub::quota::{Address, Client, Exceeded, Rate};

/// Answered whatever else is asked: whoever watches over the node shares its address with those who ask too much.
const ALWAYS: [&str; 2] = [ALIVE_PATH, READY_PATH];

/// Who sends a request, before it is known which person it is.
pub fn client(extensions: &Extensions) -> Client {
    Client {
        address: address(extensions),
        person: None,
    }
}

/// Who sends a request, as an extractor.
pub struct RequestClient(pub Client);

impl<S: Sync> FromRequestParts<S> for RequestClient {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(client(&parts.extensions)))
    }
}

fn address(extensions: &Extensions) -> Option<Address> {
    extensions.get().map(|ClientAddr(address)| Address::from(*address))
}

/// Of every request.
pub async fn requests(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    if ALWAYS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match gateway.quotas.take(&client(request.extensions()), Rate::Requests) {
        Ok(()) => next.run(request).await,
        Err(exceeded) => Problem::from(exceeded).into_response(),
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "There are {exceeded}; try again in {} s.",
                exceeded.retry_after_seconds()
            ),
        )
        .header(header::RETRY_AFTER, exceeded.retry_after_seconds())
    }
}
