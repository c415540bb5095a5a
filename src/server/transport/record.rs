//! A handshake as it is shown to the page that made it. Knows heads of requests and responses, not what follows them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use hyper::ext::Protocol;

use super::super::limits;
use crate::wire::handshake::Handshake;

/// What a record of `request` begins with, before it is answered.
pub fn begin(connection: String, request: &Parts) -> Handshake {
    Handshake {
        connection,
        opened_at: unix_millis(),
        peer: request
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(peer)| peer.to_string()),
        method: request.method.to_string(),
        target: request
            .uri
            .path_and_query()
            .map_or_else(String::new, |target| cut(target.as_str().as_bytes())),
        version: format!("{:?}", request.version),
        request: pseudo_headers(request)
            .into_iter()
            .chain(shown(&request.headers))
            .collect(),
        status: 0,
        response: Vec::new(),
        subprotocol: None,
        ended: None,
    }
}

pub fn answer(mut record: Handshake, status: StatusCode, headers: &HeaderMap) -> Handshake {
    record.status = status.as_u16();
    record.response = shown(headers);
    record.subprotocol = headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .map(|chosen| cut(chosen.as_bytes()));
    record
}

/// Milliseconds since the Unix epoch.
pub fn unix_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// In HTTP/2 a request's first line is made of headers (RFC 9113 section 8.3.1, RFC 8441 section 4).
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
        headers.push((":authority".to_owned(), authority.to_string()));
    }
    headers.push((":path".to_owned(), request.uri.path().to_owned()));
    headers
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .take(limits::RECORDED_HEADERS)
        .map(|(name, value)| (name.to_string(), show(name, value)))
        .collect()
}

fn show(name: &HeaderName, value: &HeaderValue) -> String {
    let secret = [
        header::COOKIE,
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::SET_COOKIE,
    ];
    if secret.contains(name) {
        format!("<{} bytes>", value.len())
    } else {
        cut(value.as_bytes())
    }
}

fn cut(value: &[u8]) -> String {
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

    #[test]
    fn secrets_are_shown_as_their_size_and_long_values_are_cut() {
        let long = "x".repeat(limits::RECORDED_VALUE + 1);
        let (request, ()) = Request::get("/api/echo?trace=abc")
            .header("cookie", "session=geheim")
            .header("authorization", "Bearer geheim")
            .header("user-agent", &long)
            .body(())
            .unwrap()
            .into_parts();
        let record = begin("c".to_owned(), &request);
        assert_eq!(record.target, "/api/echo?trace=abc");
        assert_eq!(record.version, "HTTP/1.1");
        assert_eq!(record.request[0], ("cookie".to_owned(), "<14 bytes>".to_owned()));
        assert_eq!(record.request[1], ("authorization".to_owned(), "<13 bytes>".to_owned()));
        assert_eq!(record.request[2].1, format!("{}…", &long[1..]));
    }
}
