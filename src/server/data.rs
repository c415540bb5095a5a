//! Where the topics are stored, as given by `--data`: a file, or the URL of a PostgreSQL database.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use duplex_hub::log::postgres::{self, ConfigError, PostgresConfig};

/// The default data file.
pub const DEFAULT_FILE: &str = "data/duplex.db";

/// A data file, or a database. The URL of a database may contain a password, so neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    /// A SQLite file.
    File(PathBuf),
    /// The URL of a PostgreSQL database. It is parsed when it is used, so that no error message of the command line quotes it.
    Database(String),
}

/// Error: a command that works on a data file got a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--data is a database, and this command is for a data file; a database is backed up and restored with PostgreSQL's own tools, \
     such as pg_dump --schema=duplex and pg_restore (see docs/postgresql.md)"
)]
pub struct NotAFile;

impl FromStr for Data {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match postgres::is_url(text) {
            true => Self::Database(text.to_owned()),
            false => Self::File(text.into()),
        })
    }
}

impl Data {
    /// The data file.
    pub fn file(&self) -> Result<&Path, NotAFile> {
        match self {
            Self::File(path) => Ok(path),
            Self::Database(_) => Err(NotAFile),
        }
    }

    /// The file next to which the node stores its tokens and links: for a database, the default data file.
    pub fn file_or_default(&self) -> &Path {
        self.file().unwrap_or(Path::new(DEFAULT_FILE))
    }

    /// The database, with the password of this user's environment. `None` for a file.
    pub fn database(&self) -> Option<Result<PostgresConfig, ConfigError>> {
        match self {
            Self::File(_) => None,
            Self::Database(url) => Some(url.parse().map(PostgresConfig::with_password_of_user)),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Database(url) => match url.parse::<PostgresConfig>() {
                Ok(config) => config.fmt(f),
                Err(_) => f.write_str("(an invalid URL)"),
            },
        }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_database_and_everything_else_a_file() {
        let data = |text: &str| text.parse::<Data>().unwrap();
        assert_eq!(data("data/duplex.db").file(), Ok(Path::new("data/duplex.db")));
        assert_eq!(data("postgres").file(), Ok(Path::new("postgres")));
        let database = data("postgres://u:secret@localhost/d");
        assert_eq!(database.file(), Err(NotAFile));
        assert_eq!(database.file_or_default(), Path::new(DEFAULT_FILE));
        assert_eq!(database.to_string(), "postgres://u@localhost:5432/d");
        assert_eq!(format!("{database:?}"), database.to_string());
        assert_eq!(data("postgres://u:secret@h:x/d").to_string(), "(an invalid URL)");
    }
}
