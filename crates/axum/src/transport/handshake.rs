//! Validates the WebSocket opening handshake (RFC 6455 section 4.2.1, RFC 8441 section 5). No I/O: it only reads the request's
//! head.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use hyper::ext::Protocol as ConnectProtocol;

use super::super::error::Problem;
use crate::connection::counters::ConnectionKind;
use crate::limits;
use duplex_hub::quota::QuotaExceeded;
use duplex_protocol::handshake::TRACE_PARAMETER;
use duplex_protocol::session::{SESSION_PARAMETER, SessionId};
use duplex_protocol::subprotocol::Subprotocol;

/// `Sec-WebSocket-Version` of RFC 6455.
const VERSION: &str = "13";

/// Length of 16 bytes in base64.
const KEY_CHARS: usize = 24;

/// Describes a WebSocket endpoint that the app defines.
#[derive(Debug, Clone, Copy)]
pub struct UpgradeEndpoint {
    /// The path: starts with a slash.
    pub path: &'static str,
    /// One English sentence, shown as `<path>: <description>` to a client that requests the path without upgrading (426).
    pub description: &'static str,
    /// The transport under which its connections are counted, usually [`ConnectionKind::Endpoint`].
    pub kind: ConnectionKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpgradeError {
    #[error("This path accepts only GET requests with a WebSocket handshake.")]
    Method,
    #[error("This path requires a WebSocket upgrade.")]
    NotAnUpgrade,
    #[error("Only version 13 of the WebSocket protocol is supported.")]
    Version,
    #[error("The handshake has no Sec-WebSocket-Key of 16 bytes in base64.")]
    Key,
    #[error("The server is at its limit of WebSocket connections.")]
    Full,
    #[error("The server is going away.")]
    ShuttingDown,
    #[error("Quota exceeded: {0}.")]
    Exceeded(QuotaExceeded),
    #[error("The visitor has blocked WebSocket with an injected fault.")]
    Blocked,
}

impl UpgradeError {
    pub(crate) fn problem(self, UpgradeEndpoint { path, description, .. }: UpgradeEndpoint) -> Problem {
        match self {
            Self::Method => Problem::new(StatusCode::METHOD_NOT_ALLOWED, self.to_string())
                .header(header::ALLOW, HeaderValue::from_static("GET, CONNECT")),
            Self::NotAnUpgrade => upgrade_required(format!(
                "{self} {path}: {description} From a page: new WebSocket(\"{path}\"). From a shell: websocat ws://HOST{path}."
            )),
            Self::Version => upgrade_required(self.to_string())
                .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION)),
            Self::Key => Problem::new(StatusCode::BAD_REQUEST, self.to_string()),
            Self::Blocked => Problem::new(StatusCode::FORBIDDEN, self.to_string()),
            Self::Exceeded(exceeded) => Problem::from(exceeded),
            Self::Full | Self::ShuttingDown => Problem::unavailable(self.to_string()),
        }
    }
}

fn upgrade_required(detail: String) -> Problem {
    Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
        .header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
}

pub(crate) fn check_handshake(parts: &Parts) -> Result<(), UpgradeError> {
    if parts.version == Version::HTTP_2 {
        check_extended_connect(parts)
    } else {
        check_upgrade(parts)
    }
}

fn check_upgrade(parts: &Parts) -> Result<(), UpgradeError> {
    if parts.method != Method::GET {
        return Err(UpgradeError::Method);
    }
    let is_upgrade = has_token(&parts.headers, header::UPGRADE, "websocket")
        && has_token(&parts.headers, header::CONNECTION, "upgrade");
    if parts.version < Version::HTTP_11 || !is_upgrade {
        return Err(UpgradeError::NotAnUpgrade);
    }
    check_version(&parts.headers)?;
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY).ok_or(UpgradeError::Key)?;
    if is_key(key.as_bytes()) {
        Ok(())
    } else {
        Err(UpgradeError::Key)
    }
}

fn check_extended_connect(parts: &Parts) -> Result<(), UpgradeError> {
    if parts.method == Method::GET {
        return Err(UpgradeError::NotAnUpgrade);
    }
    let protocol = parts.extensions.get::<ConnectProtocol>();
    if parts.method != Method::CONNECT || protocol.is_none_or(|protocol| protocol.as_str() != "websocket") {
        return Err(UpgradeError::Method);
    }
    check_version(&parts.headers)
}

fn check_version(headers: &HeaderMap) -> Result<(), UpgradeError> {
    match headers.get(header::SEC_WEBSOCKET_VERSION) {
        Some(version) if version == VERSION => Ok(()),
        _ => Err(UpgradeError::Version),
    }
}

fn is_key(key: &[u8]) -> bool {
    key.len() == KEY_CHARS
        && key.strip_suffix(b"==").is_some_and(|data| {
            data.iter()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/'))
        })
}

/// Whether a header that is a list of tokens contains `token`, ignoring case.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|value| value.eq_ignore_ascii_case(token))
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}

/// The first subprotocol that the client offers. A browser that offers some accepts only one of them (RFC 6455 section 4.1).
pub(crate) fn first_offered_subprotocol(headers: &HeaderMap) -> Option<HeaderValue> {
    tokens(headers, header::SEC_WEBSOCKET_PROTOCOL)
        .find(|offered| is_token(offered))
        .and_then(|offered| HeaderValue::from_str(offered).ok())
}

/// The first offered subprotocol that the server supports.
pub(crate) fn negotiated_protocol(headers: &HeaderMap) -> Option<Subprotocol> {
    tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).find_map(Subprotocol::from_subprotocol)
}

/// The subprotocol of a session. If the server supports none of those offered, it accepts the first anyway: a page cannot see why a
/// handshake failed, but it sees the close code that follows.
pub(crate) fn session_response_subprotocol(headers: &HeaderMap) -> Option<HeaderValue> {
    negotiated_protocol(headers).map_or_else(
        || first_offered_subprotocol(headers),
        |protocol| Some(HeaderValue::from_static(protocol.subprotocol())),
    )
}

/// A token (RFC 9110 section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c))
}

/// The trace id with which the page will request this connection's handshake record. `None` if it is not well-formed.
pub(crate) fn trace(query: Option<&str>) -> Option<&str> {
    let is_well_formed = |name: &&str| {
        limits::TRACE_CHARS.contains(&name.len())
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    parameter(query, TRACE_PARAMETER).filter(is_well_formed)
}

/// The session id that identifies a client without cookies across connections. `None` if it is not well-formed.
pub(crate) fn session(query: Option<&str>) -> Option<SessionId> {
    let session = SessionId(parameter(query, SESSION_PARAMETER)?.to_owned());
    session.is_well_formed().then_some(session)
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(
            Request::builder().method(method).uri("/api/echo"),
            |request, (name, value)| request.header(*name, *value),
        );
        request.body(()).unwrap().into_parts().0
    }

    fn handshake<'a>(changed: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
        let mut headers = vec![
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        headers.retain(|(name, _)| *name != changed.0);
        headers.extend((!changed.1.is_empty()).then_some(changed));
        headers
    }

    #[test]
    fn a_handshake_is_accepted_in_every_spelling_of_its_lists() {
        for changed in [
            ("connection", "keep-alive, Upgrade"),
            ("connection", "upgrade"),
            ("upgrade", "WebSocket"),
            ("x", "y"),
        ] {
            assert_eq!(
                check_handshake(&parts("GET", &handshake(changed))),
                Ok(()),
                "{changed:?}"
            );
        }
    }

    #[test]
    fn each_missing_or_wrong_header_has_its_error() {
        for (changed, expected) in [
            (("upgrade", ""), UpgradeError::NotAnUpgrade),
            (("upgrade", "h2c"), UpgradeError::NotAnUpgrade),
            (("connection", ""), UpgradeError::NotAnUpgrade),
            (("connection", "keep-alive"), UpgradeError::NotAnUpgrade),
            (("sec-websocket-version", ""), UpgradeError::Version),
            (("sec-websocket-version", "8"), UpgradeError::Version),
            (("sec-websocket-key", ""), UpgradeError::Key),
            (("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ"), UpgradeError::Key),
            (("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=!"), UpgradeError::Key),
        ] {
            assert_eq!(
                check_handshake(&parts("GET", &handshake(changed))),
                Err(expected),
                "{changed:?}"
            );
        }
        assert_eq!(
            check_handshake(&parts("POST", &handshake(("x", "y")))),
            Err(UpgradeError::Method)
        );
    }

    #[test]
    fn http2_needs_connect_with_a_protocol() {
        let version = [("sec-websocket-version", VERSION)];
        let mut connect = parts("CONNECT", &version);
        connect.version = Version::HTTP_2;
        assert_eq!(check_handshake(&connect), Err(UpgradeError::Method));
        connect.extensions.insert(ConnectProtocol::from_static("connect-udp"));
        assert_eq!(check_handshake(&connect), Err(UpgradeError::Method));
        connect.extensions.insert(ConnectProtocol::from_static("websocket"));
        assert_eq!(check_handshake(&connect), Ok(()));
        let mut get = parts("GET", &version);
        get.version = Version::HTTP_2;
        assert_eq!(check_handshake(&get), Err(UpgradeError::NotAnUpgrade));
    }

    #[test]
    fn the_first_subprotocol_that_is_a_token_is_chosen() {
        let chosen = |offers: &[&str]| {
            let headers: Vec<_> = offers.iter().map(|offer| ("sec-websocket-protocol", *offer)).collect();
            first_offered_subprotocol(&parts("GET", &headers).headers).map(|chosen| chosen.to_str().unwrap().to_owned())
        };
        assert_eq!(chosen(&["chat, superchat"]).as_deref(), Some("chat"));
        assert_eq!(chosen(&["two words, b"]).as_deref(), Some("b"));
        assert_eq!(chosen(&["", "late"]).as_deref(), Some("late"));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_trace_is_accepted_only_if_it_is_well_formed() {
        assert_eq!(trace(Some("trace=0123456789abcdef")), Some("0123456789abcdef"));
        assert_eq!(trace(Some("a=b&trace=0123456789-_ABCD&c")), Some("0123456789-_ABCD"));
        for query in [
            "",
            "trace=",
            "trace=short",
            "trace=0123456789abcde%20",
            "xtrace=0123456789abcdef",
        ] {
            assert_eq!(trace(Some(query)), None, "{query}");
        }
        assert_eq!(trace(Some(&format!("trace={}", "a".repeat(65)))), None);
        assert_eq!(trace(None), None);
    }
}
