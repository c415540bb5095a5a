//! Identifies the client that a request's quotas apply to, and limits requests per address. [`duplex_hub::quota`] defines the
//! rates.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::Extensions;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::client_addr::ClientAddr;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::health::{ALIVE_PATH, READY_PATH};
use duplex_hub::quota::{Address, ClientKey, Rate};

/// Health checks are exempt: a supervisor may share its address with clients that exceed the quota.
const EXEMPT: [&str; 2] = [ALIVE_PATH, READY_PATH];

/// The client of a request by its [`ClientAddr`]. The person is not known yet: add it with [`ClientKey::with_person`].
#[must_use]
pub fn client(extensions: &Extensions) -> ClientKey {
    ClientKey {
        address: address(extensions),
        person: None,
    }
}

/// The [`client`] of a request, as an extractor.
#[derive(Debug, Clone)]
pub struct RequestClient(pub ClientKey);

impl<S: Sync> FromRequestParts<S> for RequestClient {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(client(&parts.extensions)))
    }
}

fn address(extensions: &Extensions) -> Option<Address> {
    extensions.get().map(|ClientAddr(address)| Address::from(*address))
}

/// Middleware: counts a request towards its address's quota. Beyond it, the response is 429 with `Retry-After`. Health checks are not
/// counted.
pub async fn limit_requests(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    if EXEMPT.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match gateway.quotas.take(&client(request.extensions()), Rate::Requests) {
        Ok(()) => next.run(request).await,
        Err(exceeded) => Problem::from(exceeded).into_response(),
    }
}
