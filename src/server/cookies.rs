//! Cookies that hold secrets: their names, attributes and parsing.
//!
//! On an https site their names have the prefix `__Host-` (RFC 6265bis): a browser accepts such a cookie only from this exact host
//! over https, so neither a sibling host nor a page over http can replace it. Over http no cookie is safe from other ports of the
//! same host, nor from the network.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, header};

use super::state::Settings;
use duplex_axum::client_addr::ClientScheme;
use duplex_axum::origin::Scheme;

/// The name of a cookie: `base`, with the prefix `__Host-` on an https site.
pub fn cookie_name(base: &'static str, settings: &Settings) -> Cow<'static, str> {
    if settings.scheme() == Some(Scheme::Https) {
        format!("__Host-{base}").into()
    } else {
        base.into()
    }
}

/// The value of a cookie in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieValue<'a> {
    Missing,
    One(&'a str),
    /// Two different values: at least one was not set by this server, and it is unknown which.
    Conflicting,
}

pub fn unique_value<'a>(headers: &'a HeaderMap, name: &str) -> CookieValue<'a> {
    let mut values = values(headers, name);
    match values.next() {
        None => CookieValue::Missing,
        Some(first) if values.any(|other| other != first) => CookieValue::Conflicting,
        // A value that is not UTF-8 was not set by this server.
        Some(first) => CookieValue::One(str::from_utf8(first).unwrap_or_default()),
    }
}

/// All values of a cookie, in the order of the request. Parsed as bytes, because another cookie may not be UTF-8.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|cookies| cookies.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// An `HttpOnly` cookie for the whole site.
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
    /// The `Set-Cookie` header for a client that uses `scheme`. Over https the cookie is `Secure`.
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
    fn different_values_conflict() {
        for (lines, expected) in [
            (&[b"a=1; b=2".as_slice()][..], CookieValue::One("1")),
            (&[b"a=1;a=1", b" a=1 "], CookieValue::One("1")),
            (&[b"a=1; b=2; a=2"], CookieValue::Conflicting),
            (&[b"a=1", b"a=2"], CookieValue::Conflicting),
            (&[b"a=1", b"a="], CookieValue::Conflicting),
            (&[b"aa=1; ba=1; A=1; =a=1"], CookieValue::Missing),
            (&[b"x=\xff; a=1"], CookieValue::One("1")),
            (&[b"a=\xff"], CookieValue::One("")),
            (&["\u{2003}a=1".as_bytes()], CookieValue::Missing),
        ] {
            assert_eq!(unique_value(&cookies(lines), "a"), expected, "{lines:?}");
        }
    }

    #[test]
    fn https_sites_have_the_prefix() {
        let mut settings = Settings::default();
        assert_eq!(cookie_name("operator", &settings), "operator");
        settings.public_url = Some("http://duplex.example".parse().unwrap());
        assert_eq!(cookie_name("operator", &settings), "operator");
        settings.public_url = Some("https://duplex.example".parse().unwrap());
        assert_eq!(cookie_name("operator", &settings), "__Host-operator");
    }

    #[test]
    fn cookies_over_https_are_secure() {
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
