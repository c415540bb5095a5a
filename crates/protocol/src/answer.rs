//! The answer to a command, and why a subscription is denied or a command is rejected.

use serde::{Deserialize, Serialize};

use super::cursor::Seq;
use super::session::{MAX_COMMAND, MAX_SUBSCRIPTIONS};

/// Why a visitor may not use a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// There is no such topic.
    #[error("there is no such topic")]
    Unknown,
    /// The visitor may not read the topic, or may not write to it.
    #[error("you may not use this topic")]
    Forbidden,
    /// The session is already subscribed to [`MAX_SUBSCRIPTIONS`] topics.
    #[error("a session must not exceed {MAX_SUBSCRIPTIONS} topics")]
    TooMany,
    /// The topic's log failed.
    #[error("the topic is unavailable")]
    Unavailable,
    /// The node is at its limit of open topics.
    #[error("the node is at its limit of topics")]
    Full,
}

impl Denial {
    /// Whether the same request may succeed later.
    pub const fn may_retry(self) -> bool {
        matches!(self, Self::Unavailable | Self::Full)
    }
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The command was accepted and its events are stored.
    Accepted {
        /// The seq of the command's last event, or of the topic's newest event if the command produced none.
        seq: Seq,
    },
    /// The command had no effect.
    Rejected(Rejection),
}

/// Why a command was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The application rejected it for a reason of its own.
    #[error("{reason}")]
    #[serde(rename = "refused")]
    Custom {
        /// The application's reason code, such as `too_long`.
        #[serde(rename = "why")]
        reason: String,
    },
    /// The visitor may not write to the topic.
    #[error("{0}")]
    Denied(Denial),
    /// The command does not decode as the topic's command.
    #[error("the command cannot be decoded: {detail}")]
    Malformed {
        /// The decoder's message.
        #[serde(rename = "what")]
        detail: String,
    },
    /// The command has more than [`MAX_COMMAND`] bytes.
    #[error("a command must not exceed {MAX_COMMAND} bytes")]
    TooLarge,
    /// The sender exceeds a rate limit.
    #[error("too many commands; retry in {retry_after_ms} ms")]
    TooFast {
        /// Milliseconds after which the command may be sent again.
        retry_after_ms: u32,
    },
    /// The server's disk is full.
    #[error("the disk is full")]
    StorageFull,
    /// The topic's log failed.
    #[error("the log is unavailable")]
    Unavailable,
    /// The time in the command's id is older than the topic's deduplication window. If `no_effect` is set, the client may resend
    /// the command with a new id of the time `now_ms`. Otherwise it must first check that the state does not contain the command's
    /// effect.
    #[error("the command's id is too old")]
    IdTooOld {
        /// Whether the topic knows that the command had no effect.
        no_effect: bool,
        /// The topic's clock, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// The time in the command's id is ahead of the topic's clock. The command had no effect.
    #[error("the time in the command's id is ahead of the server's clock")]
    IdTooNew {
        /// The topic's clock, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
}

/// The prefix of the reason in a [`Rejection::Custom`] for a missing role; the role's name follows: `needs_role_operator`.
pub const NEEDS_ROLE: &str = "needs_role_";

impl Rejection {
    /// A [`Custom`](Self::Custom) for a command that needs an operator, or a program whose token has this role.
    pub fn missing_role(role: &str) -> Self {
        Self::custom([NEEDS_ROLE, role].concat())
    }

    /// The missing role, if the command was rejected for one.
    pub fn as_missing_role(&self) -> Option<&str> {
        match self {
            Self::Custom { reason } => reason.strip_prefix(NEEDS_ROLE),
            _ => None,
        }
    }

    /// A [`Custom`](Self::Custom) with the application's reason code.
    pub fn custom(reason: impl Into<String>) -> Self {
        Self::Custom { reason: reason.into() }
    }

    /// Whether the same command, with the same id, may be accepted later.
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::TooFast { .. } | Self::StorageFull | Self::Unavailable => true,
            Self::Denied(denial) => denial.may_retry(),
            Self::Custom { .. }
            | Self::Malformed { .. }
            | Self::TooLarge
            | Self::IdTooOld { .. }
            | Self::IdTooNew { .. } => false,
        }
    }
}
