//! The one shape of an error over HTTP: problem details (RFC 9457). Each layer maps its own errors to it, beside the error.
//! Knows no layer.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duplex_hub::{Needed, Rights, Role};
use serde::Serialize;

/// English text for developers; a page shows its own words.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .header(header::RETRY_AFTER, super::limits::RETRY_AFTER_SECONDS)
    }
}

/// 401 for who shows nothing, 403 for who shows the wrong role.
///
/// # Errors
///
/// If the rights do not allow what is needed.
pub fn require(rights: &Rights, needed: Needed<'_>) -> Result<(), Problem> {
    match (rights.allows(needed), rights.roles()) {
        (true, _) => Ok(()),
        (false, []) => Err(unauthorized(needed)),
        (false, roles) => Err(wrong_role(needed.role(), roles)),
    }
}

fn unauthorized(needed: Needed<'_>) -> Problem {
    let detail = format!(
        "This needs a token with the role {}: Authorization: Bearer …",
        needed.role()
    );
    Problem::new(StatusCode::UNAUTHORIZED, detail).header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// For a program that was refused for want of the role `needed`.
#[must_use]
pub fn wrong_role(needed: &str, roles: &[Role]) -> Problem {
    let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
    let detail = format!(
        "This needs the role {needed}; what was shown has: {}.",
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
