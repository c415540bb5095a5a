//! Authentication: the app's [`Identify`] trait, the authenticated [`Caller`], and the [`Login`] whose end closes the caller's
//! connections.

use std::borrow::Cow;
use std::fmt;
use std::future::pending;
use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, header};
use data_encoding::HEXLOWER;
use duplex_hub::{Hub, Rights};
use duplex_protocol::code;
use duplex_protocol::person::Person;
use duplex_protocol::session::{CloseReason, SessionId};
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::error::Problem;

/// Authenticates requests. Called once for each WebSocket and once for each HTTP request of the fallbacks, commands and ingest.
///
/// ```
/// use axum::http::{StatusCode, header};
/// use duplex_axum::error::Problem;
/// use duplex_axum::identity::{Caller, Identify, IdentityRequest};
/// use duplex_protocol::person::{Person, PersonId};
///
/// /// Uses the name in a header that a trusted proxy sets.
/// struct ProxyLogin;
///
/// impl Identify for ProxyLogin {
///     async fn identify(&self, request: IdentityRequest<'_>) -> Result<Caller, Problem> {
///         let name = request.headers.get("x-user").and_then(|name| name.to_str().ok());
///         let name = name.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "Sign in first."))?;
///         Ok(Caller::visitor(Person { id: PersonId(name.to_owned()), name: name.to_owned() }))
///     }
/// }
/// ```
pub trait Identify: Send + Sync + 'static {
    /// Identifies the caller.
    ///
    /// # Errors
    ///
    /// The response for a caller who may not connect, such as 401. A WebSocket handshake is answered with it, so the socket does
    /// not open; browsers do not show a page the status of a failed handshake, and report close code 1006.
    fn identify(&self, request: IdentityRequest<'_>) -> impl Future<Output = Result<Caller, Problem>> + Send;
}

impl<I: Identify> Identify for Arc<I> {
    fn identify(&self, request: IdentityRequest<'_>) -> impl Future<Output = Result<Caller, Problem>> + Send {
        I::identify(self, request)
    }
}

/// [`Identify`] as a trait object.
pub(crate) trait DynIdentify: Send + Sync {
    fn identify_dyn<'a>(&'a self, request: IdentityRequest<'a>) -> BoxFuture<'a, Result<Caller, Problem>>;
}

impl<I: Identify> DynIdentify for I {
    fn identify_dyn<'a>(&'a self, request: IdentityRequest<'a>) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(self.identify(request))
    }
}

/// The request whose caller is to be identified. Authentication that runs as middleware stores its result in the extensions.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct IdentityRequest<'a> {
    /// The request's headers, cookies among them.
    pub headers: &'a HeaderMap,
    /// The request's extensions.
    pub extensions: &'a Extensions,
    /// The session id that the client chose, if the request names one. Over the fallbacks only this id identifies a visitor without
    /// a cookie: derive such a visitor's id from it.
    pub session: Option<&'a SessionId>,
    /// Whether to ignore a program's token and treat the caller as a visitor.
    pub ignore_token: bool,
}

impl<'a> IdentityRequest<'a> {
    /// A request without a session id.
    #[must_use]
    pub const fn new(headers: &'a HeaderMap, extensions: &'a Extensions) -> Self {
        Self {
            headers,
            extensions,
            session: None,
            ignore_token: false,
        }
    }

    /// The same request with the session that it names.
    #[must_use]
    pub const fn with_session(self, session: &'a SessionId) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    /// The same request with a program's token ignored: the caller is a visitor.
    #[must_use]
    pub const fn as_visitor(self) -> Self {
        Self {
            ignore_token: true,
            ..self
        }
    }
}

/// The authenticated sender of a request, its rights, and the login that its connections depend on.
#[derive(Clone)]
#[non_exhaustive]
pub struct Caller {
    /// The person. The id is public: it appears in events that others read.
    pub person: Person,
    /// The caller's rights beyond those of a visitor.
    pub rights: Rights,
    login: Arc<dyn DynLogin>,
}

/// The login of a [`Caller`].
#[derive(Clone)]
pub(crate) struct CallerLogin(Arc<dyn DynLogin>);

impl CallerLogin {
    /// Completes when the login ends.
    pub(crate) fn wait(&self) -> BoxFuture<'_, LoginEnd> {
        self.0.wait_dyn()
    }
}

/// The lifetime of a login. The caller's WebSockets, event streams, polls and simulation participations end with it. Most apps use
/// [`RevocableLogin`].
pub trait Login: Send + Sync + 'static {
    /// Why the login ended, if it has. Must not block.
    fn end_reason(&self) -> Option<LoginEnd>;

    /// Completes when the login ends. Must be cancel-safe: it is dropped and called again.
    fn wait(&self) -> impl Future<Output = LoginEnd> + Send;
}

/// [`Login`] as a trait object.
trait DynLogin: Send + Sync {
    fn end_reason_dyn(&self) -> Option<LoginEnd>;
    fn wait_dyn(&self) -> BoxFuture<'_, LoginEnd>;
}

impl<L: Login> DynLogin for L {
    fn end_reason_dyn(&self) -> Option<LoginEnd> {
        self.end_reason()
    }

    fn wait_dyn(&self) -> BoxFuture<'_, LoginEnd> {
        Box::pin(self.wait())
    }
}

/// A login that the app ends, for instance when its user signs out. All clones are the same login.
///
/// ```
/// use duplex_axum::identity::{Login as _, LoginEnd, RevocableLogin};
///
/// let login = RevocableLogin::new();
/// let kept_by_a_connection = login.clone();
/// login.end(LoginEnd::signed_out("signed out"));
/// assert!(kept_by_a_connection.end_reason().is_some());
/// ```
#[derive(Debug, Clone, Default)]
pub struct RevocableLogin(watch::Sender<Option<LoginEnd>>);

impl RevocableLogin {
    /// A login that has not ended.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the login, and with it the connections of every [`Caller`] that has it. A second call has no effect.
    pub fn end(&self, end: LoginEnd) {
        self.0.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(end);
            }
            first
        });
    }
}

impl Login for RevocableLogin {
    fn end_reason(&self) -> Option<LoginEnd> {
        self.0.borrow().clone()
    }

    async fn wait(&self) -> LoginEnd {
        let mut ends = self.0.subscribe();
        loop {
            if let Some(end) = ends.borrow_and_update().clone() {
                return end;
            }
            // `self` holds the sender, so this does not fail.
            if ends.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }
}

/// Why the server closes a caller's connections, as a `closing` frame of the session protocol and the matching close code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginEnd {
    /// The reason in the session protocol's `closing` frame, on every transport.
    pub closing: CloseReason,
    /// The WebSocket's close code.
    pub code: u16,
    /// English text for logs, and the close frame's reason. Truncated to 123 bytes in the close frame.
    pub reason: Cow<'static, str>,
}

impl LoginEnd {
    /// The login is no longer valid: signed out, expired or revoked. [`CloseReason::Ended`], close code 4502: clients do not
    /// reconnect automatically.
    #[must_use]
    pub fn signed_out(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            closing: CloseReason::Ended,
            code: code::ENDED,
            reason: reason.into(),
        }
    }

    /// An operator banned the caller. [`CloseReason::Banned`], close code 4504: clients do not reconnect, and the server stops
    /// reading from them.
    #[must_use]
    pub const fn banned() -> Self {
        Self {
            closing: CloseReason::Banned,
            code: code::BANNED,
            reason: Cow::Borrowed("the operator of this server has banned you"),
        }
    }

    /// Whether it is a ban.
    #[must_use]
    pub fn is_ban(&self) -> bool {
        self.closing == CloseReason::Banned
    }
}

/// A login that never ends.
struct Permanent;

impl Login for Permanent {
    fn end_reason(&self) -> Option<LoginEnd> {
        None
    }

    fn wait(&self) -> impl Future<Output = LoginEnd> + Send {
        pending()
    }
}

impl Caller {
    /// A visitor without further rights, whose login never ends.
    #[must_use]
    pub fn visitor(person: Person) -> Self {
        Self {
            person,
            rights: Rights::default(),
            login: Arc::new(Permanent),
        }
    }

    /// The same caller with these rights.
    #[must_use]
    pub fn with_rights(self, rights: Rights) -> Self {
        Self { rights, ..self }
    }

    /// The same caller, whose connections end with `login`.
    #[must_use]
    pub fn with_login(self, login: impl Login) -> Self {
        Self {
            login: Arc::new(login),
            ..self
        }
    }

    /// Why the login ended, if it has.
    pub(crate) fn login_end_reason(&self) -> Option<LoginEnd> {
        self.login.end_reason_dyn()
    }

    /// Completes when the login ends.
    pub(crate) fn wait_for_login_end(&self) -> BoxFuture<'_, LoginEnd> {
        self.login.wait_dyn()
    }

    /// The login alone, for a connection that keeps nothing else of its caller.
    pub(crate) fn into_login(self) -> CallerLogin {
        CallerLogin(self.login)
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

/// The value of the cookie `name`, byte for byte as in the request (RFC 6265 section 4.2). `None` without such a cookie, if two of
/// them differ (a sibling host could set a second one), or if the value is not UTF-8.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let first = values.next()?;
    values
        .all(|other| other == first)
        .then(|| str::from_utf8(first).ok())
        .flatten()
}

/// A session's id for logs: a hash, since the id itself would let a reader of the log act as the session.
pub(crate) fn session_id_hash(SessionId(session): &SessionId) -> String {
    let hash = Sha256::new().chain_update("duplex session ").chain_update(session);
    HEXLOWER.encode(hash.finalize().get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_used_only_if_it_is_unambiguous_text() {
        for (lines, expected) in [
            (&[b"a=1; b=2".as_slice()][..], Some("1")),
            (&[b"a=1;a=1", b" a=1 "], Some("1")),
            (&[b"a=1; b=2; a=2"], None),
            (&[b"a=1", b"a="], None),
            (&[b"aa=1; ba=1; A=1; =a=1"], None),
            (&[b"x=\xff; a=1"], Some("1")),
            (&[b"a=\xff"], None),
            (&[b"a="], Some("")),
        ] {
            let lines = lines
                .iter()
                .map(|line| (header::COOKIE, HeaderValue::from_bytes(line).unwrap()));
            assert_eq!(cookie(&lines.collect(), "a"), expected);
        }
    }

    #[test]
    fn a_logged_session_id_does_not_give_access() {
        let session = SessionId("0123456789".to_owned());
        let logged = session_id_hash(&session);
        assert_eq!(logged.len(), 8);
        assert_eq!(logged, session_id_hash(&session));
        assert_ne!(logged, session.0);
    }
}
