//! Authentication middleware: turns the credential of a request into its [`Grant`]. An invalid credential is rejected rather than
//! ignored, because treating it as anonymous would fail later with a misleading error.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::grant::{Credential, Grant};
use super::local::is_local;
use super::secret::{SecretHash, is_guessable};
use super::throttle::{SourceAddr, Throttle};
use super::{AccessControl, LEGACY, TokenEnd, all_roles, token_store};
use crate::server::cookies::{CookieValue, unique_value};
use crate::server::state::ServerState;
use duplex_axum::client_addr::ClientAddr;
use duplex_axum::error::Problem;
use duplex_hub::{Rights, Role};

/// The cookie that holds the id of an operator session. It is `HttpOnly` and `SameSite=Strict`.
pub const COOKIE: &str = "operator";

/// Why a token is rejected.
#[derive(Debug, thiserror::Error)]
pub enum TokenRejection {
    #[error("The bearer token is unknown.")]
    Unknown,
    #[error("The bearer token is invalid: {0}.")]
    Invalid(#[from] TokenEnd),
    #[error("Too many wrong tokens came from this address; try again in {} s.", .0.as_secs().max(1))]
    TooMany(Duration),
    #[error("The token store is temporarily unavailable.")]
    Unavailable,
}

/// A verified token: its id and its roles.
pub(super) struct VerifiedToken {
    pub id: String,
    pub roles: Vec<Role>,
}

/// Puts the [`Grant`] of each request into its extensions.
pub async fn authenticate(State(state): State<ServerState>, mut request: Request, next: Next) -> Response {
    match state
        .access
        .grant(request.headers(), ThrottleKey::from_extensions(request.extensions()).0)
    {
        Ok(grant) => {
            request.extensions_mut().insert(grant);
            next.run(request).await
        }
        Err(rejection) => rejection.problem().into_response(),
    }
}

/// The address of a request's client, for a throttle.
pub(super) struct ThrottleKey(pub SourceAddr);

impl ThrottleKey {
    fn from_extensions(extensions: &Extensions) -> Self {
        Self(extensions.get().map(|ClientAddr(address)| *address))
    }
}

impl<S: Sync> FromRequestParts<S> for ThrottleKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}

impl AccessControl {
    fn grant(self: &Arc<Self>, headers: &HeaderMap, source: SourceAddr) -> Result<Grant, TokenRejection> {
        if let Some(token) = bearer(headers) {
            let VerifiedToken { id, roles } = self.verify(token, source)?;
            let credential = match id.as_str() {
                LEGACY => Credential::Legacy,
                _ => Credential::Token(id),
            };
            let rights = Rights::program(roles, self.demo);
            return Ok(Grant::with_credential(rights, Arc::clone(self), credential));
        }
        if let Some(id) = self.session(headers).filter(|id| self.is_active(*id)) {
            let credential = Credential::Session(id);
            return Ok(Grant::with_credential(Rights::operator(), Arc::clone(self), credential));
        }
        Ok(Grant::without_credential(match self.trust_local && is_local(headers) {
            true => Rights::operator(),
            false => Rights::visitor(self.demo),
        }))
    }

    /// The session id of the cookie. Two cookies with different values count as none, see [`CookieValue::Conflicting`].
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<SecretHash> {
        match unique_value(headers, &self.cookie) {
            CookieValue::One(id) => Some(SecretHash::new(id)),
            CookieValue::Missing | CookieValue::Conflicting => None,
        }
    }

    fn is_active(&self, id: SecretHash) -> bool {
        self.sessions.touch(id).is_some() && self.invalid_reason(&Credential::Session(id)).is_none()
    }

    /// Verifies a bearer token.
    fn verify(&self, token: &str, source: SourceAddr) -> Result<VerifiedToken, TokenRejection> {
        self.verify_throttled(&self.bearer_throttle, token, source)
    }

    /// Verifies a token under a throttle. A throttled source's guessable token is rejected without verification; a random token
    /// is always verified.
    pub(super) fn verify_throttled(
        &self,
        throttle: &Throttle,
        token: &str,
        source: SourceAddr,
    ) -> Result<VerifiedToken, TokenRejection> {
        let guessable = is_guessable(token);
        let check_throttle = || throttle.check(source).map_err(TokenRejection::TooMany);
        if guessable {
            check_throttle()?;
        }
        let known = self.find_token(token);
        if matches!(known, Err(TokenRejection::Unknown)) {
            if !guessable {
                check_throttle()?;
            }
            throttle.record_failure(source);
        }
        known
    }

    fn find_token(&self, token: &str) -> Result<VerifiedToken, TokenRejection> {
        let unavailable = |_| TokenRejection::Unavailable;
        let hash = SecretHash::new(token);
        if let Some(known) = self.tokens.find(hash).map_err(unavailable)? {
            return match known.end(token_store::now()) {
                Some(end) => Err(end.into()),
                None => Ok(VerifiedToken {
                    id: known.id,
                    roles: vec![known.role],
                }),
            };
        }
        if self.tokens.is_legacy_revoked(hash).map_err(unavailable)? {
            return Err(TokenEnd::Revoked.into());
        }
        match &self.legacy {
            Some(legacy) if SecretHash::new(legacy.as_str()) == hash => Ok(VerifiedToken {
                id: LEGACY.to_owned(),
                roles: all_roles(),
            }),
            _ => Err(TokenRejection::Unknown),
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1). Other schemes are ignored: they are meant for a proxy in front.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?;
    let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Some("");
    };
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl TokenRejection {
    fn problem(&self) -> Problem {
        let invalid = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        match self {
            Self::Unknown | Self::Invalid(_) => {
                Problem::new(StatusCode::UNAUTHORIZED, self.to_string()).header(header::WWW_AUTHENTICATE, invalid)
            }
            Self::TooMany(wait) => Problem::new(StatusCode::TOO_MANY_REQUESTS, self.to_string())
                .header(header::RETRY_AFTER, wait.as_secs().max(1)),
            Self::Unavailable => Problem::unavailable(self.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_bearer_token_follows_its_scheme() {
        assert_eq!(bearer(&HeaderMap::new()), None);
        assert_eq!(
            bearer(&authorization("Bearer 0123456789abcdef")),
            Some("0123456789abcdef")
        );
        assert_eq!(
            bearer(&authorization("bearer  0123456789abcdef ")),
            Some("0123456789abcdef")
        );
        assert_eq!(bearer(&authorization("Basic 0123456789abcdef")), None);
        assert_eq!(bearer(&authorization("Bearer ")), Some(""));
        assert_eq!(bearer(&authorization("0123456789abcdef")), Some(""), "no scheme at all");
    }
}
