//! Fuzz tests of origins, hosts and forwarded headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use duplex_fuzz::{fuzz, fuzz_text};

use crate::origin::{Host, Origin};
use crate::{forwarded, limits};

/// Each input is an origin, a space, and a host.
#[test]
fn no_origin_matches_another_host() {
    fuzz_text("origins", |text| {
        let (origin, host) = text.split_once(' ').unwrap_or((text, ""));
        let (Ok(parsed), Some(requested)) = (origin.parse::<Origin>(), Host::parse(host)) else {
            return;
        };
        assert_eq!(
            parsed.to_string().parse(),
            Ok(parsed.clone()),
            "an origin round-trips as text"
        );
        let (_, authority) = origin.split_once("://").unwrap_or_default();
        let without_port = |text: &str| match text.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_ascii_lowercase(),
            _ => text.to_ascii_lowercase(),
        };
        let same = without_port(authority) == without_port(host);
        assert!(!parsed.matches(&requested) || same, "{origin:?} matches {host:?}");
    });
}

/// Forwarded headers, of proxies or forged: the number of hops is bounded.
#[test]
fn forwarded_headers_are_bounded() {
    fuzz("forwarded", |bytes| {
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto"] {
            let Ok(value) = HeaderValue::from_bytes(bytes) else {
                return;
            };
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
            assert!(forwarded::forwarded(&headers).len() <= limits::FORWARDED_HOPS);
            assert!(forwarded::x_forwarded_for(&headers).len() <= limits::FORWARDED_HOPS);
            let https = forwarded::x_forwarded_proto(&headers) == Some(true);
            assert!(!https || bytes.to_ascii_lowercase().windows(5).any(|word| word == b"https"));
        }
    });
}
