//! From what a request shows to what it may do. A credential that is not good is refused: its holder would wonder, as a
//! visitor, what became of their request.

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
use super::secret::{SecretHash, could_be_guessed};
use super::throttle::{Source, Throttle};
use super::{AccessControl, LEGACY, TokenEnd, all_roles, token_store};
use crate::server::cookies::{Held, held};
use crate::server::state::ServerState;
use duplex_axum::client_addr::ClientAddr;
use duplex_axum::error::Problem;
use duplex_hub::{Rights, Role};

/// Holds the id of an operator's session. No script reads it, and no other site has it sent.
pub const COOKIE: &str = "operator";

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefused {
    #[error("The bearer token is not this server's.")]
    Unknown,
    #[error("The bearer token cannot be used: {0}.")]
    Ended(#[from] TokenEnd),
    #[error("Too many wrong tokens came from this address; try again in {} s.", .0.as_secs().max(1))]
    TooMany(Duration),
    #[error("The server cannot read its tokens now.")]
    Unavailable,
}

/// A token that is taken: its id, and what it may do.
pub(super) struct Taken {
    pub id: String,
    pub roles: Vec<Role>,
}

/// Puts the [`Grant`] of each request into its extensions.
pub async fn authenticate(State(state): State<ServerState>, mut request: Request, next: Next) -> Response {
    match state
        .access
        .judge(request.headers(), CameFrom::of_request(request.extensions()).0)
    {
        Ok(grant) => {
            request.extensions_mut().insert(grant);
            next.run(request).await
        }
        Err(refused) => refused.problem().into_response(),
    }
}

/// Where a request comes from, for a throttle.
pub(super) struct CameFrom(pub Source);

impl CameFrom {
    fn of_request(extensions: &Extensions) -> Self {
        Self(extensions.get().map(|ClientAddr(address)| *address))
    }
}

impl<S: Sync> FromRequestParts<S> for CameFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of_request(&parts.extensions))
    }
}

impl AccessControl {
    fn judge(self: &Arc<Self>, headers: &HeaderMap, source: Source) -> Result<Grant, TokenRefused> {
        if let Some(token) = bearer(headers) {
            let Taken { id, roles } = self.take(token, source)?;
            let credential = match id.as_str() {
                LEGACY => Credential::Legacy,
                _ => Credential::Token(id),
            };
            let rights = Rights::program(roles, self.demo);
            return Ok(Grant::shown(rights, Arc::clone(self), credential));
        }
        if let Some(id) = self.session(headers).filter(|id| self.is_open(*id)) {
            let credential = Credential::Session(id);
            return Ok(Grant::shown(Rights::operator(), Arc::clone(self), credential));
        }
        Ok(Grant::of(match self.trust_local && is_local(headers) {
            true => Rights::operator(),
            false => Rights::visitor(self.demo),
        }))
    }

    /// What the cookie says; of two that differ at least one was not set here.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<SecretHash> {
        match held(headers, &self.cookie) {
            Held::One(id) => Some(SecretHash::of(id)),
            Held::Nothing | Held::Differing => None,
        }
    }

    fn is_open(&self, id: SecretHash) -> bool {
        self.sessions.used(id).is_some() && self.end_of(&Credential::Session(id)).is_none()
    }

    /// Of a bearer token.
    fn take(&self, token: &str, source: Source) -> Result<Taken, TokenRefused> {
        self.take_with(&self.bearers, token, source)
    }

    /// What could be guessed is not even looked at while the source has to wait; what is too long for that, always.
    pub(super) fn take_with(&self, throttle: &Throttle, token: &str, source: Source) -> Result<Taken, TokenRefused> {
        let guess = could_be_guessed(token);
        let wait = || throttle.check(source).map_err(TokenRefused::TooMany);
        if guess {
            wait()?;
        }
        let known = self.known(token);
        if matches!(known, Err(TokenRefused::Unknown)) {
            if !guess {
                wait()?;
            }
            throttle.failed(source);
        }
        known
    }

    fn known(&self, token: &str) -> Result<Taken, TokenRefused> {
        let unavailable = |_| TokenRefused::Unavailable;
        let hash = SecretHash::of(token);
        if let Some(known) = self.tokens.find(hash).map_err(unavailable)? {
            return match known.end(token_store::now()) {
                Some(end) => Err(end.into()),
                None => Ok(Taken {
                    id: known.id,
                    roles: vec![known.role],
                }),
            };
        }
        if self.tokens.is_legacy_revoked(hash).map_err(unavailable)? {
            return Err(TokenEnd::Revoked.into());
        }
        match &self.legacy {
            Some(legacy) if SecretHash::of(legacy.as_str()) == hash => Ok(Taken {
                id: LEGACY.to_owned(),
                roles: all_roles(),
            }),
            _ => Err(TokenRefused::Unknown),
        }
    }
}

/// Of `Authorization: Bearer …` (RFC 6750 section 2.1). What another scheme says is for a proxy before this server.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?;
    let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Some("");
    };
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl TokenRefused {
    fn problem(&self) -> Problem {
        let invalid = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        match self {
            Self::Unknown | Self::Ended(_) => {
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

    fn shows(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_bearer_token_is_what_stands_behind_its_scheme() {
        assert_eq!(bearer(&HeaderMap::new()), None);
        assert_eq!(bearer(&shows("Bearer 0123456789abcdef")), Some("0123456789abcdef"));
        assert_eq!(bearer(&shows("bearer  0123456789abcdef ")), Some("0123456789abcdef"));
        assert_eq!(bearer(&shows("Basic 0123456789abcdef")), None);
        assert_eq!(bearer(&shows("Bearer ")), Some(""));
        assert_eq!(bearer(&shows("0123456789abcdef")), Some(""), "no scheme at all");
    }
}
