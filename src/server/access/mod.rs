//! Access control: roles, tokens, operator sessions and sign-in links. Rights are granted by the credential of a request, never
//! by its address, unless the operator chose `--trust-local`.

mod authenticate;
mod grant;
mod json_file;
mod local;
mod operator_sessions;
mod plain_page;
mod secret;
pub mod sign_in;
mod sign_in_links;
mod throttle;
mod token_store;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::interval;

pub use self::authenticate::authenticate;
use self::grant::Credential;
pub use self::grant::{Grant, GrantEnd};
pub use self::json_file::JsonFileError;
use self::operator_sessions::OperatorSessions;
pub use self::secret::Secret;
use self::secret::SecretHash;
pub use self::sign_in_links::{SignInLinks, sign_in_url};
use self::throttle::Throttle;
pub use self::token_store::{LEGACY, TokenEnd, TokenError, TokenRecord, TokenStore};
use super::cookies::cookie_name;
use super::limits;
use super::state::{ServerState, Settings};
use super::token::Token;
use duplex_hub::Role;

/// Verifies credentials, and holds the tokens, sessions and sign-in links.
pub struct AccessControl {
    /// The legacy token, of `--token` or next to the data file, which has all roles.
    legacy: Option<Token>,
    /// The name of the cookie that holds an operator's session.
    cookie: Cow<'static, str>,
    demo: bool,
    trust_local: bool,
    tokens: TokenStore,
    sessions: OperatorSessions,
    links: SignInLinks,
    /// Throttles the sign-in form and sign-in links.
    sign_in_throttle: Throttle,
    /// Throttles bearer tokens.
    bearer_throttle: Throttle,
    changes: watch::Sender<u64>,
}

impl AccessControl {
    /// Stores tokens and links in files next to `data`, or in memory without it.
    pub fn new(settings: &Settings, data: Option<&Path>) -> Self {
        let changes = watch::Sender::default();
        Self {
            legacy: settings.token.clone(),
            cookie: cookie_name(authenticate::COOKIE, settings),
            demo: settings.demo,
            trust_local: settings.trust_local,
            tokens: TokenStore::new(data.map(TokenStore::path), changes.clone()),
            sessions: OperatorSessions::new(changes.clone()),
            links: SignInLinks::new(data.map(SignInLinks::path)),
            sign_in_throttle: Throttle::new(limits::FREE_SIGN_IN_FAILURES, limits::MAX_SIGN_IN_WAIT),
            bearer_throttle: Throttle::new(limits::FREE_BEARER_FAILURES, limits::MAX_BEARER_WAIT),
            changes,
        }
    }

    pub const fn tokens(&self) -> &TokenStore {
        &self.tokens
    }

    pub const fn links(&self) -> &SignInLinks {
        &self.links
    }

    /// Whether the legacy token is still accepted.
    pub fn accepts_legacy(&self) -> Result<bool, JsonFileError> {
        match &self.legacy {
            Some(token) => Ok(!self.tokens.is_legacy_revoked(SecretHash::new(token.as_str()))?),
            None => Ok(false),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether the credential has ended. If the token file is unreadable, existing sessions stay valid and new ones are rejected.
    fn invalid_reason(&self, credential: &Credential) -> Option<GrantEnd> {
        match credential {
            Credential::Legacy => {
                let accepted = self.accepts_legacy().unwrap_or(true);
                (!accepted).then_some(GrantEnd::Revoked)
            }
            Credential::Token(id) => self.token_invalid_reason(id),
            Credential::Session(id) => match self.sessions.get(*id) {
                None => Some(GrantEnd::SignedOut),
                Some(session) => session.token.and_then(|token| self.token_invalid_reason(&token)),
            },
        }
    }

    fn token_invalid_reason(&self, id: &str) -> Option<GrantEnd> {
        if id == LEGACY {
            return self.invalid_reason(&Credential::Legacy);
        }
        match self.tokens.get(id).ok()? {
            None => Some(GrantEnd::Revoked),
            Some(token) => token.end(token_store::now()).map(GrantEnd::from),
        }
    }

    /// The time until the credential expires, if it has an expiry.
    fn time_left(&self, credential: &Credential) -> Option<Duration> {
        let of_token = |id: &str| {
            let expires = self.tokens.get(id).ok()??.expires?;
            Some(Duration::from_millis(expires.saturating_sub(token_store::now())))
        };
        match credential {
            Credential::Legacy => None,
            Credential::Token(id) => of_token(id),
            Credential::Session(id) => {
                let session = self.sessions.get(*id)?;
                let token = session.token.as_deref().and_then(of_token);
                token.into_iter().chain([session.ends_in]).min()
            }
        }
    }
}

impl From<TokenEnd> for GrantEnd {
    fn from(end: TokenEnd) -> Self {
        match end {
            TokenEnd::Revoked => Self::Revoked,
            TokenEnd::Expired => Self::Expired,
        }
    }
}

/// The roles of the legacy token.
fn all_roles() -> Vec<Role> {
    vec![Role::Operator]
}

/// Starts a task that polls the token file, so that open sessions end when another process revokes their token. Requests check the
/// file themselves.
pub fn start_token_watcher(state: &ServerState) {
    let (access, shutdown) = (Arc::clone(&state.access), state.shutdown.token());
    tokio::spawn(async move {
        let mut ticks = interval(limits::TOKEN_POLL_INTERVAL);
        let mut readable = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = access.tokens.list();
            if let (true, Err(error)) = (readable, &now) {
                tracing::error!("cannot read the token file, so all tokens are rejected: {error}");
            }
            readable = now.is_ok();
        }
    });
}
