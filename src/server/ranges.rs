//! Range requests for files (RFC 9110 sections 13.1.5 and 14.2). A range is only served if it applies to the current version of the
//! file; otherwise the complete file is sent, because the range would belong to another version.

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

/// Middleware for `ServeDir`, which ignores `If-Range` and other range units: removes `Range` where it must not apply.
pub async fn ranges(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.headers.contains_key(header::RANGE) && !range_applies(&parts, &next).await {
        parts.headers.remove(header::RANGE);
    }
    next.run(Request::from_parts(parts, body)).await
}

async fn range_applies(requested: &Parts, next: &Next) -> bool {
    if requested.method != Method::GET || !is_single_range(&requested.headers) {
        return false;
    }
    match requested.headers.contains_key(header::IF_RANGE) {
        false => true,
        true => {
            let head_response = next.clone().run(head_request(requested)).await;
            is_current(&requested.headers, head_response.headers())
        }
    }
}

/// Whether the request has one byte range: `from-to`, `from-` or `-length`.
fn is_single_range(headers: &HeaderMap) -> bool {
    let range = single_header(headers, header::RANGE).and_then(|range| range.strip_prefix("bytes="));
    let ends = range.and_then(|range| range.trim().split_once('-'));
    let digits = |end: &str| end.bytes().all(|digit| digit.is_ascii_digit());
    ends.is_some_and(|(from, to)| digits(from) && digits(to) && !(from.is_empty() && to.is_empty()))
}

fn head_request(requested: &Parts) -> Request {
    let mut head = Request::new(Body::empty());
    *head.method_mut() = Method::HEAD;
    *head.uri_mut() = requested.uri.clone();
    *head.headers_mut() = requested.headers.clone();
    for conditional in [header::RANGE, header::IF_MODIFIED_SINCE, header::IF_NONE_MATCH] {
        head.headers_mut().remove(conditional);
    }
    head
}

/// Whether `If-Range` matches the current version: by the same strong ETag, or by the same date.
fn is_current(requested: &HeaderMap, found: &HeaderMap) -> bool {
    let Some(condition) = single_header(requested, header::IF_RANGE) else {
        return false;
    };
    if condition.starts_with('"') {
        return single_header(found, header::ETAG) == Some(condition);
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let modified = single_header(found, header::LAST_MODIFIED).and_then(date);
    modified.is_some() && date(condition) == modified
}

fn single_header(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::to_str);
    match (values.next(), values.next()) {
        (Some(Ok(value)), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn only_a_single_byte_range_is_accepted() {
        for (range, one) in [
            ("bytes=0-4", true),
            ("bytes=5-", true),
            ("bytes=-5", true),
            ("bytes=0-4,8-9", false),
            ("bytes=-", false),
            ("bytes=a-b", false),
            ("bytes=5", false),
            ("bytes=0--4", false),
            ("items=0-4", false),
            ("0-4", false),
            ("", false),
        ] {
            assert_eq!(is_single_range(&headers(&[(header::RANGE, range)])), one, "{range}");
        }
        let twice = headers(&[(header::RANGE, "bytes=0-4"), (header::RANGE, "bytes=0-4")]);
        assert!(!is_single_range(&twice));
    }

    #[test]
    fn if_range_matches_only_the_same_version() {
        const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let found = headers(&[(header::ETAG, "\"a\""), (header::LAST_MODIFIED, THEN)]);
        let weak = headers(&[(header::ETAG, "W/\"a\""), (header::LAST_MODIFIED, THEN)]);
        let current =
            |condition: &str, found: &HeaderMap| is_current(&headers(&[(header::IF_RANGE, condition)]), found);
        assert!(current("\"a\"", &found) && current(THEN, &found) && current(THEN, &weak));
        assert!(
            current("Sunday, 06-Nov-94 08:49:37 GMT", &found),
            "the same time in an older form"
        );
        for other in [
            "\"b\"",
            "W/\"a\"",
            "a",
            "",
            "*",
            "\"a\", \"b\"",
            "Sun, 06 Nov 1994 08:49:38 GMT",
            "Sun, 06 Nov 1994 08:49:36 GMT",
            "Sun, 06 Nov 1994",
            "784111777",
        ] {
            assert!(!current(other, &found), "{other}");
        }
        assert!(!current("W/\"a\"", &weak) && !current("\"a\"", &weak) && !current(THEN, &HeaderMap::new()));
        let twice = headers(&[(header::IF_RANGE, "\"a\""), (header::IF_RANGE, "\"a\"")]);
        assert!(!is_current(&twice, &found));
    }
}
