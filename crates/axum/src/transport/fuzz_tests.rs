//! Fuzz tests of queries and request heads.

use std::fmt::Write as _;

use axum::extract::Query as FromQuery;
use axum::http::{HeaderName, HeaderValue, Request, Uri};

use super::query::Query;
use super::record;
use crate::limits;
use duplex_fuzz::fuzz;
use duplex_protocol::session::MAX_SUBSCRIPTIONS;

/// As they stand in an address, and escaped, so that every byte gets through.
fn addresses(bytes: &[u8]) -> Vec<Uri> {
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
    .filter_map(|address| address.parse().ok())
    .collect()
}

#[test]
fn no_query_breaks_a_poll_or_a_stream() {
    fuzz("queries", |bytes| {
        for address in addresses(bytes) {
            let Ok(FromQuery(query)) = FromQuery::<Query>::try_from_uri(&address) else {
                continue;
            };
            if let Ok(session) = query.session() {
                assert!((1..=64).contains(&session.0.len()));
            }
            match query.topics() {
                Ok(topics) => assert!(topics.len() <= MAX_SUBSCRIPTIONS),
                Err(why) => assert!(why.to_string().ends_with('.')),
            }
        }
    });
}

/// What the page is shown of its own handshake has a bound.
#[test]
fn no_head_makes_a_long_record() {
    fuzz("headers", |bytes| {
        for address in addresses(bytes).into_iter().chain(["/".parse().unwrap()]) {
            let mut request = Request::get(address);
            for line in bytes.split(|byte| *byte == b';') {
                let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(0));
                if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                    request = request.header(name, value);
                }
            }
            let Ok(request) = request.body(()) else { continue };
            let record = record::begin("c".to_owned(), &request.into_parts().0);
            assert!(record.request.len() <= limits::RECORDED_HEADERS + 5);
            let longest = record.request.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
            assert!(longest.max(record.target.len()) <= 3 * limits::RECORDED_VALUE + 3);
        }
    });
}
