//! A message's text as pieces, so that links can be followed without ever being read as HTML. Pure.

use crate::wire::text::{is_bidi_control, is_invisible};
use crate::wire::web_link::{after_scheme, is_han, is_hangul, is_kana, is_web_url};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Words(&'a str),
    /// An address that [`is_web_url`] takes.
    Link(&'a str),
}

/// Particles that Korean writers put directly behind an address. The first ones are words of their own too, so they are one only
/// where nothing stands between them and the address.
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

/// Top-level names that Korean hosts end with.
const KOREAN_TOP: [&str; 4] = ["한국", "삼성", "닷컴", "닷넷"];

/// All of the text, in order.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((start, length)) = next_link(rest, text.len() - rest.len(), text) {
        let (words, after) = rest.split_at(start);
        let (link, after) = after.split_at(length);
        if !words.is_empty() {
            pieces.push(Piece::Words(words));
        }
        pieces.push(Piece::Link(link));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Words(rest));
    }
    pieces
}

/// Where in `rest` the next link begins, and its bytes; `rest` begins at that byte of `text`.
fn next_link(rest: &str, offset: usize, text: &str) -> Option<(usize, usize)> {
    let starts = rest.char_indices().filter(|(_, c)| matches!(c, 'h' | 'H'));
    starts
        .map(|(at, _)| at)
        .find_map(|at| Some((at, link(text, offset + at)?)))
}

fn link(text: &str, at: usize) -> Option<usize> {
    // `xhttp://` is no link, nor is the end of `x@http://`.
    let before = text[..at].chars().next_back();
    if before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '@' | '+')) {
        return None;
    }
    let from = &text[at..];
    let rest = after_scheme(from)?;
    let host = host_end(rest);
    let end = host + path_end(&rest[host..]);
    let address = &from[..from.len() - rest.len() + end];
    let kept = without_particle(without_punctuation(address), from.len() - rest.len() + host);
    (is_web_url(kept) && has_dot(kept)).then_some(kept.len())
}

/// A word alone after the slashes is seldom meant for a host; this computer's is.
fn has_dot(address: &str) -> bool {
    let host = after_scheme(address).unwrap_or_default();
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.contains('.') || host.starts_with('[') || host.eq_ignore_ascii_case("localhost")
}

/// Where the host and its port end: at the path, or where a sentence goes on in another script than the name's.
fn host_end(rest: &str) -> usize {
    let mut before = None;
    for (at, c) in rest.char_indices() {
        let goes_on = match (before, is_east_asian(c)) {
            (_, false) => !ends(c) && !matches!(c, '/' | '?' | '#'),
            (None, true) => true,
            (Some('.'), true) => is_label_here(&rest[..at], &rest[at..]),
            (Some(before), true) => is_east_asian(before) && !after_top(&rest[..at]),
        };
        if !goes_on {
            return at;
        }
        before = Some(c);
    }
    rest.len()
}

/// Behind a dot: part of the name if another part follows, if the name was of such letters, or if it is a Korean name's end.
fn is_label_here(before: &str, from: &str) -> bool {
    let run = from.find(|c| !is_east_asian(c)).unwrap_or(from.len());
    let (label, after) = from.split_at(run);
    let mut after = after.chars();
    let another = after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_alphanumeric());
    another || before.contains(is_east_asian) || KOREAN_TOP.iter().any(|top| label.starts_with(top))
}

fn after_top(before: &str) -> bool {
    let label = before.rsplit('.').next().unwrap_or_default();
    label.len() < before.len() && KOREAN_TOP.contains(&label)
}

/// Where path, query and fragment end.
fn path_end(rest: &str) -> usize {
    let mut before = None;
    for (at, c) in rest.char_indices() {
        // Behind an ASCII word or the end of a sentence, other letters are the next word; behind a slash they are a path's.
        let next_word = |before: char| before.is_ascii_alphanumeric() || ")].,:;!?".contains(before);
        if (is_east_asian(c) && before.is_none_or(next_word)) || ends(c) {
            return at;
        }
        before = Some(c);
    }
    rest.len()
}

/// Never part of an address. Letters of any script are, and the marks upon them.
fn ends(c: char) -> bool {
    if c.is_ascii() {
        return c.is_whitespace() || c.is_control() || "<>\"'`|\\^{}".contains(c);
    }
    let wide = matches!(c, '\u{3000}'..='\u{3004}' | '\u{3006}'..='\u{303f}' | '\u{30fb}' | '\u{318d}' | '\u{ff00}'..='\u{ffef}');
    let sign = matches!(c, '\u{a0}'..='\u{bf}' | '\u{2000}'..='\u{206f}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
    wide || sign || c.is_whitespace() || c.is_control() || is_bidi_control(c) || is_invisible(c)
}

fn is_east_asian(c: char) -> bool {
    is_hangul(c) || is_han(c) || is_kana(c) || matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318c}')
}

/// What stands after a link in a sentence is not part of it; a bracket is, if it was opened in it.
fn without_punctuation(link: &str) -> &str {
    let mut kept = link;
    while let Some(last) = kept.chars().next_back() {
        let unopened = |open: char| kept.matches(last).count() > kept.matches(open).count();
        let outside = match last {
            ')' => unopened('('),
            ']' => unopened('['),
            _ => ".,!?;:*~".contains(last),
        };
        if !outside {
            break;
        }
        kept = &kept[..kept.len() - last.len_utf8()];
    }
    kept
}

/// Without the Korean particle at its end. `host`: where its path begins.
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

    use super::Piece::{Link, Words};
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
            let mut expected = vec![Words(before), Link(link), Words(after)];
            expected.retain(|piece| *piece != Words(""));
            if after == "/" {
                // A slash belongs to the address.
                assert_eq!(pieces(&text), [Link(&text)]);
            } else {
                assert_eq!(pieces(&text), expected, "{text}");
            }
        }
        assert_eq!(
            pieces("https://a.kr, https://b.kr"),
            [Link("https://a.kr"), Words(", "), Link("https://b.kr")]
        );
    }

    #[test]
    fn nothing_else_is_a_link() {
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
            assert_eq!(pieces(text), [Words(text)], "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_character_is_lost_and_each_link_is_an_address(text in "(https?://|HTTP://|[a-c가 .()<@:/\\\\에서。\u{430}\u{200d}]|한국){0,16}") {
            let all: String = pieces(&text).into_iter().map(|piece| match piece { Words(text) | Link(text) => text }).collect();
            prop_assert_eq!(&all, &text);
            for piece in pieces(&text) {
                if let Link(link) = piece {
                    prop_assert!(is_web_url(link), "{}", link);
                }
            }
        }
    }
}
