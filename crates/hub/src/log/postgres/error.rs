//! Errors of the database and what they mean for a log.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use super::config::ConfigError;
use super::connect::TlsError;
use crate::log::LogError;

/// A failed operation on the database. The connection is not used again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{}", describe(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error("the database does not answer")]
    NoAnswer,
    #[error("all connections to the database are in use")]
    Busy,
    /// A recent attempt to connect failed for this reason.
    #[error("{0}")]
    Paused(String),
    #[error("the log is closed")]
    Closed,
    /// A stored value is not what this crate wrote.
    #[error("{0}")]
    Unreadable(String),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Failure {
    pub(super) fn unreadable(error: impl std::fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }

    pub(super) fn is(&self, state: &SqlState) -> bool {
        matches!(self, Self::Database(error) if error.code() == Some(state))
    }

    /// Whether the server rolled the transaction back because of another one, so that it can be repeated.
    pub(super) fn is_transient(&self) -> bool {
        self.is(&SqlState::T_R_DEADLOCK_DETECTED) || self.is(&SqlState::T_R_SERIALIZATION_FAILURE)
    }

    /// Whether the server rejected a value, so that the other appends of a batch may succeed without it.
    pub(super) fn is_data_error(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        // Data exceptions, violated constraints, exceeded limits of a program.
        let classes = ["22", "23", "54"];
        error
            .code()
            .is_some_and(|state| classes.iter().any(|class| state.code().starts_with(class)))
    }
}

impl From<Failure> for LogError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Log(error) => error,
            full if full.is(&SqlState::DISK_FULL) => Self::Full,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The server's message and code in one line, or the error with its cause.
fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(database) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", database.message(), database.code().code());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Error of opening a log in a database. The database is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS cannot be prepared.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be reached, or refused an operation.
    #[error("{0}")]
    Database(String),
    /// The server is too old.
    #[error("the server is PostgreSQL {0}; version 15 or newer is needed")]
    Server(String),
    /// The database does not store text as UTF-8.
    #[error("the database has the encoding {0}; create it with the encoding UTF8")]
    Encoding(String),
    /// The tables were written by a newer release.
    #[error(
        "the log has version {version} of a newer release; this one supports versions up to {}",
        super::schema::VERSION
    )]
    Newer {
        /// Their version.
        version: u32,
    },
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Database(failure.to_string())
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::from(error).into()
    }
}
