//! Who sends a request: the trait by which an app's login says so.

use std::borrow::Cow;
use std::fmt;
use std::future::pending;
use std::sync::Arc;

use axum::http::{Extensions, HeaderMap};
use data_encoding::HEXLOWER;
use duplex_hub::{Hub, Rights};
use duplex_protocol::code;
use duplex_protocol::person::Person;
use duplex_protocol::session::{Closing, SessionId};
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use crate::error::Problem;

/// An app's login. It is asked once for each connection and once for each request of the fallbacks.
pub trait Identify: Send + Sync + 'static {
    /// Says who sends the request.
    ///
    /// # Errors
    ///
    /// The answer to a caller who may not come in; the WebSocket is then not opened.
    fn identify<'a>(&'a self, request: IdentityRequest<'a>) -> BoxFuture<'a, Result<Caller, Problem>>;
}

/// What an [`Identify`] goes by. A login that runs as a middleware before leaves what it found in the extensions.
#[derive(Debug, Clone, Copy)]
pub struct IdentityRequest<'a> {
    pub headers: &'a HeaderMap,
    pub extensions: &'a Extensions,
    /// The id of the session that the client made up. With the fallbacks it is all that tells a visitor without a cookie from
    /// others: who has no other identity should get one that follows from it.
    pub session: Option<&'a SessionId>,
    /// The request is a visitor's even where it shows a program's token.
    pub as_visitor: bool,
}

impl<'a> IdentityRequest<'a> {
    #[must_use]
    pub const fn new(headers: &'a HeaderMap, extensions: &'a Extensions) -> Self {
        Self {
            headers,
            extensions,
            session: None,
            as_visitor: false,
        }
    }

    /// The request of a fallback, which names its session.
    #[must_use]
    pub const fn of_session(self, session: &'a SessionId) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    /// The request is a visitor's even where it shows a program's token.
    #[must_use]
    pub const fn as_visitor(self) -> Self {
        Self {
            as_visitor: true,
            ..self
        }
    }
}

/// Who sends a request, and what they may do.
#[derive(Clone)]
pub struct Caller {
    pub person: Person,
    pub rights: Rights,
    login: Arc<dyn Login>,
}

/// What a caller's connections depend on: they end when it ends.
pub trait Login: Send + Sync + 'static {
    /// Why it has ended, if it has.
    fn ended(&self) -> Option<LoginEnd>;

    /// Ready when it has ended. The future may be dropped and asked for again.
    fn wait(&self) -> BoxFuture<'_, LoginEnd>;
}

/// Why the server ends a caller's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginEnd {
    pub closing: Closing,
    /// The WebSocket's close code.
    pub code: u16,
    /// English text for logs and close frames.
    pub reason: Cow<'static, str>,
}

impl LoginEnd {
    /// The login is no longer good: signed out, expired, revoked.
    #[must_use]
    pub fn signed_out(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            closing: Closing::Ended,
            code: code::ENDED,
            reason: reason.into(),
        }
    }

    /// An operator banned the caller.
    #[must_use]
    pub const fn banned() -> Self {
        Self {
            closing: Closing::Banned,
            code: code::BANNED,
            reason: Cow::Borrowed("the operator of this server has banned you"),
        }
    }

    #[must_use]
    pub fn is_ban(&self) -> bool {
        self.closing == Closing::Banned
    }
}

/// A login that does not end.
struct Lasting;

impl Login for Lasting {
    fn ended(&self) -> Option<LoginEnd> {
        None
    }

    fn wait(&self) -> BoxFuture<'_, LoginEnd> {
        Box::pin(pending())
    }
}

impl Caller {
    /// A visitor whose connections end only by themselves.
    #[must_use]
    pub fn visitor(person: Person) -> Self {
        Self::new(person, Rights::default(), Arc::new(Lasting))
    }

    #[must_use]
    pub fn new(person: Person, rights: Rights, login: Arc<dyn Login>) -> Self {
        Self { person, rights, login }
    }

    #[must_use]
    pub fn login(&self) -> &dyn Login {
        &*self.login
    }

    /// The hub with the caller's rights.
    #[must_use]
    pub fn hub(&self, hub: &Hub) -> Hub {
        hub.with_rights(self.rights.clone())
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("person", &self.person)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

/// A session's id as logs show it: enough to find its lines, and nothing that a request could be made with.
#[must_use]
pub fn shown(SessionId(session): &SessionId) -> String {
    let hash = Sha256::new().chain_update("duplex session ").chain_update(session);
    HEXLOWER.encode(hash.finalize().get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_shows_of_a_session_nothing_to_ask_with() {
        let session = SessionId("0123456789".to_owned());
        let shown = shown(&session);
        assert_eq!(shown.len(), 8);
        assert_eq!(shown, super::shown(&session));
        assert_ne!(shown, session.0);
    }
}
