//! Host validation, which prevents DNS rebinding: an attacker can point a host name at this machine's address, and the attacker's
//! page then has the same origin as the server. So the server answers only to host names that an attacker cannot control.
//!
//! With [`Settings::public_url`] these are its host and those of [`Settings::origins`]; loopback names and IP addresses are served only
//! to programs, whose requests have no browser headers. Without it, they are loopback names, IP addresses and the hosts of `origins`.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::client_addr::LoggedClient;
use super::error::Problem;
use super::health::{ALIVE_PATH, READY_PATH};
use super::origin::{Host, Origin};
use crate::connection::counters::RejectionReason;
use crate::gateway::{Gateway, Settings};
use crate::limits;
use duplex_hub::quota::LogThrottle;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("A request must name one host, in its Host header or in :authority.")]
    Malformed,
    #[error("This server does not serve this host. Its operator can allow it with --public-url.")]
    Unknown,
    #[error("This server serves only {0} (--public-url).")]
    NotPublic(Origin),
}

impl HostError {
    fn problem(&self) -> Problem {
        let status = match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unknown | Self::NotPublic(_) => StatusCode::MISDIRECTED_REQUEST,
        };
        Problem::new(status, self.to_string())
    }
}

/// Middleware: rejects requests for other hosts with 421, and requests that name no host, or more than one, with 400. Health checks
/// are answered for any host.
pub async fn check_host(State(state): State<Gateway>, request: Request, next: Next) -> Response {
    static REJECTIONS: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

    let (parts, body) = request.into_parts();
    if let Err(error) = check(&parts, &state.settings) {
        record_rejection(&state, &parts, RejectionReason::Host, &REJECTIONS, &error);
        return error.problem().into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

/// Counts a rejected request, and logs it unless the throttle is exhausted.
pub(crate) fn record_rejection(
    gateway: &Gateway,
    parts: &Parts,
    reason: RejectionReason,
    throttle: &LogThrottle,
    error: &dyn Display,
) {
    gateway.counters.count_rejection(reason);
    if let Some(suppressed) = throttle.try_log() {
        let client = LoggedClient::from_extensions(&parts.extensions).map(tracing::field::display);
        let path = parts.uri.path();
        tracing::warn!(
            path,
            client,
            suppressed,
            "request rejected ({}): {error}",
            reason.metric_label()
        );
    }
}

fn check(parts: &Parts, settings: &Settings) -> Result<(), HostError> {
    let requested = requested_host(parts)?;
    if [ALIVE_PATH, READY_PATH].contains(&parts.uri.path()) {
        return Ok(());
    }
    let host = requested.ok_or(HostError::Malformed)?;
    let listed = settings
        .public_url
        .iter()
        .chain(&settings.origins)
        .any(|origin| origin.matches(&host));
    match &settings.public_url {
        _ if listed => Ok(()),
        None if is_localhost_or_ip(&host) => Ok(()),
        None => Err(HostError::Unknown),
        Some(_) if is_localhost_or_ip(&host) && !is_from_browser(&parts.headers) => Ok(()),
        Some(public) => Err(HostError::NotPublic(public.clone())),
    }
}

/// The host that a request names: in one Host header (required in HTTP/1.1), in `:authority` in HTTP/2, or in both if they agree.
/// `None` if it names no host, as HTTP/1.0 may, or an empty one.
pub(crate) fn requested_host(parts: &Parts) -> Result<Option<Host>, HostError> {
    let mut headers = parts.headers.get_all(header::HOST).iter();
    let header = match (headers.next(), headers.next()) {
        (None, _) if parts.version == Version::HTTP_11 => return Err(HostError::Malformed),
        (None, _) => None,
        (Some(value), None) => Some(value),
        (Some(_), Some(_)) => return Err(HostError::Malformed),
    };
    let header = header.filter(|value| !value.is_empty()).map(parse).transpose()?;
    let authority = parts.uri.authority();
    let authority = authority.map(|authority| Host::parse(authority.as_str()).ok_or(HostError::Malformed));
    match (authority.transpose()?, header) {
        (Some(authority), Some(header)) if authority != header => Err(HostError::Malformed),
        (authority, header) => Ok(authority.or(header)),
    }
}

fn parse(value: &HeaderValue) -> Result<Host, HostError> {
    value.to_str().ok().and_then(Host::parse).ok_or(HostError::Malformed)
}

/// Whether the host is `localhost` or an IP address, which DNS does not resolve.
fn is_localhost_or_ip(host: &Host) -> bool {
    let bracketed = || host.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    host.name == "localhost"
        || host.name.parse::<Ipv4Addr>().is_ok()
        || bracketed().is_some_and(|name| name.parse::<Ipv6Addr>().is_ok())
}

/// Whether a request has headers that browsers send with everything except plain navigations.
fn is_from_browser(headers: &HeaderMap) -> bool {
    ["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::get(uri);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn served(settings: &Settings, host: &str) -> bool {
        check(&request("/", &[("host", host)]), settings).is_ok()
    }

    fn settings(public_url: Option<&str>) -> Settings {
        Settings {
            public_url: public_url.map(|url| url.parse().unwrap()),
            origins: vec!["https://app.example".parse().unwrap()],
            ..Settings::default()
        }
    }

    #[test]
    fn without_a_public_url_only_hosts_that_cannot_be_rebound_are_served() {
        let settings = settings(None);
        for host in [
            "localhost:3000",
            "LOCALHOST",
            "127.0.0.1:3000",
            "10.1.2.3",
            "[::1]:3000",
            "[2001:db8::1]",
            "app.example",
        ] {
            assert!(served(&settings, host), "{host}");
        }
        for host in [
            "attacker.example",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "duplex.localhost",
            "::1",
            "app.example:81",
            "[app.example]",
            "127.1",
            "0x7f000001",
        ] {
            assert!(!served(&settings, host), "{host}");
        }
    }

    #[test]
    fn with_a_public_url_addresses_are_served_to_programs_only() {
        let settings = settings(Some("https://duplex.example"));
        for host in ["duplex.example", "DUPLEX.example:443", "app.example"] {
            assert!(served(&settings, host), "{host}");
        }
        assert!(!served(&settings, "attacker.example") && !served(&settings, "duplex.example:80"));
        for host in ["localhost:3000", "10.1.2.3"] {
            assert!(served(&settings, host), "{host}");
            for browser_header in ["origin", "sec-fetch-site", "sec-fetch-mode"] {
                let parts = request("/", &[("host", host), (browser_header, "http://localhost:3000")]);
                let error = check(&parts, &settings).unwrap_err();
                assert!(error.to_string().contains("https://duplex.example (--public-url)"));
            }
        }
    }

    #[test]
    fn a_request_names_one_host() {
        let twice = [("host", "localhost"), ("host", "localhost")];
        for malformed in [
            request("/", &[]),
            request("/", &twice),
            request("/", &[("host", "")]),
            request("/", &[("host", "user@localhost")]),
            request("/", &[("host", "localhost:")]),
            request("http://attacker.example/", &[("host", "localhost")]),
        ] {
            assert_eq!(
                check(&malformed, &Settings::default()),
                Err(HostError::Malformed),
                "{malformed:?}"
            );
        }
        let absolute = request("http://localhost/", &[("host", "localhost")]);
        assert_eq!(check(&absolute, &Settings::default()), Ok(()));
        let mut http2 = request("https://localhost/", &[]);
        http2.version = Version::HTTP_2;
        assert_eq!(check(&http2, &Settings::default()), Ok(()));
        http2.uri = "https://attacker.example/".parse().unwrap();
        assert_eq!(check(&http2, &Settings::default()), Err(HostError::Unknown));
    }

    #[test]
    fn health_checks_are_answered_for_any_host() {
        let settings = settings(Some("https://duplex.example"));
        for path in [ALIVE_PATH, READY_PATH] {
            assert_eq!(
                check(&request(path, &[("host", "pod-7.internal:3000")]), &settings),
                Ok(())
            );
            assert_eq!(check(&request(path, &[("host", "")]), &settings), Ok(()));
            assert_eq!(check(&request(path, &[]), &settings), Err(HostError::Malformed));
        }
    }
}
