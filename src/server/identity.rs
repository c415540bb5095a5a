//! Who a visitor is: a random secret in a cookie that no script can read, and the public id that follows from it.
//! Knows no route.

use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::hub;
use super::preferences::{cookie_value, percent_decoded};
use super::state::ServerState;
use super::token::{self, Shown};
use crate::wire::person::{Person, PersonId, tidy_name};

/// Holds the secret.
pub const VISITOR_COOKIE: &str = "visitor";

/// Holds the chosen name, percent-encoded; the page's scripts read and write it.
pub const NAME_COOKIE: &str = "name";

const KEPT_SECONDS: u32 = 400 * 24 * 60 * 60;

/// The visitor of a request. Without a cookie that can be one, `otherwise` stands for the secret: what the visitor keeps
/// until they have a cookie, such as a session's id.
pub fn person(headers: &HeaderMap, otherwise: &str) -> Person {
    let secret = cookie_value(headers, VISITOR_COOKIE).filter(|secret| is_secret(secret));
    let name = cookie_value(headers, NAME_COOKIE).map(percent_decoded);
    Person {
        id: id_of(secret.unwrap_or(otherwise)),
        name: name.map(|name| tidy_name(&name)).unwrap_or_default(),
    }
}

/// Who sends a request: a program, if it shows the server's token, or else a visitor.
pub fn caller(state: &ServerState, headers: &HeaderMap, otherwise: &str) -> Person {
    match token::shown(headers, state.settings.token.as_ref()) {
        Shown::Right => hub::program(),
        Shown::Nothing | Shown::Wrong => person(headers, otherwise),
    }
}

/// For an answer to a visitor who has no secret yet.
pub fn new_cookie(headers: &HeaderMap) -> Option<(String, HeaderValue)> {
    if cookie_value(headers, VISITOR_COOKIE).is_some_and(is_secret) {
        return None;
    }
    let secret = uuid::Uuid::new_v4().simple().to_string();
    let secure = secure(headers);
    let cookie = format!("{VISITOR_COOKIE}={secret}; Max-Age={KEPT_SECONDS}; Path=/; SameSite=Lax; HttpOnly{secure}");
    HeaderValue::from_str(&cookie).ok().map(|cookie| (secret, cookie))
}

/// Ends a cookie that holds a secret: behind a proxy that speaks TLS it must not travel without.
pub fn secure(headers: &HeaderMap) -> &'static str {
    let behind_tls = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    if behind_tls { "; Secure" } else { "" }
}

/// Keeps a name that was chosen without scripts.
pub fn name_cookie(name: &str) -> Option<HeaderValue> {
    let encoded: String = name.bytes().map(escaped).collect();
    HeaderValue::from_str(&format!(
        "{NAME_COOKIE}={encoded}; Max-Age={KEPT_SECONDS}; Path=/; SameSite=Lax"
    ))
    .ok()
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// One cannot come from the public id to the secret.
pub fn id_of(secret: &str) -> PersonId {
    let digest = Sha256::new()
        .chain_update("duplex visitor ")
        .chain_update(secret)
        .finalize();
    PersonId(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn is_secret(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, header};

    use super::*;

    fn cookies(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_same_secret_is_the_same_person_and_the_id_does_not_show_it() {
        let (secret, cookie) = new_cookie(&HeaderMap::new()).unwrap();
        assert!(cookie.to_str().unwrap().contains("HttpOnly"));
        let headers = cookies(&format!("visitor={secret}; name=%EA%B9%80%20%EB%AF%BC%EC%A7%80"));
        let known = person(&headers, "");
        assert_eq!(known, person(&headers, "other"));
        assert_eq!(known.name, "김 민지");
        assert_eq!(known.id.0.len(), 16);
        assert!(!secret.contains(&known.id.0));
        assert_eq!(new_cookie(&headers), None);
    }

    #[test]
    fn behind_tls_the_secret_stays_there() {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-forwarded-proto"),
            HeaderValue::from_static("https"),
        )]);
        let is_secure = |headers: &HeaderMap| new_cookie(headers).unwrap().1.to_str().unwrap().ends_with("; Secure");
        assert!(is_secure(&headers) && !is_secure(&HeaderMap::new()));
    }

    #[test]
    fn a_name_is_kept_as_it_is() {
        let cookie = name_cookie("김 a;b").unwrap();
        let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
        assert_eq!(person(&cookies(pair), "").name, "김 a;b");
    }

    #[test]
    fn a_cookie_that_is_no_secret_is_as_none() {
        for wrong in ["visitor=", "visitor=1", "visitor=ZZ"] {
            assert_eq!(person(&cookies(wrong), "s").id, id_of("s"));
            assert!(new_cookie(&cookies(wrong)).is_some());
        }
    }
}
