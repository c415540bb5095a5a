//! Who a visitor is: a random secret in a cookie that no script can read, and the public id that follows from it and from the
//! log's key. Knows no route.

use std::future::ready;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::access::Grant;
use super::cookies::{Cookie, Held, cookie_name, held};
use super::preferences::{cookie_value, percent_decoded};
use super::state::{ServerState, Settings};
use crate::wire::first_visit::COOKIE as FIRST_VISIT_COOKIE;
use duplex_axum::client_addr::ClientScheme;
use duplex_axum::error::Problem;
use duplex_axum::identity::{Caller, Identify, IdentityRequest, Login, LoginEnd};
use duplex_hub::Hub;
use duplex_hub::log::Key;

use super::moderation::{Enforcement, Subject};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::SessionId;

/// Holds the secret; under an https site with the prefix of [`cookie_name`].
pub const VISITOR_COOKIE: &str = "visitor";

/// Holds the chosen name, percent-encoded; the page's scripts read and write it.
pub const NAME_COOKIE: &str = "name";

const KEPT_SECONDS: u32 = 400 * 24 * 60 * 60;

/// Before a secret of this form: its version.
const FORM: &str = "v2.";
const SECRET_BYTES: usize = 32;

/// Who sends a request that has no secret in a cookie.
#[derive(Debug, Clone, Copy)]
pub enum FallbackIdentity<'a> {
    /// Somebody who was never here, known as long as this request or connection lasts.
    New,
    /// Whoever asks with this session's id, which they made up and which no log shows.
    Session(&'a str),
    /// Whose cookie with this secret the answer brings.
    Secret(&'a str),
}

/// This app's visitors: known by a cookie or, over the fallbacks, by their session's id; programs by their tokens.
pub struct Visitors {
    pub settings: Arc<Settings>,
    pub hub: Hub,
    pub moderation: Arc<Enforcement>,
}

impl Visitors {
    /// The visitor of a request, with a name that they may have.
    pub fn person(&self, grant: &Grant, headers: &HeaderMap, otherwise: FallbackIdentity<'_>) -> Person {
        let key = self.hub.log().key();
        let id = match Identity::read(headers, &self.settings) {
            Identity::Known(secret) | Identity::Old(secret) => id_of(key, secret),
            Identity::Nobody | Identity::Unclear => otherwise.id(key),
        };
        let name = cookie_value(headers, NAME_COOKIE).map(percent_decoded);
        let name = name.unwrap_or_default();
        self.hub.names().named(Person { id, name }, grant.is_operator())
    }

    fn caller(&self, request: IdentityRequest<'_>) -> Caller {
        let grant = Grant::of_request(request.extensions);
        let otherwise = request
            .session
            .map_or(FallbackIdentity::New, |SessionId(id)| FallbackIdentity::Session(id));
        let visitor = self.person(&grant, request.headers, otherwise);
        let subject = Subject::of_person(request.extensions, &visitor);
        let person = match request.as_visitor {
            true => visitor,
            false => grant.rights().origin().person(visitor),
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

impl Identify for Visitors {
    fn identify(&self, request: IdentityRequest<'_>) -> impl Future<Output = Result<Caller, Problem>> + Send {
        ready(Ok(self.caller(request)))
    }
}

/// It ends with a ban, and with the token or the operator's session that the request showed.
struct VisitorLogin {
    moderation: Arc<Enforcement>,
    grant: Grant,
    subject: Subject,
}

impl Login for VisitorLogin {
    fn ended(&self) -> Option<LoginEnd> {
        let banned = self.moderation.find(&self.subject).map(|_| LoginEnd::banned());
        banned.or_else(|| self.grant.has_ended().map(|end| LoginEnd::signed_out(end.to_string())))
    }

    async fn wait(&self) -> LoginEnd {
        tokio::select! {
            _ = self.moderation.banned(&self.subject) => LoginEnd::banned(),
            end = self.grant.ended() => LoginEnd::signed_out(end.to_string()),
        }
    }
}

/// The visitor of a request, with a name that they may have.
pub fn person(state: &ServerState, grant: &Grant, headers: &HeaderMap, otherwise: FallbackIdentity<'_>) -> Person {
    state.visitors.person(grant, headers, otherwise)
}

impl FallbackIdentity<'_> {
    fn id(self, key: &Key) -> PersonId {
        match self {
            Self::New => PersonId(HEXLOWER.encode(uuid::Uuid::new_v4().as_bytes())),
            Self::Session(session) => PersonId(HEXLOWER.encode(&key.code("session", session))),
            Self::Secret(secret) => id_of(key, secret),
        }
    }
}

/// What the cookies of a request say of its visitor.
#[derive(Debug, PartialEq, Eq)]
enum Identity<'a> {
    Nobody,
    Known(&'a str),
    /// By the cookie of before the site had https; valid until the first page gives it its new name. After that a cookie of the old
    /// name, which any sibling host can set, says nothing.
    Old(&'a str),
    /// By two cookies that differ. One of them is somebody else's, so neither counts; and no new one is set, which would put an end
    /// to the real one.
    Unclear,
}

impl<'a> Identity<'a> {
    fn read(headers: &'a HeaderMap, settings: &Settings) -> Self {
        let name = cookie_name(VISITOR_COOKIE, settings);
        match held(headers, &name) {
            Held::Differing => Self::Unclear,
            Held::One(secret) if is_secret(secret) => Self::Known(secret),
            Held::Nothing if name != VISITOR_COOKIE => match held(headers, VISITOR_COOKIE) {
                Held::Differing => Self::Unclear,
                Held::One(secret) if is_secret(secret) => Self::Old(secret),
                Held::One(_) | Held::Nothing => Self::Nobody,
            },
            Held::One(_) | Held::Nothing => Self::Nobody,
        }
    }
}

/// When the visitor of a request came for the first time: now, or what their cookie says. Of whoever came before there was such a
/// cookie, nothing is known.
pub fn first_visit(headers: &HeaderMap, settings: &Settings) -> u64 {
    match Identity::read(headers, settings) {
        Identity::Nobody | Identity::Unclear => duplex_hub::now(),
        Identity::Known(_) | Identity::Old(_) => cookie_value(headers, FIRST_VISIT_COOKIE)
            .and_then(|at| at.parse().ok())
            .unwrap_or_default(),
    }
}

fn first_visit_cookie(at: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "{FIRST_VISIT_COOKIE}={at}; Max-Age={KEPT_SECONDS}; Path=/; SameSite=Lax"
    ))
    .ok()
}

/// What a page does for its visitor's identity.
#[derive(Debug, Default)]
pub struct Welcome {
    /// What [`person`] takes until a request brings the visitor's own.
    pub secret: String,
    pub cookies: Vec<HeaderValue>,
}

/// For an answer to a visitor: a secret for a new one, and a new name for an old cookie.
pub fn welcome(headers: &HeaderMap, settings: &Settings, scheme: ClientScheme) -> Welcome {
    let name = cookie_name(VISITOR_COOKIE, settings);
    let cookie = |value| Cookie {
        name: &name,
        value,
        max_age: KEPT_SECONDS,
        same_site: "Lax",
    };
    match Identity::read(headers, settings) {
        Identity::Known(_) => Welcome::default(),
        Identity::Unclear => Welcome {
            secret: new_secret(),
            cookies: Vec::new(),
        },
        Identity::Nobody => {
            let secret = new_secret();
            let cookies = [cookie(&secret).header(scheme), first_visit_cookie(duplex_hub::now())];
            let cookies = cookies.into_iter().flatten().collect();
            Welcome { secret, cookies }
        }
        Identity::Old(secret) => {
            let removed = Cookie {
                name: VISITOR_COOKIE,
                max_age: 0,
                ..cookie("")
            };
            let cookies = [cookie(secret), removed].into_iter();
            Welcome {
                secret: String::new(),
                cookies: cookies.filter_map(|cookie| cookie.header(scheme)).collect(),
            }
        }
    }
}

/// Keeps a name that was chosen without scripts.
pub fn name_cookie(name: &str) -> Option<HeaderValue> {
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
    HeaderValue::from_str(&format!(
        "{NAME_COOKIE}={encoded}; Max-Age={KEPT_SECONDS}; Path=/; SameSite=Lax"
    ))
    .ok()
}

/// 244 random bits.
fn new_secret() -> String {
    let random = [(); SECRET_BYTES / 16].map(|()| uuid::Uuid::new_v4().into_bytes());
    format!("{FORM}{}", BASE64URL_NOPAD.encode(random.as_flattened()))
}

/// One cannot come from the public id to the secret. A secret of the first form has the id of its time, 64 bits, which stands in
/// events; one of this form has 128 bits that nobody can make without the log's key. Whoever knows `n` ids of the first form finds
/// a secret for one of them after about 2^64/n hashes.
fn id_of(key: &Key, secret: &str) -> PersonId {
    let first = is_first_secret(secret).then(|| first_id_of(secret));
    first
        .filter(|id| !duplex_hub::is_reserved(id))
        .unwrap_or_else(|| PersonId(HEXLOWER.encode(&key.code("visitor", secret))))
}

fn first_id_of(secret: &str) -> PersonId {
    let digest = Sha256::new()
        .chain_update("duplex visitor ")
        .chain_update(secret)
        .finalize();
    PersonId(HEXLOWER.encode(digest.get(..8).unwrap_or_default()))
}

fn is_secret(text: &str) -> bool {
    let random = text
        .strip_prefix(FORM)
        .map(|random| BASE64URL_NOPAD.decode(random.as_bytes()));
    is_first_secret(text) || matches!(random, Some(Ok(bytes)) if bytes.len() == SECRET_BYTES)
}

/// Before public ids had a key.
fn is_first_secret(text: &str) -> bool {
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
        let log = Arc::new(duplex_hub::log::memory::Memory::new(
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

    fn set(welcome: &Welcome) -> Vec<&str> {
        welcome.cookies.iter().map(|cookie| cookie.to_str().unwrap()).collect()
    }

    #[test]
    fn a_new_visitor_gets_a_secret_that_no_script_reads() {
        let plain = welcome(&HeaderMap::new(), &settings(None), HTTP);
        let rest = "Max-Age=34560000; Path=/; SameSite=Lax; HttpOnly";
        assert_eq!(set(&plain)[0], format!("visitor={}; {rest}", plain.secret));
        let proxied = welcome(&HeaderMap::new(), &settings(None), HTTPS);
        assert_eq!(set(&proxied)[0], format!("visitor={}; {rest}; Secure", proxied.secret));
        let public = welcome(&HeaderMap::new(), &settings(Some("https://duplex.example")), HTTPS);
        assert_eq!(
            set(&public)[0],
            format!("__Host-visitor={}; {rest}; Secure", public.secret)
        );
        let id = id_of(&Key::random(), &plain.secret);
        assert!(!plain.secret.contains(&id.0) && plain.secret.starts_with(FORM));
        for kept in ["visitor=", "visitor=1", "visitor=ZZ", "visitor=v2.AAAA"] {
            let welcome = welcome(&cookies(kept), &settings(None), HTTP);
            let set = set(&welcome);
            assert!(set.len() == 2 && set[1].starts_with("arrival="), "{kept}: {set:?}");
        }
        for kept in [MINE, &new_secret()] {
            let kept = cookies(&format!("visitor={kept}"));
            assert_eq!(set(&welcome(&kept, &settings(None), HTTP)), [""; 0]);
        }
    }

    #[test]
    fn an_old_cookie_is_issued_anew_once() {
        let settings = settings(Some("https://duplex.example"));
        let old = cookies(&format!("visitor={MINE}"));
        assert_eq!(Identity::read(&old, &settings), Identity::Old(MINE));
        let rest = "Path=/; SameSite=Lax; HttpOnly; Secure";
        assert_eq!(
            set(&welcome(&old, &settings, HTTPS)),
            [
                format!("__Host-visitor={MINE}; Max-Age=34560000; {rest}"),
                format!("visitor=; Max-Age=0; {rest}")
            ]
        );
        let replaced = cookies(&format!("visitor={EVIL}; __Host-visitor={MINE}; visitor=1"));
        assert_eq!(Identity::read(&replaced, &settings), Identity::Known(MINE));
        assert_eq!(set(&welcome(&replaced, &settings, HTTPS)), [""; 0]);
        let broken = cookies(&format!("visitor={EVIL}; __Host-visitor=x"));
        assert_eq!(Identity::read(&broken, &settings), Identity::Nobody);
    }

    #[test]
    fn two_values_that_differ_are_no_identity_and_set_no_cookie() {
        for (public_url, pair) in [
            (None, ["visitor", "visitor"]),
            (Some("https://duplex.example"), ["visitor", "visitor"]),
            (Some("https://duplex.example"), ["__Host-visitor", "__Host-visitor"]),
        ] {
            let settings = settings(public_url);
            let both = cookies(&format!("{}={EVIL}; {}={MINE}", pair[0], pair[1]));
            assert_eq!(Identity::read(&both, &settings), Identity::Unclear);
            let [one, other] = [(); 2].map(|()| welcome(&both, &settings, HTTPS));
            assert_eq!(set(&one), [""; 0]);
            assert_ne!(one.secret, other.secret, "nobody shares an identity");
            let same = cookies(&format!("{}={MINE}; {}={MINE}", pair[0], pair[1]));
            assert_ne!(Identity::read(&same, &settings), Identity::Unclear);
        }
    }

    #[test]
    fn a_name_is_kept_as_it_is() {
        let cookie = name_cookie("김 a;b").unwrap();
        let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
        let kept = cookies(pair);
        assert_eq!(cookie_value(&kept, NAME_COOKIE).map(percent_decoded).unwrap(), "김 a;b");
    }

    #[test]
    fn a_secret_of_the_first_form_keeps_its_id_whatever_the_key() {
        let headers = cookies(&format!("visitor={MINE}"));
        for state in [state(), state()] {
            assert_eq!(
                person(&state, &Grant::default(), &headers, FallbackIdentity::New).id.0,
                "c79647774a412a13"
            );
        }
    }

    #[test]
    fn without_the_key_nobody_comes_to_an_id() {
        let (one, other) = (state(), state());
        let id = |state: &ServerState, otherwise: FallbackIdentity<'_>| {
            person(state, &Grant::default(), &HeaderMap::new(), otherwise).id
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
