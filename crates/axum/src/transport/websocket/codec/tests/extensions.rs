//! The negotiation of permessage-deflate.

use axum::http::{HeaderMap, HeaderValue, header};
use duplex_fuzz::fuzz;

use super::*;

fn negotiate_lines(lines: &[&str]) -> Option<DeflateParams> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).unwrap());
    }
    negotiate(&headers)
}

const DEFAULT: &str = "permessage-deflate; client_no_context_takeover";

#[test]
fn an_acceptable_offer_is_accepted() {
    let default = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        " permessage-deflate ;client_max_window_bits ; client_no_context_takeover\t",
        "permessage-deflate; client_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=\"8\"",
        "x-webkit-deflate-frame, permessage-deflate",
        "permessage-bzip2; a=\"b\\c\"; d, , permessage-deflate,",
        "permessage-deflate; unknown, permessage-deflate",
        "permessage-deflate; server_max_window_bits=16, permessage-deflate",
        "permessage-deflate, permessage-deflate; server_max_window_bits=9",
    ];
    for offer in default {
        let params = negotiate_lines(&[offer]);
        assert_eq!(params.map(DeflateParams::response).as_deref(), Some(DEFAULT), "{offer}");
        assert_eq!(params.map(|params| params.server_max_window_bits), Some(15));
    }
    assert_eq!(negotiate_lines(&["foo", "permessage-deflate"]), Some(PARAMS));
    assert_eq!(
        negotiate_lines(&["permessage-deflate; x", "permessage-deflate"]),
        Some(PARAMS)
    );
    for bits in 8..=15 {
        let params = negotiate_lines(&[&format!("permessage-deflate; server_max_window_bits={bits}")]).unwrap();
        assert_eq!(params.server_max_window_bits, bits);
        assert_eq!(params.response(), format!("{DEFAULT}; server_max_window_bits={bits}"));
    }
    let quoted = negotiate_lines(&["permessage-deflate; server_max_window_bits=\"1\\0\""]).unwrap();
    assert_eq!(quoted.server_max_window_bits, 10);
}

#[test]
fn a_client_may_decline_the_context_takeover() {
    let offer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=15";
    let params = negotiate_lines(&[offer]).unwrap();
    assert!(!params.takes_over_context() && PARAMS.takes_over_context());
    let response =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15";
    assert_eq!(params.response(), response);
    let small = negotiate_lines(&["permessage-deflate; server_max_window_bits=14"]).unwrap();
    assert!(!small.takes_over_context(), "a window of another size");
}

#[test]
fn other_offers_are_declined() {
    let declined = [
        "",
        ",",
        "foo",
        "permessage-deflate-2",
        "Permessage-Deflate",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=0x9",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        // Malformed.
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"9",
        "permessage-deflate; server_max_window_bits=\"9 \"",
        "permessage-deflate permessage-deflate",
        "permessage-deflate; a=b=c",
        "permessage-deflate, (comment)",
        "permessage-deflate, =",
        "=permessage-deflate",
        "permessage-deflate; x=\"y\"z",
    ];
    for offer in declined {
        assert_eq!(negotiate_lines(&[offer]), None, "{offer}");
    }
    assert_eq!(negotiate_lines(&["permessage-deflate", "\""]), None);
    assert_eq!(negotiate_lines(&[]), None);
}

/// A response names only what the offer may contain, and is itself an offer with the same meaning.
#[test]
fn every_header_has_a_valid_response() {
    fuzz("extensions", |bytes| {
        let mut headers = HeaderMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Ok(line) = HeaderValue::from_bytes(line) {
                headers.append(header::SEC_WEBSOCKET_EXTENSIONS, line);
            }
        }
        if let Some(params) = negotiate(&headers) {
            assert!((8..=15).contains(&params.server_max_window_bits));
            assert_eq!(negotiate_lines(&[&params.response()]), Some(params));
        }
    });
}
