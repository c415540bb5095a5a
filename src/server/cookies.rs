//! Cookies that hold secrets: their names, their attributes, and how they are read. Knows no secret.
//!
//! Under an https site they have the prefix `__Host-` (RFC 6265bis): a browser takes such a cookie from this very host by https alone,
//! so that neither a sibling host nor a page over http can put another in its place. Over http no cookie is safe from other
//! ports of the same host, nor from the network.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, header};

use super::state::Settings;
use duplex_axum::client_addr::ClientScheme;
use duplex_axum::origin::Scheme;

/// The name of the cookie that is called `base` over http.
pub fn cookie_name(base: &'static str, settings: &Settings) -> Cow<'static, str> {
    if settings.scheme() == Some(Scheme::Https) {
        format!("__Host-{base}").into()
    } else {
        base.into()
    }
}

/// What a request holds under a cookie's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'a> {
    Nothing,
    One(&'a str),
    /// Two values that differ: at least one was not set here, and nothing says which.
    Differing,
}

pub fn held<'a>(headers: &'a HeaderMap, name: &str) -> Held<'a> {
    let mut values = values(headers, name);
    match values.next() {
        None => Held::Nothing,
        Some(first) if values.any(|other| other != first) => Held::Differing,
        // What is no text was not set here.
        Some(first) => Held::One(str::from_utf8(first).unwrap_or_default()),
    }
}

/// In the order of the request. By bytes: another cookie that is no text hides none.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|cookies| cookies.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// A cookie for requests of this site, which no script reads.
#[derive(Debug, Clone, Copy)]
pub struct Cookie<'a> {
    pub name: &'a str,
    pub value: &'a str,
    /// 0 removes it.
    pub max_age: u32,
    /// `Lax` or `Strict`.
    pub same_site: &'static str,
}

impl Cookie<'_> {
    /// For an answer to a client that came by `scheme`: a secret that came by https never goes out in the clear.
    pub fn header(self, ClientScheme(scheme): ClientScheme) -> Option<HeaderValue> {
        let Self {
            name,
            value,
            max_age,
            same_site,
        } = self;
        let secure = if scheme == Scheme::Https { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Max-Age={max_age}; Path=/; SameSite={same_site}; HttpOnly{secure}");
        HeaderValue::from_str(&cookie).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&[u8]]) -> HeaderMap {
        let line = |line: &&[u8]| (header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        lines.iter().map(line).collect()
    }

    #[test]
    fn two_values_that_differ_are_none() {
        for (lines, expected) in [
            (&[b"a=1; b=2".as_slice()][..], Held::One("1")),
            (&[b"a=1;a=1", b" a=1 "], Held::One("1")),
            (&[b"a=1; b=2; a=2"], Held::Differing),
            (&[b"a=1", b"a=2"], Held::Differing),
            (&[b"a=1", b"a="], Held::Differing),
            (&[b"aa=1; ba=1; A=1; =a=1"], Held::Nothing),
            (&[b"x=\xff; a=1"], Held::One("1")),
            (&[b"a=\xff"], Held::One("")),
            (&["\u{2003}a=1".as_bytes()], Held::Nothing),
        ] {
            assert_eq!(held(&cookies(lines), "a"), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_prefix_is_of_https_sites() {
        let mut settings = Settings::default();
        assert_eq!(cookie_name("operator", &settings), "operator");
        settings.public_url = Some("http://duplex.example".parse().unwrap());
        assert_eq!(cookie_name("operator", &settings), "operator");
        settings.public_url = Some("https://duplex.example".parse().unwrap());
        assert_eq!(cookie_name("operator", &settings), "__Host-operator");
    }

    #[test]
    fn what_came_by_https_stays_there() {
        let cookie = Cookie {
            name: "__Host-operator",
            value: "p",
            max_age: 1,
            same_site: "Strict",
        };
        let header = |scheme| cookie.header(ClientScheme(scheme)).unwrap();
        assert_eq!(
            header(Scheme::Http),
            "__Host-operator=p; Max-Age=1; Path=/; SameSite=Strict; HttpOnly"
        );
        assert_eq!(
            header(Scheme::Https),
            "__Host-operator=p; Max-Age=1; Path=/; SameSite=Strict; HttpOnly; Secure"
        );
    }
}
