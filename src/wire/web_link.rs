//! Validation of user-provided links: accepts a URL only if its visible host is unambiguously its actual host.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{is_bidi_control, is_invisible};

/// Maximum label and host name in bytes (RFC 1035).
const MAX_LABEL: usize = 63;
const MAX_HOST: usize = 253;

/// Whether this is an `http` or `https` URL with an unambiguous host: no user info, no escapes, no IP address in an unusual form, and
/// no mix of scripts with confusable letters.
pub fn is_web_url(address: &str) -> bool {
    let Some(rest) = after_scheme(address) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    has_no_hidden_chars(address) && is_authority(authority)
}

/// The rest of a URL after `http://` or `https://`, in any letter case.
pub fn after_scheme(address: &str) -> Option<&str> {
    ["https://", "http://"].into_iter().find_map(|scheme| {
        let (head, rest) = address.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// Whether this is a path of this site.
pub fn is_local_path(link: &str) -> bool {
    let path = path(link);
    // Browsers remove dot segments, and the rest may begin with two slashes.
    let is_dot = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    path.starts_with('/') && !path.starts_with("//") && has_no_hidden_chars(link) && !path.split('/').any(is_dot)
}

/// Whether this is a path of this site that the router in the page can navigate to. The router decodes paths, so paths that would
/// decode to another host's URL are left to the browser.
pub fn is_page_path(link: &str) -> bool {
    let path = path(link);
    let is_canonical = path == "/" || !path.ends_with('/') && !path.contains("//");
    is_local_path(link)
        && is_canonical
        && !path.contains('%')
        && !path.starts_with("/api/")
        && !path.starts_with("/pkg/")
}

fn path(link: &str) -> &str {
    link.split(['?', '#']).next().unwrap_or_default()
}

/// Whether it contains no hidden characters, and none that browsers treat as a slash or strip.
fn has_no_hidden_chars(link: &str) -> bool {
    let hidden = |c: char| c.is_control() || c.is_whitespace() || is_bidi_control(c) || is_invisible(c);
    !link.chars().any(|c| c == '\\' || hidden(c))
}

fn is_authority(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().is_ok() && is_port;
    }
    match authority.split_once(':') {
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_host(authority),
    }
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_number = hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.to_string() == host);
    }
    host.len() <= MAX_HOST && host.split('.').all(is_label)
}

/// A label of one script: ASCII letters, Hangul, or Han and kana; with digits and hyphens.
fn is_label(label: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit() || matches!(c, '-' | '_');
    let all_in = |letters: fn(char) -> bool| label.chars().all(|c| digit(c) || letters(c));
    let hyphen_at_edge = label.starts_with('-') || label.ends_with('-');
    // An isolated prolonged sound mark looks like a hyphen.
    let long_mark = label.starts_with('ー') || label.contains("-ー");
    let is_one_script = all_in(|c| c.is_ascii_alphabetic()) || all_in(is_hangul) || all_in(|c| is_han(c) || is_kana(c));
    (1..=MAX_LABEL).contains(&label.len()) && !hyphen_at_edge && !long_mark && is_one_script
}

pub const fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}')
}

pub const fn is_han(c: char) -> bool {
    matches!(c, '々' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

pub const fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | 'ー')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_with_an_ambiguous_host_are_rejected() {
        for right in [
            "https://example.com",
            "HTTPS://Example.COM/A?b=c#d",
            "http://a",
            "http://a:3000/x@y",
            "https://example.com/가",
            "http://127.0.0.1:8080",
            "HTTP://[::1]:3000",
            "http://가.kr",
            "https://예시.한국/x",
            "https://日本語.jp",
            "https://xn--9d0b.kr",
            "https://a.kr?@b.kr",
            "https://a_b.example",
        ] {
            assert!(is_web_url(right), "{right}");
        }
        for wrong in [
            "",
            "https://",
            "https:///x",
            "http:/x",
            "ftp://a.kr",
            "javascript:alert(1)",
            "https://good.com@evil.com",
            "https://good.com:80@evil.com/",
            "https://good.com\\@evil.com",
            "https://good.com%2F@evil.com",
            "https://good%2ecom",
            "https://good.com。evil",
            "https://ｇood.com",
            "https://аpple.com",
            "https://paypaӏ.com",
            "https://goog\u{200d}le.com",
            "https://goo\u{ad}gle.com",
            "https://good.com/\u{202e}moc",
            "https://good.com /x",
            "https://good.com\t.evil.com",
            "https://good.comノevil.jp",
            "https://ー.jp",
            "https://a..b",
            "https://.a",
            "https://a.",
            "https://-a.kr",
            "https://a.kr:99999",
            "https://a.kr:",
            "https://a.kr:8x",
            "http://2130706433",
            "http://0x7f.1",
            "http://127.1",
            "http://0177.0.0.1",
            "http://1.2.3.4.5",
            "http://[::1",
            "http://[::1]x",
            "http://[::1%25eth0]",
            "https://ﬀ.com",
            "https://ß.de",
        ] {
            assert!(!is_web_url(wrong), "{wrong}");
        }
    }

    #[test]
    fn local_paths_and_router_paths_are_recognized() {
        for (link, here, page) in [
            ("/", true, true),
            ("/chat/a?b=c//d#e", true, true),
            ("/market/krw-btc", true, true),
            ("/chat/가", true, true),
            ("/nowhere", true, true),
            ("/chat/", true, false),
            ("/chat//a", true, false),
            ("/api/vitals", true, false),
            ("/%5Cevil.example", true, false),
            ("/%09/evil.example", true, false),
            ("/%2Fevil.example", true, false),
            ("/chat/%FF", true, false),
            ("//evil.example", false, false),
            ("/\\evil.example", false, false),
            ("/./", false, false),
            ("/.//evil.example", false, false),
            ("/a/..//evil.example", false, false),
            ("/%2e%2E//evil.example", false, false),
            ("/.%2e//evil.example", false, false),
            ("/\t/evil.example", false, false),
            ("/\u{202e}x", false, false),
            ("chat", false, false),
            ("", false, false),
            ("?x", false, false),
        ] {
            assert_eq!((is_local_path(link), is_page_path(link)), (here, page), "{link}");
        }
    }

    proptest! {
        /// An accepted URL has exactly one host of allowed letters, and optionally a port.
        #[test]
        fn accepted_urls_have_one_host(rest in "([a-z]|[.]|@|:|/|%2e|\\\\|[0-9]|가|。|\u{430}|\u{200d}|\\[|\\]|#|[?]){0,12}") {
            let address = format!("https://{rest}");
            if is_web_url(&address) {
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                prop_assert!(!authority.is_empty());
                let hidden = authority.contains(['@', '%', '\\', '。', '\u{430}', '\u{200d}']);
                prop_assert!(!hidden, "{}", authority);
                prop_assert!(authority.matches(':').count() <= 1 || authority.starts_with('['));
            }
        }
    }
}
