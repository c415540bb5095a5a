//! The visitor's identity: a random secret in a cookie, and the public id derived from it.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use duplex_axum::error::Problem;
use duplex_axum::identity::{Caller, Identify, IdentityRequest, cookie};
use duplex_hub::Hub;
use duplex_protocol::person::{Person, PersonId};
use uuid::Uuid;

const COOKIE: &str = "tally_visitor";

/// Identifies the visitors of pages and connections.
pub struct Visitors(pub Hub);

impl Identify for Visitors {
    async fn identify(&self, request: IdentityRequest<'_>) -> Result<Caller, Problem> {
        let key = self.0.log().secret();
        // Without a cookie, the session identifies the client; without either, each connection is a new visitor.
        let id = match (secret(request.headers), request.session) {
            (Some(secret), _) => Uuid::from_bytes(key.mac("visitor", secret)),
            (None, Some(session)) => Uuid::from_bytes(key.mac("session", &session.0)),
            (None, None) => Uuid::new_v4(),
        };
        let person = Person {
            id: PersonId(id.simple().to_string()),
            name: String::new(),
        };
        Ok(Caller::visitor(person))
    }
}

/// Sets the cookie of a new visitor, and adds it to the request for this request's handler.
pub async fn ensure_cookie(mut request: Request, next: Next) -> Response {
    if secret(request.headers()).is_some() {
        return next.run(request).await;
    }
    let cookie = format!("{COOKIE}={}", Uuid::new_v4().simple());
    let set_cookie = format!("{cookie}; Max-Age=31536000; Path=/; SameSite=Lax; HttpOnly");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        request.headers_mut().append(header::COOKIE, cookie);
    }
    let mut response = next.run(request).await;
    if let Ok(set_cookie) = HeaderValue::from_str(&set_cookie) {
        response.headers_mut().append(header::SET_COOKIE, set_cookie);
    }
    response
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE).filter(|secret| Uuid::try_parse(secret).is_ok())
}
