//! A message's text as pieces, so that links can be followed without ever being read as HTML. Pure.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Words(&'a str),
    /// Begins with `http://` or `https://`.
    Link(&'a str),
}

/// All of the text, in order.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((start, length)) = next_link(rest) {
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

/// Where the first link begins, and its bytes.
fn next_link(text: &str) -> Option<(usize, usize)> {
    let starts = text.match_indices("http").map(|(at, _)| at);
    starts.filter_map(|at| Some((at, link(text, at)?))).next()
}

fn link(text: &str, at: usize) -> Option<usize> {
    // `xhttp://` is no link.
    if text[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let from = &text[at..];
    let host = from.strip_prefix("https://").or_else(|| from.strip_prefix("http://"))?;
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"'`|\\^{}「」『』（）".contains(c);
    let end = from.find(ends).unwrap_or(from.len());
    let kept = without_punctuation(&from[..end]);
    let begins_well = host.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '[');
    (begins_well && kept.len() > from.len() - host.len()).then_some(kept.len())
}

/// What stands after a link in a sentence is not part of it; a bracket is, if it was opened in it.
fn without_punctuation(link: &str) -> &str {
    let mut kept = link;
    while let Some(last) = kept.chars().next_back() {
        let unopened = |open: char| kept.matches(last).count() > kept.matches(open).count();
        let outside = match last {
            ')' => unopened('('),
            ']' => unopened('['),
            _ => ".,!?;:…。，！？".contains(last),
        };
        if !outside {
            break;
        }
        kept = &kept[..kept.len() - last.len_utf8()];
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Piece::{Link, Words};
    use super::*;

    #[test]
    fn links_end_where_a_reader_would_end_them() {
        let link = Link("https://a.kr/x?y=1#z");
        assert_eq!(
            pieces("보기: https://a.kr/x?y=1#z."),
            [Words("보기: "), link, Words(".")]
        );
        assert_eq!(pieces("(https://a.kr/x?y=1#z)!"), [Words("("), link, Words(")!")]);
        assert_eq!(pieces("http://a.kr/(x)"), [Link("http://a.kr/(x)")]);
        assert_eq!(pieces("http://가.kr 와"), [Link("http://가.kr"), Words(" 와")]);
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
        ] {
            assert_eq!(pieces(text), [Words(text)], "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_character_is_lost(text in "(https?://|[a-c가 .()<]){0,12}") {
            let all: String = pieces(&text).into_iter().map(|piece| match piece { Words(text) | Link(text) => text }).collect();
            prop_assert_eq!(all, text);
        }
    }
}
