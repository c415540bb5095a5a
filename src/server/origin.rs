//! From where a page may open a socket or post: the server's own origin and the listed ones. Browsers do not keep pages
//! of other origins from either, so the server has to. Knows no route.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::Problem;
use super::state::ServerState;

/// A web origin (RFC 6454) of a page: scheme, host and port; the scheme's own port is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    /// In lower case; an IPv6 address keeps its brackets.
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin; write scheme://host or scheme://host:port, with http or https and nothing after it")]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnOrigin)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(NotAnOrigin),
        };
        let (host, port) = host_and_port(rest).ok_or(NotAnOrigin)?;
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
        })
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port == self.scheme.default_port() {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

/// Host and, where it is written, port. `None` for anything that is not exactly that.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if text.contains('@') {
        return None;
    }
    let authority: Authority = text.parse().ok()?;
    let host = authority.host();
    if host.is_empty() {
        return None;
    }
    let port = match text.get(host.len()..)? {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse().ok()?),
    };
    Some((host.to_ascii_lowercase(), port))
}

/// Why a request is turned away for where it came from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    #[error("the Origin header is not an origin that could be compared")]
    Opaque,
    #[error("the origin {0} is neither this server's own nor on its list")]
    Unlisted(String),
}

impl Foreign {
    pub fn problem(&self) -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            format!("{self}; a page may do this only from this server's own origin."),
        )
    }
}

/// `origin`: the header as it came; browsers always send it with what is checked here, so its absence means another program,
/// which could write what it likes. `host`: what the request was addressed to. The scheme is not compared: behind a proxy
/// that ends TLS the server cannot know its own, so a port that is not written may be the default of either.
pub fn check(origin: Option<&str>, host: Option<&str>, listed: &[Origin]) -> Result<(), Foreign> {
    let Some(origin) = origin else { return Ok(()) };
    let origin: Origin = origin.parse().map_err(|_| Foreign::Opaque)?;
    if listed.contains(&origin) || host.is_some_and(|host| is_own(&origin, host)) {
        return Ok(());
    }
    Err(Foreign::Unlisted(origin.to_string()))
}

fn is_own(origin: &Origin, host: &str) -> bool {
    host_and_port(host)
        .is_some_and(|(host, port)| host == origin.host && port.unwrap_or(origin.scheme.default_port()) == origin.port)
}

/// Covers the whole router, so that no socket can be forgotten: every upgrade and every method that may change something.
pub async fn guard(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if needs_check(&parts)
        && let Err(foreign) = check_parts(&parts, &state.settings.origins)
    {
        tracing::warn!(path = parts.uri.path(), "refused for its origin: {foreign}");
        return foreign.problem().into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

fn needs_check(parts: &Parts) -> bool {
    !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) || parts.headers.contains_key(header::UPGRADE)
}

fn check_parts(parts: &Parts, listed: &[Origin]) -> Result<(), Foreign> {
    let origin = single(&parts.headers, header::ORIGIN)?;
    let host = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => single(&parts.headers, header::HOST)?,
    };
    check(origin, host, listed)
}

/// A header that is there twice, or is not text, is no header to decide by.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, Foreign> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Foreign::Opaque),
        (Some(_), Some(_)) => Err(Foreign::Opaque),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(origin: &str, host: &str) -> bool {
        check(Some(origin), Some(host), &[]).is_ok()
    }

    #[test]
    fn the_own_origin_is_the_host_with_the_ports_made_equal() {
        assert!(allowed("http://127.0.0.1:3000", "127.0.0.1:3000"));
        assert!(allowed("http://example.com", "example.com"));
        assert!(allowed("https://example.com", "example.com:443"));
        assert!(
            allowed("https://example.com", "EXAMPLE.com"),
            "behind a proxy that ends TLS"
        );
        assert!(allowed("http://[::1]:3000", "[::1]:3000"));
    }

    #[test]
    fn anything_else_is_foreign() {
        for (origin, host) in [
            ("http://evil.example", "example.com"),
            ("http://example.com:3001", "example.com:3000"),
            ("http://example.com.evil.example", "example.com"),
            ("http://evilexample.com", "example.com"),
            ("http://example.com", "example.com:3000"),
            ("https://example.com", "example.com:80"),
        ] {
            assert_eq!(
                check(Some(origin), Some(host), &[]),
                Err(Foreign::Unlisted(origin.to_owned())),
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn what_is_no_web_origin_is_refused_and_cannot_be_listed() {
        for origin in [
            "null",
            "",
            "example.com",
            "file://",
            "ftp://example.com",
            "http://",
            "http://example.com/",
            "http://example.com/path",
            "http://user@example.com",
            "http://example.com:",
            "http://example.com:99999",
            "http://example.com http://other.example",
        ] {
            assert_eq!(
                check(Some(origin), Some("example.com"), &[]),
                Err(Foreign::Opaque),
                "{origin}"
            );
            assert_eq!(origin.parse::<Origin>(), Err(NotAnOrigin), "{origin}");
        }
    }

    #[test]
    fn a_listed_origin_is_compared_whole() {
        let listed = ["https://app.example".parse().unwrap()];
        assert_eq!(check(Some("https://app.example"), Some("example.com"), &listed), Ok(()));
        assert_eq!(check(Some("https://app.example:443"), None, &listed), Ok(()));
        assert!(check(Some("http://app.example"), Some("example.com"), &listed).is_err());
        assert!(check(Some("https://app.example:8443"), Some("example.com"), &listed).is_err());
    }

    #[test]
    fn a_program_that_is_no_browser_sends_no_origin() {
        assert_eq!(check(None, Some("example.com"), &[]), Ok(()));
        assert_eq!(check(None, None, &[]), Ok(()));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(https in any::<bool>(), host in "[a-z][a-z0-9.-]{0,20}[a-z0-9]", port in 1u16..) {
            let scheme = if https { "https" } else { "http" };
            let origin: Origin = format!("{scheme}://{host}:{port}").parse().unwrap();
            prop_assert_eq!(origin.to_string().parse::<Origin>(), Ok(origin));
        }

        #[test]
        fn two_hosts_are_one_origin_only_if_they_are_equal(a in "[a-c.]{1,4}", b in "[a-c.]{1,4}", port in 1u16..4, other in 1u16..4) {
            let own = allowed(&format!("http://{a}:{port}"), &format!("{b}:{other}"));
            prop_assert_eq!(own, a == b && port == other);
        }

        #[test]
        fn no_text_breaks_the_check(origin in any::<String>(), host in any::<String>()) {
            let _ = check(Some(&origin), Some(&host), &[]);
        }
    }
}
