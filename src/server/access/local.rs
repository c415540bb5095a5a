//! Detection of local requests for `--trust-local`.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Headers that proxies add to forwarded requests.
const FORWARDING_HEADERS: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Whether the `Host` is a loopback name and there are no forwarding headers. Not a proof of origin: a proxy or a tunnel can send
/// the same.
pub fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(is_loopback_name) && !FORWARDING_HEADERS.iter().any(|name| headers.contains_key(*name))
}

fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn requests_for_a_loopback_name_without_a_proxy_are_local() {
        for host in [
            "localhost:3000",
            "LOCALHOST",
            "127.0.0.1:3000",
            "127.8.9.1",
            "[::1]:3000",
        ] {
            assert!(is_local(&headers(&[("host", host)])), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0:3000",
        ] {
            assert!(!is_local(&headers(&[("host", host)])), "{host}");
        }
        assert!(!is_local(&headers(&[
            ("host", "localhost"),
            ("x-forwarded-for", "10.0.0.1")
        ])));
        assert!(!is_local(&headers(&[])));
    }
}
