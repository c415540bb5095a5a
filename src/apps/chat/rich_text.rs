//! Splits a message's text into plain text and links, which are rendered as elements: the text is never parsed as HTML. Pure.

use crate::wire::text::{is_bidi_control, is_invisible};
use crate::wire::web_link::{after_scheme, is_han, is_hangul, is_kana, is_web_url};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    Text(&'a str),
    /// An address that [`is_web_url`] accepts.
    Link(&'a str),
}

/// Korean particles written directly after a URL. The one-syllable ones are also common endings, so they are stripped only if
/// they are the whole Hangul run.
const SHORT_PARTICLES: [&str; 17] = [
    "은", "는", "이", "가", "을", "를", "에", "로", "와", "과", "도", "의", "만", "랑", "께", "나", "요",
];
const PARTICLES: [&str; 16] = [
    "에서는",
    "에서도",
    "에서",
    "으로는",
    "으로",
    "로는",
    "까지",
    "부터",
    "에는",
    "에도",
    "에게",
    "한테",
    "이랑",
    "처럼",
    "입니다",
    "이에요",
];

/// Korean top-level domains.
const KOREAN_TLDS: [&str; 4] = ["한국", "삼성", "닷컴", "닷넷"];

/// Splits the text into segments; together they are the whole text.
pub fn segments(text: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some((start, length)) = next_link(rest, text.len() - rest.len(), text) {
        let (plain, after) = rest.split_at(start);
        let (link, after) = after.split_at(length);
        if !plain.is_empty() {
            segments.push(Segment::Text(plain));
        }
        segments.push(Segment::Link(link));
        rest = after;
    }
    if !rest.is_empty() {
        segments.push(Segment::Text(rest));
    }
    segments
}

/// The start of the next link in `rest`, and its length in bytes; `rest` begins at byte `offset` of `text`.
fn next_link(rest: &str, offset: usize, text: &str) -> Option<(usize, usize)> {
    let starts = rest.char_indices().filter(|(_, c)| matches!(c, 'h' | 'H'));
    starts
        .map(|(at, _)| at)
        .find_map(|at| Some((at, link_length(text, offset + at)?)))
}

fn link_length(text: &str, at: usize) -> Option<usize> {
    // Neither `xhttp://` nor `x@http://` contains a link.
    let previous = text[..at].chars().next_back();
    if previous.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '@' | '+')) {
        return None;
    }
    let from = &text[at..];
    let rest = after_scheme(from)?;
    let host = host_end(rest);
    let end = host + path_end(&rest[host..]);
    let address = &from[..from.len() - rest.len() + end];
    let kept = without_particle(without_punctuation(address), from.len() - rest.len() + host);
    (is_web_url(kept) && looks_like_host(kept)).then_some(kept.len())
}

/// Whether the host has a dot, is an IPv6 address or `localhost`: other dotless names are rarely meant as hosts.
fn looks_like_host(address: &str) -> bool {
    let host = after_scheme(address).unwrap_or_default();
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.contains('.') || host.starts_with('[') || host.eq_ignore_ascii_case("localhost")
}

/// The end of the host and port: the start of the path, or the first character of another script, where the sentence continues.
fn host_end(rest: &str) -> usize {
    let mut previous = None;
    for (at, c) in rest.char_indices() {
        let is_part = match (previous, is_east_asian(c)) {
            (_, false) => !is_delimiter(c) && !matches!(c, '/' | '?' | '#'),
            (None, true) => true,
            (Some('.'), true) => is_host_label(&rest[..at], &rest[at..]),
            (Some(previous), true) => is_east_asian(previous) && !is_after_korean_tld(&rest[..at]),
        };
        if !is_part {
            return at;
        }
        previous = Some(c);
    }
    rest.len()
}

/// Whether East Asian letters after a dot are a label of the host: if another label follows, if the host has such letters before
/// the dot, or if they are a Korean top-level domain.
fn is_host_label(before: &str, from: &str) -> bool {
    let run = from.find(|c| !is_east_asian(c)).unwrap_or(from.len());
    let (label, after) = from.split_at(run);
    let mut after = after.chars();
    let has_next_label = after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_alphanumeric());
    has_next_label || before.contains(is_east_asian) || KOREAN_TLDS.iter().any(|top| label.starts_with(top))
}

fn is_after_korean_tld(before: &str) -> bool {
    let label = before.rsplit('.').next().unwrap_or_default();
    label.len() < before.len() && KOREAN_TLDS.contains(&label)
}

/// The end of path, query and fragment.
fn path_end(rest: &str) -> usize {
    let mut previous = None;
    for (at, c) in rest.char_indices() {
        // After an ASCII word or the end of a sentence, East Asian letters are the next word; after a slash they belong to the path.
        let next_word = |previous: char| previous.is_ascii_alphanumeric() || ")].,:;!?".contains(previous);
        if (is_east_asian(c) && previous.is_none_or(next_word)) || is_delimiter(c) {
            return at;
        }
        previous = Some(c);
    }
    rest.len()
}

/// Whether the character never belongs to an address. Letters of any script and their combining marks do.
fn is_delimiter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_whitespace() || c.is_control() || "<>\"'`|\\^{}".contains(c);
    }
    let fullwidth_punctuation = matches!(c, '\u{3000}'..='\u{3004}' | '\u{3006}'..='\u{303f}' | '\u{30fb}' | '\u{318d}' | '\u{ff00}'..='\u{ffef}');
    let symbol = matches!(c, '\u{a0}'..='\u{bf}' | '\u{2000}'..='\u{206f}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
    fullwidth_punctuation || symbol || c.is_whitespace() || c.is_control() || is_bidi_control(c) || is_invisible(c)
}

fn is_east_asian(c: char) -> bool {
    is_hangul(c) || is_han(c) || is_kana(c) || matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318c}')
}

/// Strips the punctuation after a link; keeps a closing bracket that was opened in the link.
fn without_punctuation(link: &str) -> &str {
    let mut kept = link;
    while let Some(last) = kept.chars().next_back() {
        let is_unbalanced = |open: char| kept.matches(last).count() > kept.matches(open).count();
        let is_trailing = match last {
            ')' => is_unbalanced('('),
            ']' => is_unbalanced('['),
            _ => ".,!?;:*~".contains(last),
        };
        if !is_trailing {
            break;
        }
        kept = &kept[..kept.len() - last.len_utf8()];
    }
    kept
}

/// Strips the Korean particle at the end; `host` is the offset of the path.
fn without_particle(link: &str, host: usize) -> &str {
    let Some(path) = link.get(host..) else { return link };
    let run = path.len() - path.trim_end_matches(is_hangul).len();
    let word = &path[path.len() - run..];
    let short = SHORT_PARTICLES.contains(&word).then_some(word);
    let particle = short.or_else(|| PARTICLES.into_iter().find(|particle| word.ends_with(particle)));
    match particle {
        Some(particle) => without_punctuation(&link[..link.len() - particle.len()]),
        None => link,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Segment::{Link, Text};
    use super::*;

    #[test]
    fn links_end_where_a_reader_would_end_them() {
        for (before, link, after) in [
            ("보기: ", "https://a.kr/x?y=1#z", "."),
            ("(", "https://a.kr/x?y=1#z", ")!"),
            ("", "http://a.kr/(x)", ""),
            ("", "http://가.kr", " 와"),
            ("여기", "https://a.kr", "에서 봤어요"),
            ("", "https://a.kr/x", "는 어때?"),
            ("", "https://a.kr/page", "참고하세요"),
            ("", "https://a.kr/", "에서"),
            ("", "https://ko.wikipedia.org/wiki/대한민국", "에서 읽음"),
            ("", "https://ko.wikipedia.org/wiki/고양이", ""),
            ("", "https://a.kr/?q=서울", " 검색"),
            ("", "https://예시.한국", "에서"),
            ("", "https://example.한국", "으로"),
            ("", "https://www.가.kr", "를"),
            ("", "https://a.kr", ".그리고"),
            ("", "https://a.kr/x", "ㅋㅋㅋ"),
            ("", "https://a.jp/x", "を見て"),
            ("", "https://a.jp/x", "。次"),
            ("「", "https://a.jp", "」、"),
            ("『", "https://a.jp/x", "』"),
            ("（", "https://a.jp/x", "）"),
            ("《", "https://a.kr/x", "》"),
            ("“", "https://a.kr/x", "”라고"),
            ("'", "https://a.kr/x", "'"),
            ("", "https://a.kr/x", "…"),
            ("", "https://a.kr/x", "！？"),
            ("", "https://a.kr/x", "?!,;:"),
            ("**", "https://a.kr/x", "**"),
            ("", "https://a.kr", "·"),
            ("", "https://a.kr/x", "😀"),
            ("", "https://fr.wikipedia.org/wiki/Québec", " !"),
            ("", "https://hi.wikipedia.org/wiki/हिन्दी", ""),
            ("", "HTTPS://A.KR/X", " 크게"),
            ("", "hTTp://localhost:3000/x", ""),
            ("", "http://127.0.0.1:3000", "/"),
            ("", "https://good.com", "。evil"),
            ("", "https://good.com", "\\@evil.com"),
            ("", "https://good.com", "．evil.com"),
        ] {
            let text = [before, link, after].concat();
            let mut expected = vec![Text(before), Link(link), Text(after)];
            expected.retain(|segment| *segment != Text(""));
            if after == "/" {
                // A slash is part of the address.
                assert_eq!(segments(&text), [Link(&text)]);
            } else {
                assert_eq!(segments(&text), expected, "{text}");
            }
        }
        assert_eq!(
            segments("https://a.kr, https://b.kr"),
            [Link("https://a.kr"), Text(", "), Link("https://b.kr")]
        );
    }

    #[test]
    fn other_texts_are_not_links() {
        for text in [
            "javascript:alert(1)",
            "https://",
            "https://.",
            "http://<b>",
            "xhttps://a.kr",
            "ftp://a.kr",
            "httpshttp:/",
            "https://good.com@evil.com",
            "https://good.com:80@evil.com/x",
            "https://good.com%2f@evil.com",
            "https://goog\u{200d}le。com",
            "https://аpple.com",
            "https://good。com",
            "http://2130706433/",
            "http://0x7f.1",
            "https://word",
        ] {
            assert_eq!(segments(text), [Text(text)], "{text}");
        }
    }

    proptest! {
        #[test]
        fn segments_are_the_whole_text_and_links_are_valid(text in "(https?://|HTTP://|[a-c가 .()<@:/\\\\에서。\u{430}\u{200d}]|한국){0,16}") {
            let all: String = segments(&text).into_iter().map(|segment| match segment { Text(text) | Link(text) => text }).collect();
            prop_assert_eq!(&all, &text);
            for segment in segments(&text) {
                if let Link(link) = segment {
                    prop_assert!(is_web_url(link), "{}", link);
                }
            }
        }
    }
}
