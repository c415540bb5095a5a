//! The connection string, and the password that goes with it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::limits::postgres as limits;

/// Where a log's database is and how to connect to it, parsed from a URL such as `postgres://user@host/database`.
///
/// The parameters are those of [libpq] that `tokio-postgres` knows, and `sslmode` and `sslrootcert`. A connection to another machine
/// uses TLS and verifies the certificate and the host name, unless `sslmode=disable` is given; one to this machine does not by
/// default. `sslrootcert` is a PEM file with the trusted authorities, instead of the system's.
///
/// [libpq]: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
#[derive(Clone)]
pub struct PostgresConfig {
    pub(super) client: tokio_postgres::Config,
    pub(super) tls: TlsMode,
    display: String,
}

/// Whether connections use TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disabled,
    /// Verified against the authorities of a file, or those of the system.
    Verified {
        authorities: Option<PathBuf>,
    },
}

/// Error of parsing a [`PostgresConfig`]. Never contains the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not a PostgreSQL URL.
    #[error("a database's URL begins with postgres:// or postgresql://")]
    Scheme,
    /// No host is given.
    #[error("the URL names no host, such as postgres://user@host/database")]
    NoHost,
    /// The value of `sslmode` is not supported.
    #[error(
        "sslmode={0} is not supported: it is disable or verify-full; require means verify-full, and for a certificate of an \
         authority of your own, give sslrootcert=FILE"
    )]
    SslMode(String),
    /// A part of the URL is invalid.
    #[error("{0}")]
    Invalid(String),
}

/// Whether a text is the URL of a database, and not the path of a file.
pub fn is_url(text: &str) -> bool {
    after_scheme(text).is_some()
}

fn after_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
}

impl FromStr for PostgresConfig {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if !is_url(text) {
            return Err(ConfigError::Scheme);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut sslmode, mut authorities, mut kept) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => sslmode = Some(mode),
                Some(("sslrootcert", file)) => authorities = Some(PathBuf::from(decoded(file)?)),
                _ => kept.push(parameter),
            }
        }
        let url = format!("{base}?{}", kept.join("&"));
        let mut client = tokio_postgres::Config::from_str(&url).map_err(|error| invalid(&error))?;
        if client.get_hosts().is_empty() && client.get_hostaddrs().is_empty() {
            return Err(ConfigError::NoHost);
        }
        let tls = match sslmode {
            Some("disable") => TlsMode::Disabled,
            Some("require" | "verify-full") => TlsMode::Verified { authorities },
            Some(other) => return Err(ConfigError::SslMode(other.to_owned())),
            None if authorities.is_none() && is_local(&client) => TlsMode::Disabled,
            None => TlsMode::Verified { authorities },
        };
        set_defaults(&mut client, &tls);
        Ok(Self {
            display: display(&client),
            client,
            tls,
        })
    }
}

fn decoded(text: &str) -> Result<String, ConfigError> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|error| invalid(&error))?.into_owned())
}

/// The error with its causes. None of them quotes a value of the URL except an unknown parameter's name.
fn invalid(error: &dyn std::error::Error) -> ConfigError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    ConfigError::Invalid(causes.join(": "))
}

/// Whether every host is this machine: a Unix socket or a loopback address.
fn is_local(client: &tokio_postgres::Config) -> bool {
    let is_local_host = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    };
    match client.get_hostaddrs() {
        [] => client.get_hosts().iter().all(is_local_host),
        addresses => addresses.iter().all(std::net::IpAddr::is_loopback),
    }
}

fn set_defaults(client: &mut tokio_postgres::Config, tls: &TlsMode) {
    client.ssl_mode(match tls {
        TlsMode::Disabled => SslMode::Disable,
        TlsMode::Verified { .. } => SslMode::Require,
    });
    // Of several hosts, the one that accepts writes; after a fail-over, the old primary is refused.
    client.target_session_attrs(TargetSessionAttrs::ReadWrite);
    client.keepalives_idle(limits::KEEPALIVE_IDLE);
    client.keepalives_interval(limits::KEEPALIVE_INTERVAL);
    client.keepalives_retries(limits::KEEPALIVE_RETRIES);
    client.tcp_user_timeout(limits::ANSWER_TIMEOUT);
    if client.get_connect_timeout().is_none() {
        client.connect_timeout(limits::CONNECT_TIMEOUT);
    }
    if client.get_application_name().is_none() {
        client.application_name("duplex");
    }
}

fn display(client: &tokio_postgres::Config) -> String {
    let user = client.get_user().map_or(String::new(), |user| format!("{user}@"));
    let ports = client.get_ports();
    let hosts = client.get_hosts().iter().enumerate().map(|(index, host)| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => path.display().to_string(),
        }
    });
    let hosts: Vec<_> = hosts.collect();
    let database = client.get_dbname().or(client.get_user()).unwrap_or_default();
    format!("postgres://{user}{}/{database}", hosts.join(","))
}

const DEFAULT_PORT: u16 = 5432;

impl PostgresConfig {
    /// Sets the password, unless the URL contains one: that of the environment variable `PGPASSWORD`, if it is set, or the first
    /// matching one in a [password file](https://www.postgresql.org/docs/current/libpq-pgpass.html).
    #[must_use]
    pub fn with_password(mut self, variable: Option<&str>, password_file: Option<&str>) -> Self {
        if self.client.get_password().is_none() {
            let known = variable.map(str::to_owned);
            if let Some(password) = known.or_else(|| self.find_password(password_file?)) {
                self.client.password(password);
            }
        }
        self
    }

    /// The password of the first line that matches the first host, the database and the user.
    fn find_password(&self, password_file: &str) -> Option<String> {
        let host = match self.client.get_hosts().first()? {
            Host::Tcp(name) => name.clone(),
            Host::Unix(_) => "localhost".to_owned(),
        };
        let port = self.client.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
        let user = self.client.get_user()?;
        let database = self.client.get_dbname().unwrap_or(user);
        let wanted = [&host, &port.to_string(), database, user];
        let lines = password_file.lines().filter(|line| !line.starts_with('#'));
        lines.map(fields).find_map(|fields| match fields.as_slice() {
            [sought @ .., password] if sought.len() == wanted.len() => {
                let matches = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
                sought.iter().zip(&wanted).all(matches).then(|| password.clone())
            }
            _ => None,
        })
    }
}

/// The fields of a line of a password file. A backslash escapes a colon or a backslash.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => field.extend(characters.next()),
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

impl fmt::Display for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresConfig").field(&self.display).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> PostgresConfig {
        text.parse().unwrap()
    }

    fn error(text: &str) -> ConfigError {
        text.parse::<PostgresConfig>().unwrap_err()
    }

    fn password(config: &PostgresConfig) -> Option<String> {
        config
            .client
            .get_password()
            .map(|password| String::from_utf8(password.to_vec()).unwrap())
    }

    #[test]
    fn another_machine_is_verified_by_default() {
        let verified = |authorities: Option<&str>| TlsMode::Verified {
            authorities: authorities.map(PathBuf::from),
        };
        for (url, expected) in [
            ("postgres://u@db.example/d", verified(None)),
            ("postgres://u@10.0.0.1/d", verified(None)),
            ("postgres://u@db.example/d?sslmode=require", verified(None)),
            ("postgres://u@db.example,localhost/d", verified(None)),
            (
                "postgres://u@localhost/d?sslrootcert=/a%20b/ca.pem&sslmode=verify-full",
                verified(Some("/a b/ca.pem")),
            ),
            ("postgres://u@localhost/d?sslrootcert=ca.pem", verified(Some("ca.pem"))),
            ("postgres://u@db.example/d?sslmode=disable", TlsMode::Disabled),
            ("postgres://u@localhost/d", TlsMode::Disabled),
            ("postgres://u@127.0.0.1:5433/d", TlsMode::Disabled),
            ("postgresql://u@[::1]/d", TlsMode::Disabled),
            ("postgres://u@%2Frun%2Fpostgresql/d", TlsMode::Disabled),
            ("postgres:///d?host=/run/postgresql&user=u", TlsMode::Disabled),
        ] {
            assert_eq!(config(url).tls, expected, "{url}");
        }
    }

    #[test]
    fn an_unusable_url_is_an_error() {
        assert_eq!(error("data/duplex.db"), ConfigError::Scheme);
        assert_eq!(error("postgres:///d"), ConfigError::NoHost);
        for mode in ["prefer", "allow", "verify-ca", ""] {
            let url = format!("postgres://u:secret@h/d?sslmode={mode}");
            assert_eq!(error(&url), ConfigError::SslMode(mode.to_owned()));
        }
        let unknown = error("postgres://u:secret@h/d?sslcompression=1").to_string();
        assert!(
            unknown.contains("sslcompression") && !unknown.contains("secret"),
            "{unknown}"
        );
        assert!(!error("postgres://u:secret@h:port/d").to_string().contains("secret"));
    }

    #[test]
    fn no_text_contains_the_password() {
        let url = config("postgres://u:secret@h:6000,h2/d");
        assert_eq!(url.to_string(), "postgres://u@h:6000,h2:5432/d");
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(password(&url).as_deref(), Some("secret"));
    }

    #[test]
    fn a_password_comes_from_the_url_the_environment_or_a_file() {
        let file = "# comment\nother:*:*:*:no\n*:5432:d:u:a\\:b\\\\c:d\n*:*:*:*:any\n";
        let of = |url: &str, variable| password(&config(url).with_password(variable, Some(file)));
        assert_eq!(of("postgres://u:url@h/d", Some("env")).as_deref(), Some("url"));
        assert_eq!(of("postgres://u@h/d", Some("env")).as_deref(), Some("env"));
        assert_eq!(of("postgres://u@h/d", None).as_deref(), Some("a:b\\c:d"));
        assert_eq!(of("postgres://u@h:6000/d", None).as_deref(), Some("any"));
        assert_eq!(of("postgres://u@other/d", None).as_deref(), Some("no"));
        assert_eq!(password(&config("postgres://u@h/d").with_password(None, None)), None);
        assert_eq!(
            password(&config("postgres://u@h/d").with_password(None, Some("h:5432:d"))),
            None
        );
    }
}
