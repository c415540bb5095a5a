//! Fuzz tests of queries and request heads.

use std::fmt::Write as _;

use axum::extract::Query;
use axum::http::{HeaderName, HeaderValue, Request, Uri};

use super::query::SessionQuery;
use super::record;
use crate::limits;
use duplex_fuzz::fuzz;
use duplex_protocol::session::MAX_SUBSCRIPTIONS;

/// URLs with these bytes, plain and percent-encoded, so that every byte reaches the decoder.
fn uris(bytes: &[u8]) -> Vec<Uri> {
    let escaped = bytes.iter().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "%{byte:02x}");
        escaped
    });
    let plain = String::from_utf8_lossy(bytes);
    [
        format!("/?{plain}"),
        format!("/?session={escaped}&topics={plain}"),
        format!("/?session=s-1&topics={escaped}&wait=0"),
    ]
    .iter()
    .filter_map(|uri| uri.parse().ok())
    .collect()
}

#[test]
fn queries_are_bounded() {
    fuzz("queries", |bytes| {
        for uri in uris(bytes) {
            let Ok(Query(query)) = Query::<SessionQuery>::try_from_uri(&uri) else {
                continue;
            };
            if let Ok(session) = query.session() {
                assert!((1..=64).contains(&session.0.len()));
            }
            match query.topics() {
                Ok(topics) => assert!(topics.len() <= MAX_SUBSCRIPTIONS),
                Err(error) => assert!(error.to_string().ends_with('.')),
            }
        }
    });
}

/// The record of a handshake is bounded.
#[test]
fn records_are_bounded() {
    fuzz("headers", |bytes| {
        for uri in uris(bytes).into_iter().chain(["/".parse().unwrap()]) {
            let mut request = Request::get(uri);
            for line in bytes.split(|byte| *byte == b';') {
                let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(0));
                if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                    request = request.header(name, value);
                }
            }
            let Ok(request) = request.body(()) else { continue };
            let record = record::from_request("c".to_owned(), &request.into_parts().0);
            assert!(record.request.len() <= limits::MAX_RECORDED_HEADERS + 5);
            let longest = record.request.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
            assert!(longest.max(record.target.len()) <= 3 * limits::RECORDED_VALUE + 3);
        }
    });
}
