//! The rights of a request and the credential they depend on. Stored in the request's extensions; the default is a visitor's.

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
use duplex_axum::error::{Problem, require_role};
use duplex_hub::{Hub, RequiredRole, Rights, Role};

#[derive(Clone, Default)]
pub struct Grant {
    rights: Rights,
    presented: Option<PresentedCredential>,
}

#[derive(Clone)]
struct PresentedCredential {
    access: Arc<AccessControl>,
    credential: Credential,
}

/// The credential that confers the rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// The legacy token, of `--token` or next to the data file.
    Legacy,
    /// A token with a role, by its id.
    Token(String),
    Session(SecretHash),
}

/// Why a credential has ended. The text is for logs, close frames and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantEnd {
    #[error("the token is revoked")]
    Revoked,
    #[error("the token has expired")]
    Expired,
    #[error("the operator's session has ended")]
    SignedOut,
}

/// Maximum sleep before an expiry is rechecked, because the clock may be set or the machine suspended.
const RECHECK_INTERVAL: Duration = Duration::from_secs(60);

impl Grant {
    /// Rights without a credential: of a visitor, or of an operator by `--trust-local`.
    pub(super) fn without_credential(rights: Rights) -> Self {
        Self {
            rights,
            presented: None,
        }
    }

    pub(super) fn with_credential(rights: Rights, access: Arc<AccessControl>, credential: Credential) -> Self {
        Self {
            rights,
            presented: Some(PresentedCredential { access, credential }),
        }
    }

    /// The grant of a request, from its extensions.
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    pub fn allows(&self, required: RequiredRole<'_>) -> bool {
        self.rights.allows(required)
    }

    pub fn is_operator(&self) -> bool {
        self.allows(RequiredRole::Operator)
    }

    /// Whether the request has a token: its commands are a program's.
    pub fn is_program(&self) -> bool {
        self.rights.is_program()
    }

    pub fn roles(&self) -> &[Role] {
        self.rights.roles()
    }

    pub const fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The hub, restricted to the rights of this request.
    pub fn hub(&self, hub: &Hub) -> Hub {
        hub.with_rights(self.rights.clone())
    }

    /// The id of the request's token, to distinguish programs.
    pub fn token_id(&self) -> Option<&str> {
        match self.presented.as_ref().map(|presented| &presented.credential) {
            Some(Credential::Token(id)) => Some(id),
            Some(Credential::Legacy) => Some(super::token_store::LEGACY),
            _ => None,
        }
    }

    /// # Errors
    ///
    /// 401 without a credential, 403 if its roles do not suffice.
    pub fn require(&self, required: RequiredRole<'_>) -> Result<(), Problem> {
        require_role(&self.rights, required)
    }

    /// Why the credential is no longer valid, if it is not.
    pub fn invalid_reason(&self) -> Option<GrantEnd> {
        let presented = self.presented.as_ref()?;
        presented.access.invalid_reason(&presented.credential)
    }

    /// Completes when the credential ends; never without a credential. Cancel safe.
    pub async fn ended(&self) -> GrantEnd {
        match &self.presented {
            // Boxed, because most connections have no credential.
            Some(presented) => Box::pin(presented.ended()).await,
            None => pending().await,
        }
    }
}

impl PresentedCredential {
    async fn ended(&self) -> GrantEnd {
        let Self { access, credential } = self;
        let mut changes = access.changes();
        loop {
            if let Some(end) = access.invalid_reason(credential) {
                return end;
            }
            let wait = access
                .time_left(credential)
                .unwrap_or(RECHECK_INTERVAL)
                .min(RECHECK_INTERVAL);
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
        Ok(Self::from_extensions(&parts.extensions))
    }
}
