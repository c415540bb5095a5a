//! Identity of visitors: a random secret in an `HttpOnly` cookie, and the public id derived from it with the log's key.

use std::future::ready;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::access::Grant;
use super::cookies::{Cookie, CookieValue, cookie_name, unique_value};
use super::preferences::{cookie_value, percent_decoded};
use super::state::{ServerState, Settings};
use crate::wire::first_visit::COOKIE as FIRST_VISIT_COOKIE;
use duplex_axum::client_addr::ClientScheme;
use duplex_axum::error::Problem;
use duplex_axum::identity::{Caller, Identify, IdentityRequest, Login, LoginEnd};
use duplex_hub::Hub;
use duplex_hub::log::LogSecret;

use super::moderation::{ActiveBans, Subject};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::SessionId;

/// The cookie with the secret; on an https site its name has the prefix of [`cookie_name`].
pub const VISITOR_COOKIE: &str = "visitor";

/// The cookie with the visitor's display name, percent-encoded; also read and written by scripts.
pub const NAME_COOKIE: &str = "name";

const COOKIE_SECONDS: u32 = 400 * 24 * 60 * 60;

/// The version prefix of a secret.
const SECRET_VERSION: &str = "v2.";
const SECRET_BYTES: usize = 32;

/// The identity of a request without a secret in its cookie.
#[derive(Debug, Clone, Copy)]
pub enum FallbackIdentity<'a> {
    /// A new person, for the duration of this request or connection.
    New,
    /// The person of a session id, which the client chose at random and which is not logged.
    Session(&'a str),
    /// The person of a secret whose cookie this response sets.
    Secret(&'a str),
}

/// Identifies visitors by their cookie or, over the fallbacks, by their session's id, and programs by their tokens.
pub struct VisitorIdentity {
    pub settings: Arc<Settings>,
    pub hub: Hub,
    pub moderation: Arc<ActiveBans>,
}

impl VisitorIdentity {
    /// The visitor of a request, with a permitted name.
    pub fn person(&self, grant: &Grant, headers: &HeaderMap, fallback: FallbackIdentity<'_>) -> Person {
        let key = self.hub.log().secret();
        let id = match CookieIdentity::read(headers, &self.settings) {
            CookieIdentity::Known(secret) | CookieIdentity::Legacy(secret) => person_id(key, secret),
            CookieIdentity::Missing | CookieIdentity::Conflicting => fallback.id(key),
        };
        let name = cookie_value(headers, NAME_COOKIE).map(percent_decoded);
        let name = name.unwrap_or_default();
        self.hub.name_policy().resolve(Person { id, name }, grant.is_operator())
    }

    fn caller(&self, request: IdentityRequest<'_>) -> Caller {
        let grant = Grant::from_extensions(request.extensions);
        let fallback = request
            .session
            .map_or(FallbackIdentity::New, |SessionId(id)| FallbackIdentity::Session(id));
        let visitor = self.person(&grant, request.headers, fallback);
        let subject = Subject::for_person(request.extensions, &visitor);
        let person = match request.ignore_token {
            true => visitor,
            false => grant.rights().sender_kind().person(visitor),
        };
        let login = VisitorLogin {
            moderation: Arc::clone(&self.moderation),
            grant: grant.clone(),
            subject,
        };
        Caller::visitor(person)
            .with_rights(grant.rights().clone())
            .with_login(login)
    }
}

impl Identify for VisitorIdentity {
    fn identify(&self, request: IdentityRequest<'_>) -> impl Future<Output = Result<Caller, Problem>> + Send {
        ready(Ok(self.caller(request)))
    }
}

/// A login that ends with a ban, and with the token or operator session of the request.
struct VisitorLogin {
    moderation: Arc<ActiveBans>,
    grant: Grant,
    subject: Subject,
}

impl Login for VisitorLogin {
    fn end_reason(&self) -> Option<LoginEnd> {
        let banned = self.moderation.find(&self.subject).map(|_| LoginEnd::banned());
        banned.or_else(|| {
            self.grant
                .invalid_reason()
                .map(|end| LoginEnd::signed_out(end.to_string()))
        })
    }

    async fn wait(&self) -> LoginEnd {
        tokio::select! {
            _ = self.moderation.banned(&self.subject) => LoginEnd::banned(),
            end = self.grant.ended() => LoginEnd::signed_out(end.to_string()),
        }
    }
}

/// The visitor of a request, with a permitted name.
pub fn person(state: &ServerState, grant: &Grant, headers: &HeaderMap, fallback: FallbackIdentity<'_>) -> Person {
    state.visitors.person(grant, headers, fallback)
}

impl FallbackIdentity<'_> {
    fn id(self, key: &LogSecret) -> PersonId {
        match self {
            Self::New => PersonId(HEXLOWER.encode(uuid::Uuid::new_v4().as_bytes())),
            Self::Session(session) => PersonId(HEXLOWER.encode(&key.mac("session", session))),
            Self::Secret(secret) => person_id(key, secret),
        }
    }
}

/// The identity in the cookies of a request.
#[derive(Debug, PartialEq, Eq)]
enum CookieIdentity<'a> {
    /// No cookie with a valid secret.
    Missing,
    Known(&'a str),
    /// The unprefixed cookie, set before the site used https. Accepted until the first page renews it under the prefixed name;
    /// after that it is ignored, because any sibling host can set it.
    Legacy(&'a str),
    /// Two cookies with different values (see [`CookieValue::Conflicting`]): neither counts, and no new one is set, which would
    /// replace the genuine one.
    Conflicting,
}

impl<'a> CookieIdentity<'a> {
    fn read(headers: &'a HeaderMap, settings: &Settings) -> Self {
        let name = cookie_name(VISITOR_COOKIE, settings);
        match unique_value(headers, &name) {
            CookieValue::Conflicting => Self::Conflicting,
            CookieValue::One(secret) if is_secret(secret) => Self::Known(secret),
            CookieValue::Missing if name != VISITOR_COOKIE => match unique_value(headers, VISITOR_COOKIE) {
                CookieValue::Conflicting => Self::Conflicting,
                CookieValue::One(secret) if is_secret(secret) => Self::Legacy(secret),
                CookieValue::One(_) | CookieValue::Missing => Self::Missing,
            },
            CookieValue::One(_) | CookieValue::Missing => Self::Missing,
        }
    }
}

/// The time of the visitor's first visit: now for a new visitor, otherwise the time in their cookie. 0 for visitors from before
/// that cookie existed.
pub fn first_visit(headers: &HeaderMap, settings: &Settings) -> u64 {
    match CookieIdentity::read(headers, settings) {
        CookieIdentity::Missing | CookieIdentity::Conflicting => duplex_hub::now(),
        CookieIdentity::Known(_) | CookieIdentity::Legacy(_) => cookie_value(headers, FIRST_VISIT_COOKIE)
            .and_then(|at| at.parse().ok())
            .unwrap_or_default(),
    }
}

fn first_visit_cookie(at: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "{FIRST_VISIT_COOKIE}={at}; Max-Age={COOKIE_SECONDS}; Path=/; SameSite=Lax"
    ))
    .ok()
}

/// The identity that a page issues to its visitor.
#[derive(Debug, Default)]
pub struct IssuedIdentity {
    /// The secret to use for this response, if the request has none.
    pub secret: String,
    pub cookies: Vec<HeaderValue>,
}

/// Issues a secret to a new visitor, and renews a cookie from before https under its prefixed name.
pub fn issue_identity(headers: &HeaderMap, settings: &Settings, scheme: ClientScheme) -> IssuedIdentity {
    let name = cookie_name(VISITOR_COOKIE, settings);
    let cookie = |value| Cookie {
        name: &name,
        value,
        max_age: COOKIE_SECONDS,
        same_site: "Lax",
    };
    match CookieIdentity::read(headers, settings) {
        CookieIdentity::Known(_) => IssuedIdentity::default(),
        CookieIdentity::Conflicting => IssuedIdentity {
            secret: new_secret(),
            cookies: Vec::new(),
        },
        CookieIdentity::Missing => {
            let secret = new_secret();
            let cookies = [cookie(&secret).header(scheme), first_visit_cookie(duplex_hub::now())];
            let cookies = cookies.into_iter().flatten().collect();
            IssuedIdentity { secret, cookies }
        }
        CookieIdentity::Legacy(secret) => {
            let removed = Cookie {
                name: VISITOR_COOKIE,
                max_age: 0,
                ..cookie("")
            };
            let cookies = [cookie(secret), removed].into_iter();
            IssuedIdentity {
                secret: String::new(),
                cookies: cookies.filter_map(|cookie| cookie.header(scheme)).collect(),
            }
        }
    }
}

/// A `Set-Cookie` header with a name that was posted in a plain form.
pub fn name_cookie(name: &str) -> Option<HeaderValue> {
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
    HeaderValue::from_str(&format!(
        "{NAME_COOKIE}={encoded}; Max-Age={COOKIE_SECONDS}; Path=/; SameSite=Lax"
    ))
    .ok()
}

/// 244 random bits.
fn new_secret() -> String {
    let random = [(); SECRET_BYTES / 16].map(|()| uuid::Uuid::new_v4().into_bytes());
    format!("{SECRET_VERSION}{}", BASE64URL_NOPAD.encode(random.as_flattened()))
}

/// Derives the public id from a secret; the id does not reveal the secret. Version 1 secrets keep their 64-bit ids, because
/// events contain them. A secret of version 2 gets 128 bits that cannot be computed without the log's key. With `n` known ids of
/// version 1, an attacker finds a secret for one of them after about 2^64/n hashes.
fn person_id(key: &LogSecret, secret: &str) -> PersonId {
    let first = is_v1_secret(secret).then(|| v1_person_id(secret));
    first
        .filter(|id| !duplex_hub::is_reserved(id))
        .unwrap_or_else(|| PersonId(HEXLOWER.encode(&key.mac("visitor", secret))))
}

fn v1_person_id(secret: &str) -> PersonId {
    let digest = Sha256::new()
        .chain_update("duplex visitor ")
        .chain_update(secret)
        .finalize();
    PersonId(HEXLOWER.encode(digest.get(..8).unwrap_or_default()))
}

fn is_secret(text: &str) -> bool {
    let random = text
        .strip_prefix(SECRET_VERSION)
        .map(|random| BASE64URL_NOPAD.decode(random.as_bytes()));
    is_v1_secret(text) || matches!(random, Some(Ok(bytes)) if bytes.len() == SECRET_BYTES)
}

/// Whether this is a secret of version 1, from before public ids were derived with a key.
fn is_v1_secret(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;
    use duplex_axum::origin::Scheme;

    const HTTPS: ClientScheme = ClientScheme(Scheme::Https);
    const HTTP: ClientScheme = ClientScheme(Scheme::Http);
    const MINE: &str = "0123456789abcdef0123456789abcdef";
    const EVIL: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

    fn state() -> ServerState {
        let log = Arc::new(duplex_hub::log::memory::MemoryLog::new(
            duplex_protocol::cursor::Epoch::new(1),
        ));
        let site = crate::server::site::options(std::path::Path::new("/nonexistent"), None, None);
        ServerState::new(Settings::default(), site, Hub::new(log, Vec::new()), Arc::default())
    }

    fn cookies(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(value).unwrap())])
    }

    fn settings(public_url: Option<&str>) -> Settings {
        Settings {
            public_url: public_url.map(|url| url.parse().unwrap()),
            ..Settings::default()
        }
    }

    fn set(issued: &IssuedIdentity) -> Vec<&str> {
        issued.cookies.iter().map(|cookie| cookie.to_str().unwrap()).collect()
    }

    #[test]
    fn a_new_visitor_gets_an_http_only_secret() {
        let plain = issue_identity(&HeaderMap::new(), &settings(None), HTTP);
        let rest = "Max-Age=34560000; Path=/; SameSite=Lax; HttpOnly";
        assert_eq!(set(&plain)[0], format!("visitor={}; {rest}", plain.secret));
        let proxied = issue_identity(&HeaderMap::new(), &settings(None), HTTPS);
        assert_eq!(set(&proxied)[0], format!("visitor={}; {rest}; Secure", proxied.secret));
        let public = issue_identity(&HeaderMap::new(), &settings(Some("https://duplex.example")), HTTPS);
        assert_eq!(
            set(&public)[0],
            format!("__Host-visitor={}; {rest}; Secure", public.secret)
        );
        let id = person_id(&LogSecret::random(), &plain.secret);
        assert!(!plain.secret.contains(&id.0) && plain.secret.starts_with(SECRET_VERSION));
        for value in ["visitor=", "visitor=1", "visitor=ZZ", "visitor=v2.AAAA"] {
            let issued = issue_identity(&cookies(value), &settings(None), HTTP);
            let set = set(&issued);
            assert!(set.len() == 2 && set[1].starts_with("arrival="), "{value}: {set:?}");
        }
        for value in [MINE, &new_secret()] {
            let headers = cookies(&format!("visitor={value}"));
            assert_eq!(set(&issue_identity(&headers, &settings(None), HTTP)), [""; 0]);
        }
    }

    #[test]
    fn a_cookie_from_before_https_is_renewed_once() {
        let settings = settings(Some("https://duplex.example"));
        let old = cookies(&format!("visitor={MINE}"));
        assert_eq!(CookieIdentity::read(&old, &settings), CookieIdentity::Legacy(MINE));
        let rest = "Path=/; SameSite=Lax; HttpOnly; Secure";
        assert_eq!(
            set(&issue_identity(&old, &settings, HTTPS)),
            [
                format!("__Host-visitor={MINE}; Max-Age=34560000; {rest}"),
                format!("visitor=; Max-Age=0; {rest}")
            ]
        );
        let replaced = cookies(&format!("visitor={EVIL}; __Host-visitor={MINE}; visitor=1"));
        assert_eq!(CookieIdentity::read(&replaced, &settings), CookieIdentity::Known(MINE));
        assert_eq!(set(&issue_identity(&replaced, &settings, HTTPS)), [""; 0]);
        let broken = cookies(&format!("visitor={EVIL}; __Host-visitor=x"));
        assert_eq!(CookieIdentity::read(&broken, &settings), CookieIdentity::Missing);
    }

    #[test]
    fn conflicting_cookies_are_no_identity_and_set_no_cookie() {
        for (public_url, pair) in [
            (None, ["visitor", "visitor"]),
            (Some("https://duplex.example"), ["visitor", "visitor"]),
            (Some("https://duplex.example"), ["__Host-visitor", "__Host-visitor"]),
        ] {
            let settings = settings(public_url);
            let both = cookies(&format!("{}={EVIL}; {}={MINE}", pair[0], pair[1]));
            assert_eq!(CookieIdentity::read(&both, &settings), CookieIdentity::Conflicting);
            let [one, other] = [(); 2].map(|()| issue_identity(&both, &settings, HTTPS));
            assert_eq!(set(&one), [""; 0]);
            assert_ne!(one.secret, other.secret, "identities are not shared");
            let same = cookies(&format!("{}={MINE}; {}={MINE}", pair[0], pair[1]));
            assert_ne!(CookieIdentity::read(&same, &settings), CookieIdentity::Conflicting);
        }
    }

    #[test]
    fn the_name_cookie_round_trips() {
        let cookie = name_cookie("김 a;b").unwrap();
        let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
        let headers = cookies(pair);
        assert_eq!(
            cookie_value(&headers, NAME_COOKIE).map(percent_decoded).unwrap(),
            "김 a;b"
        );
    }

    #[test]
    fn the_id_of_a_version_1_secret_is_independent_of_the_key() {
        let headers = cookies(&format!("visitor={MINE}"));
        for state in [state(), state()] {
            assert_eq!(
                person(&state, &Grant::default(), &headers, FallbackIdentity::New).id.0,
                "c79647774a412a13"
            );
        }
    }

    #[test]
    fn ids_depend_on_the_key() {
        let (one, other) = (state(), state());
        let id = |state: &ServerState, fallback: FallbackIdentity<'_>| {
            person(state, &Grant::default(), &HeaderMap::new(), fallback).id
        };
        let secret = new_secret();
        assert_ne!(
            id(&one, FallbackIdentity::Secret(&secret)),
            id(&other, FallbackIdentity::Secret(&secret))
        );
        assert_ne!(
            id(&one, FallbackIdentity::Session("s")),
            id(&other, FallbackIdentity::Session("s"))
        );
        assert_ne!(
            id(&one, FallbackIdentity::Session(&secret)),
            id(&one, FallbackIdentity::Secret(&secret))
        );
        assert_ne!(id(&one, FallbackIdentity::New), id(&one, FallbackIdentity::New));
    }
}
