//! Origin check, against cross-site request forgery and cross-site WebSocket hijacking: browsers let any page open WebSockets and
//! post.
//!
//! `Sec-Fetch-Site` takes precedence if present, since no page can forge it. Otherwise `Origin` must match exactly, scheme included.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::client_addr::ClientScheme;
use super::error::Problem;
use super::host;
use crate::connection::counters::RejectionReason;
use crate::gateway::{Gateway, Settings};
use crate::limits;
use duplex_hub::quota::LogThrottle;

/// A web origin (RFC 6454): scheme, host and port. Parsed from and displayed as `scheme://host[:port]`; a default port is not
/// displayed.
///
/// ```
/// use duplex_axum::origin::Origin;
///
/// let origin: Origin = "https://Example.com:443".parse()?;
/// assert_eq!(origin.to_string(), "https://example.com");
/// # Ok::<(), duplex_axum::origin::ParseOriginError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    /// In lower case; an IPv6 address keeps its brackets.
    host: String,
    port: u16,
}

/// The scheme of an origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    #[default]
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// `https` if true, else `http`.
    #[must_use]
    pub const fn from_https(https: bool) -> Self {
        if https { Self::Https } else { Self::Http }
    }

    /// The scheme as in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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

/// Returned when a string is not an `http` or `https` origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin; write scheme://host or scheme://host:port, with http or https and nothing after it")]
pub struct ParseOriginError;

impl FromStr for Origin {
    type Err = ParseOriginError;

    fn from_str(text: &str) -> Result<Self, ParseOriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(ParseOriginError)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(ParseOriginError),
        };
        let (host, port) = host_and_port(rest).ok_or(ParseOriginError)?;
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
        })
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

impl Origin {
    /// The origin's scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether a request for `host` can be for this origin. Proxies often omit the port.
    pub(crate) fn matches(&self, host: &Host) -> bool {
        self.host == host.name && host.port.is_none_or(|port| port == self.port)
    }
}

/// The host that a request names: a name or an IP address, and the port if present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// In lower case; an IPv6 address keeps its brackets.
    pub name: String,
    pub port: Option<u16>,
}

impl Host {
    /// Parses `host[:port]`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, port) = host_and_port(text)?;
        Some(Self { name, port })
    }

    fn origin(&self, scheme: Scheme) -> Origin {
        Origin {
            scheme,
            host: self.name.clone(),
            port: self.port.unwrap_or(scheme.default_port()),
        }
    }
}

/// Parses `host[:port]`, without user information.
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

/// Why a request's origin is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginError {
    #[error("the Origin header is opaque or malformed")]
    Opaque,
    #[error("the origin {0} is neither this server's origin nor an allowed one (--public-url, --origin)")]
    Unlisted(Origin),
    #[error("cross-site request")]
    OtherSite,
}

impl OriginError {
    pub(crate) fn problem(&self) -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            format!("{self}; only pages of this server's origin may do this."),
        )
    }
}

/// The page that a request comes from, by the browser's headers.
#[derive(Debug, Clone, Copy, Default)]
struct RequestSource<'a> {
    /// The `Origin` header. A request without it and without `sec_fetch_site` does not come from a browser.
    origin: Option<&'a str>,
    /// `Sec-Fetch-Site`. Browsers send it to https sites and to loopback addresses.
    sec_fetch_site: Option<&'a str>,
    /// Whether the request is a navigation, by `Sec-Fetch-Mode` and `Sec-Fetch-Dest`.
    is_navigation: bool,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    Read,
    /// Opens a WebSocket or changes state.
    Write,
}

fn check(
    source: RequestSource<'_>,
    kind: RequestKind,
    site_origin: Option<&Origin>,
    allowed_origins: &[Origin],
) -> Result<(), OriginError> {
    let origin = || {
        source
            .origin
            .map(|origin| origin.parse().map_err(|_| OriginError::Opaque))
            .transpose()
    };
    let is_allowed = |origin: &Origin| allowed_origins.contains(origin);
    let other_site = source
        .sec_fetch_site
        .is_some_and(|site| !["same-origin", "none"].contains(&site));
    if kind == RequestKind::Read {
        // A resource isolation policy (https://web.dev/articles/fetch-metadata): other sites may only link here.
        let allowed = !other_site || source.is_navigation || origin()?.as_ref().is_some_and(is_allowed);
        return allowed.then_some(()).ok_or(OriginError::OtherSite);
    }
    match origin()? {
        Some(origin) if is_allowed(&origin) => Ok(()),
        _ if other_site => Err(OriginError::OtherSite),
        Some(origin) if site_origin != Some(&origin) => Err(OriginError::Unlisted(origin)),
        _ => Ok(()),
    }
}

/// Middleware: rejects requests of pages of other origins with 403, except reads that navigate to the site. It runs inside
/// [`check_host`](crate::middleware::check_host).
pub async fn check_origin(State(state): State<Gateway>, request: Request, next: Next) -> Response {
    static REJECTIONS: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

    let (parts, body) = request.into_parts();
    if let Err(error) = check_parts(&parts, &state.settings) {
        host::record_rejection(&state, &parts, RejectionReason::Origin, &REJECTIONS, &error);
        return error.problem().into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

fn check_parts(parts: &Parts, settings: &Settings) -> Result<(), OriginError> {
    let headers = &parts.headers;
    let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let kind = if reads && !headers.contains_key(header::UPGRADE) {
        RequestKind::Read
    } else {
        RequestKind::Write
    };
    let source = RequestSource {
        origin: single(headers, header::ORIGIN)?,
        sec_fetch_site: single(headers, SEC_FETCH_SITE)?,
        is_navigation: reads && is_navigation(headers),
    };
    check(source, kind, own_origin(parts, settings).as_ref(), &settings.origins)
}

/// Applies the check of [`check_origin`], but also accepts `Origin: null`, for a route outside of that
/// middleware: browsers send it with the form of a page without an origin, such as one with `Referrer-Policy: no-referrer`. Such a
/// form needs its own CSRF token.
///
/// # Errors
///
/// 403 if the request comes from a page of another origin.
pub fn check_allowing_null_origin(parts: &Parts, settings: &Settings) -> Result<(), Problem> {
    let checked = match parts.headers.get(header::ORIGIN) {
        Some(origin) if origin == "null" => {
            let mut parts = parts.clone();
            parts.headers.remove(header::ORIGIN);
            check_parts(&parts, settings)
        }
        _ => check_parts(parts, settings),
    };
    checked.map_err(|error| error.problem())
}

/// The site's own origin: the public one, or the requested host with the connection's scheme.
fn own_origin(parts: &Parts, settings: &Settings) -> Option<Origin> {
    settings.public_url.clone().or_else(|| {
        let scheme = parts
            .extensions
            .get()
            .map_or_else(Scheme::default, |ClientScheme(scheme)| *scheme);
        Some(host::requested_host(parts).ok()??.origin(scheme))
    })
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request navigates a whole tab, not a frame in another page.
fn is_navigation(headers: &HeaderMap) -> bool {
    let has = |name, value: &str| headers.get(name).is_some_and(|sent: &HeaderValue| sent == value);
    has("sec-fetch-mode", "navigate") && has("sec-fetch-dest", "document")
}

/// The value of a header. An error if the header occurs twice or is not text.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, OriginError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| OriginError::Opaque),
        (Some(_), Some(_)) => Err(OriginError::Opaque),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(origin: &str) -> Origin {
        origin.parse().unwrap()
    }

    fn writes(origin: Option<&str>, site: Option<&str>, listed: &[Origin]) -> Result<(), OriginError> {
        let source = RequestSource {
            origin,
            sec_fetch_site: site,
            is_navigation: false,
        };
        check(source, RequestKind::Write, Some(&own("https://example.com")), listed)
    }

    #[test]
    fn the_own_origin_must_match_exactly() {
        for same in ["https://example.com", "https://example.com:443", "https://EXAMPLE.com"] {
            assert_eq!(writes(Some(same), None, &[]), Ok(()), "{same}");
        }
        for other in [
            "http://example.com",
            "https://example.com:3000",
            "https://evil.example",
            "https://example.com.evil.example",
            "https://evilexample.com",
            "https://www.example.com",
        ] {
            assert_eq!(
                writes(Some(other), None, &[]),
                Err(OriginError::Unlisted(own(other))),
                "{other}"
            );
        }
    }

    #[test]
    fn an_opaque_or_malformed_origin_is_rejected_and_cannot_be_listed() {
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
            assert_eq!(writes(Some(origin), None, &[]), Err(OriginError::Opaque), "{origin}");
            assert_eq!(origin.parse::<Origin>(), Err(ParseOriginError), "{origin}");
        }
    }

    #[test]
    fn a_listed_origin_must_match_exactly() {
        let listed = [own("https://app.example")];
        for site in [None, Some("cross-site"), Some("same-site")] {
            assert_eq!(writes(Some("https://app.example"), site, &listed), Ok(()));
            assert_eq!(writes(Some("https://app.example:443"), site, &listed), Ok(()));
            assert!(writes(Some("http://app.example"), site, &listed).is_err());
            assert!(writes(Some("https://app.example:8443"), site, &listed).is_err());
        }
    }

    #[test]
    fn sec_fetch_site_takes_precedence() {
        let origin = Some("https://example.com");
        for site in ["same-origin", "none"] {
            assert_eq!(writes(origin, Some(site), &[]), Ok(()));
            assert_eq!(writes(None, Some(site), &[]), Ok(()));
            assert!(writes(Some("https://evil.example"), Some(site), &[]).is_err());
        }
        for site in ["same-site", "cross-site", "", "SAME-ORIGIN"] {
            for origin in [origin, None, Some("https://evil.example")] {
                assert_eq!(
                    writes(origin, Some(site), &[]),
                    Err(OriginError::OtherSite),
                    "{site} {origin:?}"
                );
            }
        }
        assert_eq!(writes(None, None, &[]), Ok(()), "a program that is no browser");
    }

    #[test]
    fn other_sites_may_link_but_not_read() {
        let reads = |origin, site, is_navigation| {
            let source = RequestSource {
                origin,
                sec_fetch_site: site,
                is_navigation,
            };
            check(
                source,
                RequestKind::Read,
                Some(&own("https://example.com")),
                &[own("https://app.example")],
            )
        };
        assert_eq!(reads(None, None, false), Ok(()));
        assert_eq!(reads(None, Some("same-origin"), false), Ok(()));
        assert_eq!(reads(None, Some("cross-site"), true), Ok(()));
        assert_eq!(reads(Some("https://app.example"), Some("cross-site"), false), Ok(()));
        for site in ["cross-site", "same-site"] {
            assert_eq!(reads(None, Some(site), false), Err(OriginError::OtherSite));
            assert_eq!(
                reads(Some("https://evil.example"), Some(site), false),
                Err(OriginError::OtherSite)
            );
        }
    }

    #[test]
    fn a_host_without_a_port_matches_an_origin_with_one() {
        let origin = own("https://example.com:8443");
        for (host, at) in [
            ("example.com", true),
            ("EXAMPLE.com:8443", true),
            ("example.com:443", false),
            ("www.example.com", false),
        ] {
            assert_eq!(origin.matches(&Host::parse(host).unwrap()), at, "{host}");
        }
    }

    proptest! {
        #[test]
        fn an_origin_round_trips_as_text(https in any::<bool>(), host in "[a-z][a-z0-9.-]{0,20}[a-z0-9]", port in 1u16..) {
            let scheme = if https { "https" } else { "http" };
            let origin: Origin = format!("{scheme}://{host}:{port}").parse().unwrap();
            prop_assert_eq!(origin.to_string().parse::<Origin>(), Ok(origin));
        }

        #[test]
        fn only_equal_origins_match(a in "[a-c.]{1,4}", b in "[a-c.]{1,4}", port in 1u16..4, other in 1u16..4) {
            let own = Host::parse(&format!("{b}:{other}")).unwrap().origin(Scheme::Http);
            let origin = format!("http://{a}:{port}");
            let source = RequestSource { origin: Some(&origin), ..RequestSource::default() };
            prop_assert_eq!(check(source, RequestKind::Write, Some(&own), &[]).is_ok(), a == b && port == other);
        }

        #[test]
        fn the_check_never_panics(origin in any::<String>(), site in any::<Option<String>>(), host in any::<String>()) {
            let source = RequestSource { origin: Some(&origin), sec_fetch_site: site.as_deref(), is_navigation: false };
            let own = Host::parse(&host).map(|host| host.origin(Scheme::Http));
            let _ = check(source, RequestKind::Write, own.as_ref(), &[]);
        }
    }
}
