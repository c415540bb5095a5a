//! Builds the handshake record that a page can request: the heads of the request and the response, with secrets redacted.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use hyper::ext::Protocol;

use super::super::client_addr::LoggedClient;
use crate::limits;
use duplex_protocol::handshake::{Handshake, TRACE_PARAMETER};

/// The record of a request that is not answered yet.
pub(super) fn from_request(connection: String, request: &Parts) -> Handshake {
    Handshake {
        connection,
        opened_at: duplex_hub::now(),
        peer: LoggedClient::from_extensions(&request.extensions).map(|client| client.to_string()),
        method: request.method.to_string(),
        target: redacted_target(&request.uri),
        version: format!("{:?}", request.version),
        request: pseudo_headers(request)
            .into_iter()
            .chain(redacted_headers(&request.headers))
            .collect(),
        status: 0,
        response: Vec::new(),
        subprotocol: None,
        ended: None,
    }
}

/// Adds the response to the record.
pub(super) fn with_response(mut record: Handshake, status: StatusCode, headers: &HeaderMap) -> Handshake {
    record.status = status.as_u16();
    record.response = redacted_headers(headers);
    record.subprotocol = headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .map(|chosen| truncated(chosen.as_bytes()));
    record
}

/// The pseudo-headers that replace the request line in HTTP/2 (RFC 9113 section 8.3.1, RFC 8441 section 4).
fn pseudo_headers(request: &Parts) -> Vec<(String, String)> {
    if request.version != Version::HTTP_2 {
        return Vec::new();
    }
    let mut headers = vec![(":method".to_owned(), request.method.to_string())];
    if let Some(protocol) = request.extensions.get::<Protocol>() {
        headers.push((":protocol".to_owned(), protocol.as_str().to_owned()));
    }
    if let Some(scheme) = request.uri.scheme_str() {
        headers.push((":scheme".to_owned(), scheme.to_owned()));
    }
    if let Some(authority) = request.uri.authority() {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        headers.push((":authority".to_owned(), host.to_owned()));
    }
    headers.push((":path".to_owned(), request.uri.path().to_owned()));
    headers
}

fn redacted_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .take(limits::MAX_RECORDED_HEADERS)
        .map(|(name, value)| (name.to_string(), redacted_value(name, value)))
        .collect()
}

/// Headers that are recorded with their values. For every other header, only the name and the size are recorded, because proxies
/// add tokens under arbitrary names.
const RECORDED_HEADER_NAMES: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-length",
    "date",
    "host",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "retry-after",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-storage-access",
    "sec-fetch-user",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

fn redacted_value(name: &HeaderName, value: &HeaderValue) -> String {
    if RECORDED_HEADER_NAMES.contains(&name.as_str()) {
        truncated(value.as_bytes())
    } else {
        format!("<{} bytes>", value.len())
    }
}

/// Query parameters that are not secret.
const RECORDED_PARAMETERS: [&str; 4] = [TRACE_PARAMETER, "run", "way", "box"];

/// Path and query. An unknown parameter may be secret and is replaced by its size.
fn redacted_target(uri: &Uri) -> String {
    let path = truncated(uri.path().as_bytes());
    let Some(query) = uri.query() else { return path };
    let pairs: Vec<_> = query
        .split('&')
        .take(limits::MAX_RECORDED_HEADERS)
        .map(redacted_pair)
        .collect();
    truncated(format!("{path}?{}", pairs.join("&")).as_bytes())
}

fn redacted_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if RECORDED_PARAMETERS.contains(&name) => truncated(pair.as_bytes()),
        _ => format!("<{} bytes>", pair.len()),
    }
}

fn truncated(value: &[u8]) -> String {
    let kept = value.get(..limits::RECORDED_VALUE).unwrap_or(value);
    let text = String::from_utf8_lossy(kept);
    if kept.len() < value.len() {
        format!("{text}…")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn recorded(target: &str, headers: &[(&str, &str)]) -> Handshake {
        let request = headers.iter().fold(Request::get(target), |request, (name, value)| {
            request.header(*name, *value)
        });
        from_request("c".to_owned(), &request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn handshake_headers_are_recorded_and_long_values_truncated() {
        let long = "x".repeat(limits::RECORDED_VALUE + 1);
        let record = recorded(
            "/api/echo?trace=abc",
            &[("user-agent", &long), ("sec-fetch-site", "same-origin")],
        );
        assert_eq!(record.target, "/api/echo?trace=abc");
        assert_eq!(record.version, "HTTP/1.1");
        assert_eq!(record.request[0].1, format!("{}…", &long[1..]));
        assert_eq!(record.request[1].1, "same-origin");
    }

    #[test]
    fn other_headers_are_recorded_as_their_size() {
        for name in [
            "cookie",
            "authorization",
            "proxy-authorization",
            "x-amzn-oidc-accesstoken",
            "x-amzn-oidc-data",
            "x-auth-request-access-token",
            "x-forwarded-access-token",
            "x-forwarded-for",
            "forwarded",
            "via",
            "cf-access-jwt-assertion",
            "cf-connecting-ip",
            "x-ms-token-aad-access-token",
            "x-goog-iap-jwt-assertion",
            "x-csrf-token",
            "x-api-key",
            "referer",
            "x-nobody-knows",
        ] {
            let record = recorded("/api/echo", &[(name, "secret")]);
            assert_eq!(record.request, [(name.to_owned(), "<6 bytes>".to_owned())]);
        }
    }

    #[test]
    fn unknown_query_parameters_are_recorded_as_their_size() {
        for (target, expected) in [
            ("/api/echo", "/api/echo"),
            ("/api/echo?trace=a&token=secret", "/api/echo?trace=a&<12 bytes>"),
            ("/api/echo?secret", "/api/echo?<6 bytes>"),
            ("/api/echo?Trace=secret&=secret", "/api/echo?<12 bytes>&<7 bytes>"),
            ("/w?run=1&way=push&box=b", "/w?run=1&way=push&box=b"),
        ] {
            assert_eq!(recorded(target, &[]).target, expected);
        }
    }
}
