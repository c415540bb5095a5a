//! Fuzz tests of origins, hosts and proxies' reports.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use duplex_fuzz::{fuzz, fuzz_text};

use crate::origin::{Host, Origin};
use crate::{forwarded, limits};

/// Two texts: what stands before the first space is the origin, the rest is the host.
#[test]
fn no_origin_passes_for_another() {
    fuzz_text("origins", |text| {
        let (origin, host) = text.split_once(' ').unwrap_or((text, ""));
        let (Ok(read), Some(asked)) = (origin.parse::<Origin>(), Host::parse(host)) else {
            return;
        };
        assert_eq!(
            read.to_string().parse(),
            Ok(read.clone()),
            "what is shown is what was read"
        );
        let (_, authority) = origin.split_once("://").unwrap_or_default();
        let without_port = |text: &str| match text.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_ascii_lowercase(),
            _ => text.to_ascii_lowercase(),
        };
        let same = without_port(authority) == without_port(host);
        assert!(!read.is_at(&asked) || same, "{origin:?} is taken for {host:?}");
    });
}

/// What proxies report, or who calls itself one: few hops, and addresses only.
#[test]
fn no_report_of_a_proxy_breaks_a_request() {
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
