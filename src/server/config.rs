//! The server's configuration as parsed: command-line flags, each with an environment variable. [`Settings`] is the validated
//! form.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Parser, ValueEnum};
use tokio::sync::watch::Sender;

use super::access::TokenStore;
use super::data::{self, Data};
use super::limits;
use super::size::Size;
use super::state::Settings;
use super::token::{self, Token};
use crate::apps;
use duplex_axum::client_addr::{ParseNetworkError, TrustedProxies};
use duplex_axum::listen::{CertificateFiles, ListenAddr, ResolveError};
use duplex_axum::origin::{Origin, Scheme};
use duplex_hub::log::sqlite;

const DEFAULT_ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3000);

/// A real-time web app in one binary: its pages and its WebSockets.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
pub struct Config {
    /// Address to listen on: an IP address or a host name, and a port; port 0 picks a free one [default: 127.0.0.1:3000]
    #[arg(long, env = "DUPLEX_ADDR", value_name = "HOST:PORT")]
    pub addr: Option<ListenAddr>,

    /// Maximum WebSocket message in bytes; a larger one closes its connection with code 1009
    #[arg(long, env = "DUPLEX_MAX_MESSAGE", value_name = "BYTES", default_value_t = 1 << 20)]
    pub max_message: usize,

    /// Additional origin whose pages may open sockets here; repeatable, or a comma-separated list
    #[arg(
        long = "origin",
        env = "DUPLEX_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub origins: Vec<String>,

    /// Public URL of this site, such as `https://duplex.example`. Determines the accepted Host header, the origin of its pages
    /// and, for https, secure cookies [default: none; requests for localhost, IP addresses and the hosts of --origin are
    /// accepted]
    #[arg(long, env = "DUPLEX_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,

    /// Proxy whose Forwarded, or X-Forwarded-For and X-Forwarded-Proto, headers are trusted: an address or a network; repeatable, or
    /// a comma-separated list [default: none, these headers are ignored]
    #[arg(
        long = "trusted-proxy",
        env = "DUPLEX_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<String>,

    /// PEM file with the certificate chain: enables TLS. Reloaded when the file changes and on SIGHUP
    #[arg(long, env = "DUPLEX_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the certificate's private key
    #[arg(long, env = "DUPLEX_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Name of this node, shown on every page
    #[arg(long, env = "DUPLEX_NODE", value_name = "NAME", default_value = "duplex")]
    pub node: String,

    /// Additional name reserved for operators, like the node's; repeatable, or a comma-separated list
    #[arg(
        long = "operator-name",
        env = "DUPLEX_OPERATOR_NAMES",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub operator_names: Vec<String>,

    /// Seconds between pings to each WebSocket peer
    #[arg(long, env = "DUPLEX_PING_INTERVAL", value_name = "SECONDS", default_value_t = 25)]
    pub ping_interval: u64,

    /// Seconds without received bytes (or without write progress) after which a WebSocket peer is disconnected
    #[arg(long, env = "DUPLEX_SILENCE_LIMIT", value_name = "SECONDS", default_value_t = 60)]
    pub silence_limit: u64,

    /// Maximum concurrent connections; further ones get status 503
    #[arg(long, env = "DUPLEX_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 10_000)]
    pub max_connections: usize,

    /// Average commands per second that one session may send; the burst is six times as many
    #[arg(long, env = "DUPLEX_COMMAND_RATE", value_name = "COUNT", default_value_t = 50)]
    pub command_rate: u32,

    /// Whether quotas per address and per person are enforced; off only for load tests
    #[arg(long, env = "DUPLEX_LIMITS", value_name = "WHEN", default_value = "on")]
    pub limits: Limits,

    /// Whether visitors may inject faults (disconnect, delay, block) into their own sessions in the inspector
    #[arg(long, env = "DUPLEX_FAULTS", value_name = "WHEN", default_value = "off")]
    pub faults: Faults,

    /// Lets every visitor do what otherwise requires an operator: send commands to devices, set thresholds and acknowledge alarms.
    /// For demonstrations
    #[arg(long, env = "DUPLEX_DEMO", value_parser = FalseyValueParser::new())]
    pub demo: bool,

    /// Gives operator rights, without a token, to every request for a loopback name (localhost, 127.0.0.1) without a proxy's headers:
    /// every user and program on this machine, and all clients of a tunnel or a proxy that adds no headers. Requires a loopback
    /// address in --addr
    #[arg(long, env = "DUPLEX_TRUST_LOCAL", value_parser = FalseyValueParser::new())]
    pub trust_local: bool,

    /// Grace period in seconds for connections and requests after SIGTERM or Ctrl-C
    #[arg(long, env = "DUPLEX_DRAIN_DEADLINE", value_name = "SECONDS", default_value_t = 10)]
    pub drain_deadline: u64,

    /// Data file, which stores the topics, created if missing; or the URL of a PostgreSQL database, such as
    /// postgres://user@host/database, with the password in PGPASSWORD or ~/.pgpass
    #[arg(
        long,
        env = "DUPLEX_DATA",
        hide_env_values = true,
        value_name = "FILE|URL",
        default_value = data::DEFAULT_FILE,
        global = true
    )]
    pub data: Data,

    /// Size limit of the data file and its journal, or of the database's tables, beyond which appends are rejected: bytes, or a size
    /// such as 500MiB
    #[arg(long, env = "DUPLEX_MAX_DATA", value_name = "SIZE", default_value = "10GiB")]
    pub max_data: Size,

    /// Bearer token with all roles, for programs and operators [default: created once and stored next to the data file]
    #[arg(
        long,
        env = "DUPLEX_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub token: Option<String>,

    /// Directory of the built front end [default: site next to the binary's directory, or target/site]
    #[arg(long, env = "DUPLEX_SITE", value_name = "DIRECTORY")]
    pub site: Option<PathBuf>,

    /// Log filter: a level, or a list such as info,duplex=debug
    #[arg(
        long,
        env = "DUPLEX_LOG",
        value_name = "FILTER",
        default_value = "info,leptos_ws=warn"
    )]
    pub log: String,

    /// Format of the log lines on standard error
    #[arg(long, env = "DUPLEX_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// OpenTelemetry endpoint for traces, such as http://127.0.0.1:4318/v1/traces; requires a binary built with the feature otel
    #[arg(long, env = "DUPLEX_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    #[command(flatten)]
    pub apps: apps::server::Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Faults {
    On,
    Off,
    /// Deprecated alias of `off`: the listen address does not tell who can reach the server.
    #[value(hide = true)]
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Limits {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("--max-message {0} is outside {min} to {max} bytes", min = limits::MESSAGE_BOUNDS.start(), max = limits::MESSAGE_BOUNDS.end())]
    MaxMessage(usize),
    #[error("--origin {0:?} is {1}")]
    Origin(String, duplex_axum::origin::ParseOriginError),
    #[error("--public-url {0:?} is {1}")]
    PublicUrl(String, duplex_axum::origin::ParseOriginError),
    #[error("--tls-cert and --tls-key must be given together")]
    IncompleteTls,
    #[error("--public-url {0} is http, but --tls-cert makes the server https-only")]
    NotHttps(Origin),
    #[error("--trusted-proxy {0:?} is {1}")]
    TrustedProxy(String, ParseNetworkError),
    #[error(
        "--ping-interval {ping} must be at least 1 and less than --silence-limit {silence}: a peer needs time to answer"
    )]
    Pings { ping: u64, silence: u64 },
    #[error("--max-connections must be at least 1")]
    NoConnections,
    #[error("--command-rate {0} is outside {min} to {max}", min = limits::COMMAND_RATES.start(), max = limits::COMMAND_RATES.end())]
    CommandRate(u32),
    #[error("--max-data {0} is outside {min} to {max}", min = Size(*limits::DATA_BOUNDS.start()), max = Size(*limits::DATA_BOUNDS.end()))]
    MaxData(Size),
    #[error("LEPTOS_SITE_ADDR {0:?} is not an address such as 127.0.0.1:3000")]
    SiteAddr(String),
    #[error("--addr: {0}")]
    Unresolved(#[from] ResolveError),
    #[error(
        "--trust-local is for a server that listens on a loopback address, and {0} is not: every client would be an operator"
    )]
    TrustLocal(SocketAddr),
    #[error("--token: {0}")]
    Token(#[from] token::InvalidToken),
    #[error("the token next to the data file was revoked; `duplex token create` creates one with a role")]
    TokenRevoked,
    #[error("the tokens cannot be read: {0}")]
    Tokens(String),
    #[error("{path}: {error}")]
    TokenFile { path: String, error: String },
}

impl Config {
    /// The address to listen on: `--addr`, or `LEPTOS_SITE_ADDR`, which `cargo leptos` sets, or the default.
    pub fn addr(&self, site_addr: Option<String>) -> Result<ListenAddr, ConfigError> {
        match (&self.addr, site_addr) {
            (Some(addr), _) => Ok(addr.clone()),
            (None, Some(text)) => text.parse().map_err(|_| ConfigError::SiteAddr(text)),
            (None, None) => Ok(DEFAULT_ADDR.into()),
        }
    }

    pub fn settings(&self) -> Result<Settings, ConfigError> {
        self.check()?;
        Ok(Settings {
            node: self.node.clone(),
            operator_names: self.operator_names.clone(),
            max_message: self.max_message,
            max_buffered: limits::BUFFERED_BYTES,
            max_connections: self.max_connections,
            token: self.token_flag()?,
            trust_local: self.trust_local,
            demo: self.demo,
            faults: self.faults == Faults::On,
            command_rate: self.command_rate,
            limits: self.limits == Limits::On,
            origins: self.origins.iter().map(|text| origin(text)).collect::<Result<_, _>>()?,
            tls: self.tls()?,
            public_url: self.public_url()?,
            trusted_proxies: TrustedProxies::new(self.trusted_proxies.iter().map(String::as_str))
                .map_err(|(text, error)| ConfigError::TrustedProxy(text, error))?,
            ping_interval: Duration::from_secs(self.ping_interval),
            silence_limit: Duration::from_secs(self.silence_limit),
            drain_deadline: Duration::from_secs(self.drain_deadline),
        })
    }

    /// The token of `--token`, if any.
    fn token_flag(&self) -> Result<Option<Token>, ConfigError> {
        Ok(self.token.as_deref().map(Token::new).transpose()?)
    }

    /// The legacy token that a server accepts; none if the one next to the data file was revoked.
    pub fn legacy_token(&self) -> Result<Option<Token>, ConfigError> {
        match self.token() {
            Ok(token) => Ok(Some(token)),
            Err(ConfigError::TokenRevoked) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The tokens with roles, stored next to the data file.
    pub fn tokens(&self) -> TokenStore {
        TokenStore::new(Some(TokenStore::path(&self.credential_base_path())), Sender::default())
    }

    /// The token of `--token`, or the one stored next to the data file, which is created if missing.
    pub fn token(&self) -> Result<Token, ConfigError> {
        let stored = || {
            Token::load_or_create(&self.credential_base_path()).map_err(|error| ConfigError::TokenFile {
                path: token::path(&self.credential_base_path()).display().to_string(),
                error: error.to_string(),
            })
        };
        if let Some(chosen) = self.token_flag()? {
            return Ok(chosen);
        }
        match self.tokens().is_legacy_enabled() {
            Ok(true) => stored(),
            Ok(false) => Err(ConfigError::TokenRevoked),
            Err(error) => Err(ConfigError::Tokens(error.to_string())),
        }
    }

    /// The base path of the files of tokens and links: the data file with symbolic links resolved, unless an earlier release created
    /// these files next to the symbolic link. With a database, the default data file, which need not exist.
    pub fn credential_base_path(&self) -> PathBuf {
        let has_credential_files = |data: &Path| token::path(data).exists() || TokenStore::path(data).exists();
        let file = self.data.file_or_default();
        match sqlite::resolve_path(file) {
            Ok(real) if has_credential_files(&real) || !has_credential_files(file) => real,
            _ => file.to_owned(),
        }
    }

    /// Checks that the configuration is allowed for this listen address.
    pub fn check_addr(&self, addr: SocketAddr) -> Result<(), ConfigError> {
        match self.trust_local && !addr.ip().is_loopback() {
            true => Err(ConfigError::TrustLocal(addr)),
            false => Ok(()),
        }
    }

    fn public_url(&self) -> Result<Option<Origin>, ConfigError> {
        let url = self.public_url.as_deref().map(public_url).transpose()?;
        match url {
            Some(url) if self.tls_cert.is_some() && url.scheme() == Scheme::Http => Err(ConfigError::NotHttps(url)),
            url => Ok(url),
        }
    }

    fn tls(&self) -> Result<Option<CertificateFiles>, ConfigError> {
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some(CertificateFiles { certificate, key })),
            (None, None) => Ok(None),
            _ => Err(ConfigError::IncompleteTls),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !limits::MESSAGE_BOUNDS.contains(&self.max_message) {
            return Err(ConfigError::MaxMessage(self.max_message));
        }
        if self.ping_interval == 0 || self.ping_interval >= self.silence_limit {
            return Err(ConfigError::Pings {
                ping: self.ping_interval,
                silence: self.silence_limit,
            });
        }
        if self.max_connections == 0 {
            return Err(ConfigError::NoConnections);
        }
        if !limits::COMMAND_RATES.contains(&self.command_rate) {
            return Err(ConfigError::CommandRate(self.command_rate));
        }
        if !limits::DATA_BOUNDS.contains(&self.max_data.0) {
            return Err(ConfigError::MaxData(self.max_data));
        }
        Ok(())
    }
}

fn origin(text: &str) -> Result<Origin, ConfigError> {
    text.trim()
        .parse()
        .map_err(|error| ConfigError::Origin(text.to_owned(), error))
}

fn public_url(text: &str) -> Result<Origin, ConfigError> {
    text.trim()
        .parse()
        .map_err(|error| ConfigError::PublicUrl(text.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn config(arguments: &[&str]) -> Config {
        Config::try_parse_from(["duplex"].iter().chain(arguments)).unwrap()
    }

    fn config_error(arguments: &[&str]) -> String {
        let error = config(arguments).settings().unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn every_flag_has_help_and_an_environment_variable_of_its_name() {
        Config::command().debug_assert();
        for argument in Config::command().get_arguments() {
            assert!(argument.get_help().is_some(), "{argument}");
            let env = argument.get_env().and_then(|env| env.to_str()).unwrap();
            let flag = argument.get_long().unwrap().to_uppercase().replace('-', "_");
            assert!(
                env == format!("DUPLEX_{flag}") || env == format!("DUPLEX_{flag}S"),
                "{env}"
            );
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_settings() {
        let settings = config(&["--node", "duplex"]).settings().unwrap();
        assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
    }

    #[test]
    fn origins_are_a_list() {
        let settings = config(&[
            "--origin",
            "https://a.example, http://b.example:81",
            "--origin",
            "https://c.example",
        ])
        .settings()
        .unwrap();
        let origins: Vec<_> = settings.origins.iter().map(ToString::to_string).collect();
        assert_eq!(
            origins,
            ["https://a.example", "http://b.example:81", "https://c.example"]
        );
    }

    #[test]
    fn the_public_url_and_proxies_are_parsed() {
        let settings = config(&[
            "--public-url",
            "https://Duplex.example:443",
            "--trusted-proxy",
            "127.0.0.1, fd00::/8",
            "--trusted-proxy",
            "10.0.0.0/8",
        ])
        .settings()
        .unwrap();
        let addr = "127.0.0.1:3000".parse().unwrap();
        assert_eq!(settings.base_url(addr), "https://duplex.example");
        let trusted = TrustedProxies::new(["127.0.0.1", "fd00::/8", "10.0.0.0/8"]).unwrap();
        assert_eq!(settings.trusted_proxies, trusted);
        assert_eq!(Settings::default().base_url(addr), "http://127.0.0.1:3000");
    }

    #[test]
    fn invalid_configurations_are_rejected_in_one_line() {
        assert!(config_error(&["--ping-interval", "60"]).contains("less than --silence-limit 60"));
        assert!(config_error(&["--ping-interval", "0"]).contains("at least 1"));
        assert!(config_error(&["--max-message", "124"]).contains("outside 125 to 67108864 bytes"));
        assert!(config_error(&["--origin", "example.com"]).contains("not an origin"));
        for url in [
            "duplex.example",
            "https://duplex.example/",
            "https://duplex.example/chat",
            "ftp://x",
            "",
        ] {
            assert!(
                config_error(&["--public-url", url]).starts_with(&format!("--public-url {url:?} is not an origin"))
            );
        }
        assert!(config_error(&["--tls-cert", "cert.pem"]).contains("must be given together"));
        assert!(config_error(&["--tls-key", "key.pem"]).contains("must be given together"));
        let plain = ["--public-url", "http://x", "--tls-cert", "c", "--tls-key", "k"];
        assert!(config_error(&plain).contains("http://x is http"));
        for network in ["localhost", "10.0.0.0/33", "::1/129", "10.0.0.1:80", ""] {
            let wanted = format!("--trusted-proxy {network:?} is not an address or a network");
            assert!(config_error(&["--trusted-proxy", network]).starts_with(&wanted));
        }
        assert!(config_error(&["--max-connections", "0"]).contains("at least 1"));
        assert!(config_error(&["--command-rate", "0"]).contains("outside 1 to 1000000"));
        assert!(config_error(&["--max-data", "1KiB"]).contains("outside 1MiB to 1048576TiB"));
        assert!(config_error(&["--token", "short"]).contains("16 or more"));
    }

    #[test]
    fn dangerous_options_are_off_by_default() {
        let chosen = |arguments: &[&str]| {
            let Settings {
                faults,
                demo,
                trust_local,
                ..
            } = config(arguments).settings().unwrap();
            [faults, demo, trust_local]
        };
        assert_eq!(chosen(&[]), [false; 3]);
        assert_eq!(chosen(&["--faults", "auto"]), [false; 3]);
        assert_eq!(chosen(&["--faults", "off"]), [false; 3]);
        assert_eq!(chosen(&["--faults", "on", "--demo", "--trust-local"]), [true; 3]);
    }

    #[test]
    fn trust_local_requires_a_loopback_address() {
        let [local, local6, open] = ["127.0.0.1:80", "[::1]:80", "0.0.0.0:80"].map(|addr| addr.parse().unwrap());
        let trusting = config(&["--trust-local"]);
        assert_eq!(
            (trusting.check_addr(local), trusting.check_addr(local6)),
            (Ok(()), Ok(()))
        );
        let error = trusting.check_addr(open).unwrap_err().to_string();
        assert!(error.starts_with("--trust-local is for") && !error.contains('\n'));
        assert_eq!(config(&[]).check_addr(open), Ok(()));
    }

    #[test]
    fn addr_takes_precedence_over_the_address_of_cargo_leptos() {
        let site = Some("127.0.0.1:4000".to_owned());
        let addr = |arguments: &[&str], site| config(arguments).addr(site).unwrap().to_string();
        assert_eq!(addr(&[], site.clone()), "127.0.0.1:4000");
        assert_eq!(addr(&["--addr", "localhost:5000"], site), "localhost:5000");
        assert_eq!(addr(&[], None), DEFAULT_ADDR.to_string());
        assert_eq!(
            config(&[]).addr(Some("x".to_owned())),
            Err(ConfigError::SiteAddr("x".to_owned()))
        );
    }
}
