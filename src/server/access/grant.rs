//! What a request may do, and until when. In the extensions of every request; absent, it is that of a stranger.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;
use tokio::time::sleep;

use super::AccessControl;
use super::secret::SecretHash;
use duplex_axum::error::{Problem, require};
use duplex_hub::{Hub, Needed, Rights, Role};

#[derive(Clone, Default)]
pub struct Grant {
    rights: Rights,
    shown: Option<Shown>,
}

#[derive(Clone)]
struct Shown {
    access: Arc<AccessControl>,
    credential: Credential,
}

/// By what the rights were had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// The token of `--token`, or the one beside the data file.
    Legacy,
    /// A token of the list, by its id.
    Token(String),
    Session(SecretHash),
}

/// Why a right is over. English text for logs, close frames and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantEnd {
    #[error("the token is revoked")]
    Revoked,
    #[error("the token has expired")]
    Expired,
    #[error("the operator's session has ended")]
    SignedOut,
}

/// To notice, at the latest, that the clock was set or the machine slept.
const LOOK: Duration = Duration::from_secs(60);

impl Grant {
    /// Without a credential: a visitor, or whoever `--trust-local` takes for the operator.
    pub(super) fn of(rights: Rights) -> Self {
        Self { rights, shown: None }
    }

    pub(super) fn shown(rights: Rights, access: Arc<AccessControl>, credential: Credential) -> Self {
        Self {
            rights,
            shown: Some(Shown { access, credential }),
        }
    }

    /// That of the request with these extensions.
    pub fn of_request(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    pub fn allows(&self, needed: Needed<'_>) -> bool {
        self.rights.allows(needed)
    }

    pub fn is_operator(&self) -> bool {
        self.allows(Needed::Operator)
    }

    /// Shows a token: commands as a program.
    pub fn is_program(&self) -> bool {
        self.rights.is_program()
    }

    pub fn roles(&self) -> &[Role] {
        self.rights.roles()
    }

    pub const fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The hub as this request may use it.
    pub fn hub(&self, hub: &Hub) -> Hub {
        hub.with_rights(self.rights.clone())
    }

    /// Of a token, so that two programs are told apart where that matters.
    pub fn token_id(&self) -> Option<&str> {
        match self.shown.as_ref().map(|shown| &shown.credential) {
            Some(Credential::Token(id)) => Some(id),
            Some(Credential::Legacy) => Some(super::token_store::LEGACY),
            _ => None,
        }
    }

    /// 401 for who shows nothing, 403 for who shows the wrong role.
    pub fn require(&self, needed: Needed<'_>) -> Result<(), Problem> {
        require(&self.rights, needed)
    }

    /// Whether the token or the session that gave these rights is no longer good.
    pub fn has_ended(&self) -> Option<GrantEnd> {
        let shown = self.shown.as_ref()?;
        shown.access.end_of(&shown.credential)
    }

    /// Ready when it is no longer good; never for who showed nothing. May be dropped and asked for again.
    pub async fn ended(&self) -> GrantEnd {
        let Some(Shown { access, credential }) = &self.shown else {
            return pending().await;
        };
        let mut changes = access.changes();
        loop {
            if let Some(end) = access.end_of(credential) {
                return end;
            }
            let wait = access.time_left(credential).unwrap_or(LOOK).min(LOOK);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return pending().await;
                },
                () = sleep(wait) => {}
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Grant {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of_request(&parts.extensions))
    }
}
