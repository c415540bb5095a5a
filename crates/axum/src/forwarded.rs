//! A parser of the headers in which proxies report a request's client: `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded`
//! (RFC 7239). It does not decide which proxies are trusted. Proxies append, so lists are read from the right, and the client's own
//! entries come last.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::limits;

/// One hop as its proxy reports it. The address is `None` if the report has no IP address (`unknown`, `_hidden`, garbage).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    pub address: Option<IpAddr>,
    /// Whether `proto` is `https`; `None` without `proto`.
    pub https: Option<bool>,
}

/// The nearest proxy's report first; at most [`limits::FORWARDED_HOPS`].
pub(crate) fn x_forwarded_for(headers: &HeaderMap) -> Vec<Hop> {
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let entries = entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty());
    entries
        .take(limits::FORWARDED_HOPS)
        .map(|entry| Hop {
            address: str::from_utf8(entry).ok().and_then(node_address),
            https: None,
        })
        .collect()
}

/// The nearest proxy's report first; at most [`limits::FORWARDED_HOPS`]. A line that violates the grammar is one hop without an
/// address: an open quote in the client's part would otherwise hide the entry that its proxy appended.
pub(crate) fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let lines = headers.get_all(header::FORWARDED).iter().rev();
    let hops = lines.flat_map(|line| {
        let mut elements = elements(line.as_bytes()).unwrap_or_else(|| vec![Hop::default()]);
        elements.reverse();
        elements
    });
    hops.take(limits::FORWARDED_HOPS).collect()
}

/// Whether all values of `X-Forwarded-Proto` are `https`; `None` without the header.
pub(crate) fn x_forwarded_proto(headers: &HeaderMap) -> Option<bool> {
    let lines = headers.get_all("x-forwarded-proto").iter();
    let mut schemes = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|scheme| scheme.trim_ascii().eq_ignore_ascii_case(b"https"));
    let first = schemes.next()?;
    Some(first && schemes.all(|https| https))
}

/// Parses an address as proxies write it: bare or with a port, IPv6 with or without brackets.
fn node_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => text
            .parse()
            .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
            .ok()?,
    };
    Some(address.to_canonical())
}

/// The elements of one line, from left to right. `None` if the line violates the grammar of RFC 7239 section 4.
fn elements(line: &[u8]) -> Option<Vec<Hop>> {
    let mut rest = line;
    let mut elements = Vec::new();
    loop {
        let mut pairs = Pairs::default();
        loop {
            rest = rest.trim_ascii_start();
            if !matches!(rest.first(), None | Some(b',' | b';')) {
                rest = pairs.parse(rest)?.trim_ascii_start();
            }
            match rest.split_first() {
                Some((b';', after)) => rest = after,
                Some((b',', _)) | None => break,
                Some(_) => return None,
            }
        }
        elements.extend(pairs.hop());
        match rest.split_first() {
            Some((_, after)) => rest = after,
            None => return Some(elements),
        }
    }
}

/// The parameters of one element.
#[derive(Default)]
struct Pairs {
    is_present: bool,
    node: Option<String>,
    proto: Option<String>,
}

impl Pairs {
    /// Parses `name=value`; returns the rest.
    fn parse<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (name, rest) = token(text)?;
        let rest = rest.strip_prefix(b"=")?;
        let (value, rest) = match rest.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted)?,
            None => token(rest).map(|(value, rest)| (value.to_vec(), rest))?,
        };
        let value = String::from_utf8(value).ok()?;
        self.is_present = true;
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"for" => &mut self.node,
            b"proto" => &mut self.proto,
            _ => return Some(rest),
        };
        // RFC 7239 section 4: a parameter occurs once in an element.
        slot.replace(value).is_none().then_some(rest)
    }

    fn hop(self) -> Option<Hop> {
        self.is_present.then(|| Hop {
            address: self.node.as_deref().and_then(node_address),
            https: self.proto.map(|proto| proto.eq_ignore_ascii_case("https")),
        })
    }
}

/// An RFC 9110 token, and the rest.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    // Many proxies omit the quotes that an address with a colon requires.
    let is_address = |byte: &u8| b":[]".contains(byte);
    let end = text
        .iter()
        .position(|byte| !is_tchar(byte) && !is_address(byte))
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The content of a quoted string, without its opening quote, and the rest after its closing quote.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, text.get(at + 1..)?)),
            b'\\' => value.push(*bytes.next()?.1),
            byte => value.push(*byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        headers
    }

    fn addresses(hops: &[Hop]) -> Vec<String> {
        hops.iter()
            .map(|hop| hop.address.map_or("?".to_owned(), |address| address.to_string()))
            .collect()
    }

    fn x(lines: &[&str]) -> Vec<String> {
        addresses(&x_forwarded_for(&headers("x-forwarded-for", lines)))
    }

    fn f(lines: &[&str]) -> Vec<String> {
        addresses(&forwarded(&headers("forwarded", lines)))
    }

    #[test]
    fn the_last_entry_of_the_last_line_is_the_nearest() {
        assert_eq!(
            x(&["1.1.1.1, 2.2.2.2", "3.3.3.3,4.4.4.4"]),
            ["4.4.4.4", "3.3.3.3", "2.2.2.2", "1.1.1.1"]
        );
        assert_eq!(
            f(&["for=1.1.1.1, for=2.2.2.2", "for=3.3.3.3"]),
            ["3.3.3.3", "2.2.2.2", "1.1.1.1"]
        );
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_parsed() {
        assert_eq!(
            x(&["::ffff:9.9.9.9,[2001:db8::1]:443,[2001:db8::2],2001:db8::3,1.2.3.4:5,1.2.3.4"]),
            [
                "1.2.3.4",
                "1.2.3.4",
                "2001:db8::3",
                "2001:db8::2",
                "2001:db8::1",
                "9.9.9.9"
            ]
        );
        assert_eq!(
            f(&[r#"For="[2001:db8:cafe::17]:4711";by=_x, for="192.0.2.43:47011" ; proto=http,for=[::1]"#]),
            ["::1", "192.0.2.43", "2001:db8:cafe::17"]
        );
    }

    #[test]
    fn an_entry_without_an_address_is_a_hop_without_one() {
        assert_eq!(
            x(&["unknown, _hidden, 1.2.3, fe80::1%eth0, \u{e9}, 1.2.3.4x"]),
            ["?"; 6]
        );
        assert_eq!(x(&[",, ,"]), [""; 0]);
        assert_eq!(f(&["for=unknown, for=_hidden, proto=https"]), ["?"; 3]);
    }

    #[test]
    fn an_open_quote_hides_no_appended_entry() {
        for line in [
            "for=\"1.1.1.1, for=2.2.2.2",
            "for=1.1.1.1;x=\", for=\"[2001:db8::1]:443\"",
            "x=\"\\, for=2.2.2.2",
            "for=1.1.1.1;for=2.2.2.2",
            "for 1.1.1.1",
            "for=",
            "=1.1.1.1",
            "for=1.1.1.1 for=2.2.2.2",
            "for=\u{e9}",
        ] {
            assert_eq!(f(&[line]), ["?"], "{line}");
        }
    }

    #[test]
    fn the_scheme_belongs_to_its_element() {
        let hops = forwarded(&headers(
            "forwarded",
            &["for=1.1.1.1;proto=HTTPS, for=2.2.2.2;proto=http, for=3.3.3.3"],
        ));
        let schemes: Vec<_> = hops.iter().map(|hop| hop.https).collect();
        assert_eq!(schemes, [None, Some(false), Some(true)]);
        for (lines, https) in [
            (&["https"][..], Some(true)),
            (&["HTTPS "], Some(true)),
            (&["http"], Some(false)),
            (&["https, http"], Some(false)),
            (&["https", "http"], Some(false)),
            (&["wss"], Some(false)),
            (&[], None),
        ] {
            assert_eq!(
                x_forwarded_proto(&headers("x-forwarded-proto", lines)),
                https,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_long_list_is_parsed_up_to_the_limit() {
        let long = vec!["1.1.1.1"; 10_000].join(",");
        assert_eq!(x(&[&long]).len(), limits::FORWARDED_HOPS);
        let long = vec!["for=1.1.1.1"; 5_000].join(",");
        assert_eq!(f(&[&long]).len(), limits::FORWARDED_HOPS);
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(b"for=proto1.2,;\"\\[]:_ \xe9".to_vec());
        prop::collection::vec(byte, 0..60)
    }

    proptest! {
        /// The appended address is the nearest hop or the line is malformed for every prefix.
        #[test]
        fn an_appended_entry_is_the_nearest_hop(ahead in line(), address in any::<IpAddr>()) {
            let mut headers = HeaderMap::new();
            let appended = [&ahead, b", ".as_slice(), address.to_string().as_bytes()].concat();
            headers.insert("x-forwarded-for", HeaderValue::from_bytes(&appended).unwrap());
            prop_assert_eq!(x_forwarded_for(&headers)[0].address, Some(address.to_canonical()));

            let quoted = match address {
                IpAddr::V4(address) => format!("for={address}"),
                IpAddr::V6(address) => format!("for=\"[{address}]:80\""),
            };
            let appended = [&ahead, b", ".as_slice(), quoted.as_bytes()].concat();
            headers.insert("forwarded", HeaderValue::from_bytes(&appended).unwrap());
            let nearest = forwarded(&headers)[0].address;
            prop_assert!(nearest == Some(address.to_canonical()) || nearest.is_none());
        }
    }
}
