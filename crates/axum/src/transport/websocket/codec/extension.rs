//! The negotiation of permessage-deflate (RFC 7692 section 7.1).

use std::ops::RangeInclusive;

use axum::http::{HeaderMap, header};

const NAME: &str = "permessage-deflate";
const WINDOW_BITS: RangeInclusive<u8> = 8..=15;

/// The agreed parameters. The client never takes over its context, so that the server holds no window of it. The server does, if the
/// client permits it, but only as far as many clients have the same context: the previous frame of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeflateParams {
    /// The base-2 logarithm of the window that the server may refer back to: 8 to 15. The client's window needs no agreement, since
    /// the decoder's is the largest.
    pub(crate) server_max_window_bits: u8,
    /// Whether the server must compress each message by itself.
    pub(crate) server_no_context_takeover: bool,
    /// Whether the client asked for a window, so that the response must name it.
    pub(super) names_window: bool,
}

impl DeflateParams {
    /// Whether every message may be compressed without regard to the window.
    pub(crate) const fn has_largest_window(self) -> bool {
        self.server_max_window_bits == *WINDOW_BITS.end()
    }

    /// Whether a message may refer to the one before.
    pub(crate) const fn takes_over_context(self) -> bool {
        self.has_largest_window() && !self.server_no_context_takeover
    }

    /// The value of the response's `Sec-WebSocket-Extensions`.
    pub(crate) fn response(self) -> String {
        let mut response = NAME.to_owned();
        if self.server_no_context_takeover {
            response += "; server_no_context_takeover";
        }
        response += "; client_no_context_takeover";
        if self.names_window {
            response += &format!("; server_max_window_bits={}", self.server_max_window_bits);
        }
        response
    }
}

/// The first acceptable offer of permessage-deflate in the request's `Sec-WebSocket-Extensions`. Malformed headers are declined as a
/// whole.
pub(crate) fn negotiate(headers: &HeaderMap) -> Option<DeflateParams> {
    let mut accepted = None;
    for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        for offer in parse_offers(value.to_str().ok()?)? {
            accepted = accepted.or_else(|| accept(&offer));
        }
    }
    accepted
}

/// An extension's name, and its parameters with their values.
#[derive(Debug, PartialEq, Eq)]
struct Offer<'a> {
    name: &'a str,
    params: Vec<(&'a str, Option<String>)>,
}

/// The parameters, if the offer is of permessage-deflate and all of them are known, valid and given once (RFC 7692 section 7.1).
fn accept(offer: &Offer<'_>) -> Option<DeflateParams> {
    if offer.name != NAME {
        return None;
    }
    let mut server_max_window_bits = None;
    let mut server_no_context_takeover = false;
    for (index, (name, value)) in offer.params.iter().enumerate() {
        if offer.params.iter().take(index).any(|(earlier, _)| earlier == name) {
            return None;
        }
        match (*name, value) {
            ("server_no_context_takeover", None) => server_no_context_takeover = true,
            ("client_no_context_takeover" | "client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) => {
                window_bits(bits)?;
            }
            ("server_max_window_bits", Some(bits)) => server_max_window_bits = Some(window_bits(bits)?),
            _ => return None,
        }
    }
    Some(DeflateParams {
        server_max_window_bits: server_max_window_bits.unwrap_or(*WINDOW_BITS.end()),
        server_no_context_takeover,
        names_window: server_max_window_bits.is_some(),
    })
}

/// A decimal number from 8 to 15 without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    WINDOW_BITS.into_iter().find(|bits| bits.to_string() == value)
}

/// Parses the list of RFC 6455 section 9.1, or returns `None` if it is malformed.
fn parse_offers(value: &str) -> Option<Vec<Offer<'_>>> {
    let mut rest = Scanner(value);
    let mut offers = Vec::new();
    loop {
        // Lists may have empty elements.
        while rest.skip(',') {}
        if rest.is_at_end() {
            return Some(offers);
        }
        let name = rest.token()?;
        let mut params = Vec::new();
        while rest.skip(';') {
            let param = rest.token()?;
            let value = if rest.skip('=') { Some(rest.value()?) } else { None };
            params.push((param, value));
        }
        offers.push(Offer { name, params });
        if !rest.is_at_end() && !rest.skip(',') {
            return None;
        }
    }
}

/// The unread rest of a header.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn skip_spaces(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.0.is_empty()
    }

    /// Skips the separator if it is next.
    fn skip(&mut self, separator: char) -> bool {
        self.skip_spaces();
        let rest = self.0.strip_prefix(separator);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> Option<&'a str> {
        self.skip_spaces();
        let length = self.0.find(|char| !is_token_char(char)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token, or a quoted string that contains one.
    fn value(&mut self) -> Option<String> {
        if !self.skip('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            let char = match chars.next()? {
                '"' => break,
                '\\' => chars.next()?,
                char => char,
            };
            if !is_token_char(char) {
                return None;
            }
            value.push(char);
        }
        self.0 = chars.as_str();
        (!value.is_empty()).then_some(value)
    }
}

/// RFC 7230 section 3.2.6.
fn is_token_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char)
}
