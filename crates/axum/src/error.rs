//! Error responses: problem details (RFC 9457). Each module maps its own errors to a [`Problem`] where it defines them.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duplex_hub::{RequiredRole, Rights, Role};
use serde::Serialize;

/// An error response: a status, an English sentence for developers, and headers. Its body is `application/problem+json`; it is never
/// cached.
///
/// ```
/// use axum::http::{StatusCode, header};
/// use duplex_axum::error::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT, "The room was closed.").header(header::RETRY_AFTER, 30);
/// assert_eq!(problem.status(), 409);
/// ```
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with this status and detail.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The response's status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// 404.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 503 with `Retry-After`: the server is full or shutting down.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .header(header::RETRY_AFTER, super::limits::RETRY_AFTER_SECONDS)
    }
}

/// Checks that `rights` include the needed role.
///
/// # Errors
///
/// 401 with `WWW-Authenticate: Bearer` for a caller without a role, 403 for one with other roles.
pub fn require_role(rights: &Rights, needed: RequiredRole<'_>) -> Result<(), Problem> {
    match (rights.allows(needed), rights.roles()) {
        (true, _) => Ok(()),
        (false, []) => Err(unauthorized(needed)),
        (false, roles) => Err(missing_role(needed.name(), roles)),
    }
}

fn unauthorized(needed: RequiredRole<'_>) -> Problem {
    let detail = format!(
        "This request needs a token with the role {}: Authorization: Bearer …",
        needed.name()
    );
    Problem::new(StatusCode::UNAUTHORIZED, detail).header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// 403 for a program with `roles` but without the role `needed`.
#[must_use]
pub fn missing_role(needed: &str, roles: &[Role]) -> Problem {
    let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
    let detail = format!(
        "This request needs the role {needed}; the token has: {}.",
        roles.join(", ")
    );
    Problem::new(StatusCode::FORBIDDEN, detail)
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}
