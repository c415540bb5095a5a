//! Fuzz tests of headers, cookies, forms and posted bodies, at the functions that parse them.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use leptos::prelude::Owner;
use serde_json::Value;

use super::{cookies, preferences, signals};
use crate::apps;
use crate::apps::compare::wire::measure::MAX_CHUNK;
use crate::apps::server::Apps;
use crate::wire::person::sanitize_name;
use duplex_axum::{
    endpoint::{Payload, Reply},
    ingest::{IngestError, IngestRequest},
};
use duplex_fuzz::{fuzz, fuzz_text};
use duplex_hub::log::memory::MemoryLog;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::MAX_NAME;
use duplex_protocol::session::MAX_COMMAND;

/// A header map with this header, or `None` if the value is invalid.
fn single_header(name: HeaderName, value: &[u8]) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(value).ok()?;
    Some(HeaderMap::from_iter([(name, value)]))
}

#[test]
fn cookies_are_parsed_without_panic() {
    fuzz("cookies", |bytes| {
        let Some(headers) = single_header(header::COOKIE, bytes) else {
            return;
        };
        for name in ["visitor", "__Host-visitor", "name", "language", "colour", "bench", ""] {
            let values = || cookies::values(&headers, name);
            match cookies::unique_value(&headers, name) {
                cookies::CookieValue::Missing => assert_eq!(values().count(), 0),
                cookies::CookieValue::One(_) => assert!(values().all(|value| values().all(|other| other == value))),
                cookies::CookieValue::Conflicting => assert!(values().count() > 1),
            }
            let Some(value) = preferences::cookie_value(&headers, name) else {
                continue;
            };
            let decoded = preferences::percent_decoded(value);
            assert!(
                decoded.len() <= 3 * value.len(),
                "only replacement characters may make the text longer"
            );
            let name = sanitize_name(&decoded);
            assert!(
                name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control),
                "{name:?}"
            );
        }
        Owner::new().with(|| preferences::provide(&headers));
    });
}

#[test]
fn accepted_languages_are_parsed_without_panic() {
    fuzz("languages", |bytes| {
        if let Some(headers) = single_header(header::ACCEPT_LANGUAGE, bytes) {
            Owner::new().with(|| preferences::provide(&headers));
        }
    });
}

/// Every ingest endpoint turns a posted body into a command of bounded size or an error with a reason.
#[test]
fn posted_bodies_become_bounded_commands_or_errors() {
    fuzz("posts", |bytes| {
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
            return;
        };
        for endpoint in Apps::default().ingest_endpoints() {
            if bytes.len() > endpoint.body_limit {
                continue;
            }
            for id in ["oven-1", "..", "\0", "browser-0"] {
                let params = BTreeMap::from([("id".to_owned(), id.to_owned())]);
                match (endpoint.command)(&IngestRequest {
                    params,
                    body: body.clone(),
                }) {
                    Ok(ingest) => assert!(ingest.command.json().len() <= 4 * MAX_COMMAND),
                    Err(IngestError::NotFound(why) | IngestError::Unprocessable(why)) => {
                        assert!(why.ends_with('.'), "{why}");
                    }
                }
            }
        }
    });
}

/// Form fields, `name=value` pairs, at every path that accepts a form.
#[test]
fn forms_become_commands_without_panic() {
    fuzz_text("forms", |text| {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let fields: BTreeMap<_, _> = pairs
            .map(|(name, value)| (name.to_owned(), preferences::percent_decoded(value)))
            .collect();
        for form in Apps::default().command_forms() {
            for path in [form.path, "/chat/../x", "/devices/\u{2028}", "/", ""] {
                if let Some(command) = (form.command)(path, &fields) {
                    assert!(command.json().starts_with('{'));
                }
            }
        }
    });
}

/// Bytes that an endpoint may prepend to an echoed message.
const MAX_GREETING: usize = 64;

/// Maximum frame of the game in bytes: well above the largest frame of a full screen.
const MAX_GAME_FRAME: usize = 64 << 10;

/// Messages to the stateless endpoints.
#[test]
fn endpoint_responses_are_bounded() {
    fuzz("messages", |bytes| {
        for endpoint in Apps::default().endpoints() {
            let text = String::from_utf8_lossy(bytes);
            for payload in [Payload::Text(&text), Payload::Binary(bytes)] {
                if let Reply::Text(reply) = (endpoint.reply)(payload) {
                    assert!(reply.len() <= MAX_CHUNK.max(payload.len() + MAX_GREETING));
                }
            }
        }
    });
}

/// A message to the signals socket can only subscribe to a signal or unsubscribe from it.
#[test]
fn no_message_sets_a_signal() {
    fuzz("signal-messages", |bytes| {
        if let Some(request) = signals::parse(bytes) {
            let (signals::SignalRequest::Establish(name) | signals::SignalRequest::Delete(name)) = &request;
            assert!(name.len() < bytes.len());
        }
    });
}

/// A sequence of a player's inputs.
#[test]
fn inputs_never_panic_and_frames_are_bounded() {
    let game = apps::arena::server::simulation(&apps::arena::server::Options::default());
    let hub = duplex_hub::Hub::new(Arc::new(MemoryLog::new(Epoch::new(1))), Vec::new());
    fuzz("turns", |bytes| {
        let mut participant = Arc::clone(&game)
            .join(duplex_hub::Principal::program().person, &hub)
            .unwrap();
        for _ in 0..3 {
            let _ = participant.on_message(bytes);
            if let Some(frame) = participant.next_frame() {
                assert!(frame.len() <= MAX_GAME_FRAME);
            }
        }
    });
}
