//! Sanitization of user-provided texts: removal of hidden characters, blank detection, truncation and bidi isolation. Pages and
//! deciders use the same rules; the server also normalizes to NFC (`server::names::sanitize`).

mod unicode;

use std::borrow::Cow;

use self::unicode::is_mark;

/// Combining marks allowed on one base. Tibetan and pointed Hebrew need three; no script needs more.
pub const MARKS: usize = 3;

/// Whether this character changes the direction of the text around it ([UAX #9](https://www.unicode.org/reports/tr9/)).
pub const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether this character is invisible or has no agreed appearance: default-ignorable, filler, format and private-use characters,
/// including those that emoji sequences use.
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{70f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{fff0}'..='\u{fffc}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{13430}'..='\u{1345f}'
            | '\u{16fe4}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}'
    )
}

/// Whether nothing in the text is visible. A combining mark without a base does not count as visible.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| !is_base(c) || is_mark(c))
}

/// Whether this character is visible, or a combining mark.
fn is_base(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || is_bidi_control(c) || is_invisible(c))
}

/// Removes combining marks without a base, and those beyond [`MARKS`] on one base.
fn limit_marks(typed: &str) -> String {
    let mut marks = None;
    let keep = |c: &char| {
        if !is_mark(*c) {
            // Invisible characters such as ZWJ neither start nor end a base.
            if !is_invisible(*c) && !is_bidi_control(*c) {
                marks = is_base(*c).then_some(0);
            }
            return true;
        }
        marks = marks.map(|count| count + 1);
        marks.is_some_and(|count| count <= MARKS)
    };
    typed.chars().filter(keep).collect()
}

const ZWJ: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
const BLACK_FLAG: char = '\u{1f3f4}';
const CANCEL_TAG: char = '\u{e007f}';

/// Whether this character may be an emoji, or begin one.
const fn is_pictograph(c: char) -> bool {
    matches!(
        c,
        '\u{a9}'
            | '\u{ae}'
            | '\u{203c}'
            | '\u{2049}'
            | '\u{2122}'
            | '\u{2139}'
            | '\u{2190}'..='\u{21ff}'
            | '\u{2300}'..='\u{23ff}'
            | '\u{2460}'..='\u{27bf}'
            | '\u{2900}'..='\u{297f}'
            | '\u{2b00}'..='\u{2bff}'
            | '\u{3030}'
            | '\u{303d}'
            | '\u{3297}'
            | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

const fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// Collapses text to one line: trims, collapses whitespace, and removes control, bidi and invisible characters outside emoji.
pub fn single_line(typed: &str) -> String {
    let chars: Vec<char> = limit_marks(typed).chars().collect();
    let mut line = String::with_capacity(typed.len());
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let rest = &chars[at + 1..];
        at += 1;
        if c.is_whitespace() || c.is_control() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !is_bidi_control(c) && !is_invisible(c) || is_emoji_part(&line, c, rest) {
            line.push(c);
            let tags = if c == BLACK_FLAG { subdivision_tags(rest) } else { 0 };
            line.extend(&rest[..tags]);
            at += tags;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Whether an invisible character is part of an emoji, given the text before and after it.
fn is_emoji_part(before: &str, c: char, rest: &[char]) -> bool {
    let last = before.chars().next_back();
    let next = rest.first().copied();
    if is_variation_selector(c) {
        let keycap = |last: char| matches!(last, '0'..='9' | '#' | '*') && next == Some(KEYCAP);
        return last.is_some_and(|last| is_pictograph(last) || keycap(last));
    }
    let base = before.trim_end_matches(is_variation_selector).chars().next_back();
    c == ZWJ && base.is_some_and(is_pictograph) && next.is_some_and(is_pictograph)
}

/// The number of tag characters after a black flag that make it the flag of a subdivision, such as Scotland.
fn subdivision_tags(rest: &[char]) -> usize {
    let is_tag_spec = |c: &&char| matches!(**c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let tags = rest.iter().take_while(is_tag_spec).count();
    if (3..=6).contains(&tags) && rest.get(tags) == Some(&CANCEL_TAG) {
        tags + 1
    } else {
        0
    }
}

/// At most the first `max_chars` characters, without splitting a grapheme cluster.
pub fn truncate(text: &str, max_chars: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(max_chars) else {
        return text.trim_end();
    };
    text[..unicode::floor_grapheme_boundary(text, end)].trim_end_matches(|c: char| c == ZWJ || c.is_whitespace())
}

/// The first grapheme cluster.
pub fn first_grapheme(text: &str) -> &str {
    &text[..unicode::first_grapheme_len(text)]
}

/// Whether this character belongs to a right-to-left script, such as Hebrew or Arabic.
const fn is_right_to_left(c: char) -> bool {
    matches!(
        c,
        '\u{590}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}'
            | '\u{1e800}'..='\u{1efff}'
    )
}

/// Isolates a visitor's text for use within a plain sentence, such as a title or a label, so that it cannot change the direction of
/// the text around it. In markup, an element with `dir="auto"` does the same.
pub fn isolated(text: &str) -> Cow<'_, str> {
    match text.chars().any(is_right_to_left) {
        true => Cow::Owned(format!("\u{2068}{text}\u{2069}")),
        false => Cow::Borrowed(text),
    }
}

/// A text of several lines. Keeps line ends, tabs and the characters that a script's shaping or an emoji needs; removes other control
/// characters and bidi controls.
pub fn multi_line(typed: &str) -> String {
    let is_embedding_control = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let keep = |c: &char| (!c.is_control() || matches!(c, '\n' | '\t')) && !is_embedding_control(*c);
    let text: String = limit_marks(typed).chars().filter(keep).collect();
    if is_blank(&text) {
        return String::new();
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAMILY: &str = "👨\u{200d}👩\u{200d}👧";

    #[test]
    fn hidden_characters_are_removed() {
        for hidden in [
            '\u{0}',
            '\u{7f}',
            '\u{9f}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{f8ff}',
            '\u{10fffd}',
        ] {
            let line = single_line(&format!("a{hidden}b"));
            assert!(["ab", "a b"].contains(&&*line), "{hidden:?}: {line:?}");
            assert_eq!(single_line(&hidden.to_string()), "", "{hidden:?}");
            assert!(is_blank(&format!(" {hidden}\n")));
            assert_eq!(multi_line(&format!("\t{hidden} ")), "");
        }
    }

    #[test]
    fn emoji_sequences_are_kept() {
        for emoji in [
            FAMILY,
            "❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "👩🏽\u{200d}🚀",
        ] {
            assert_eq!(single_line(emoji), emoji);
            assert_eq!(multi_line(emoji), emoji);
        }
        assert_eq!(single_line("🏴\u{e0068}\u{e0069}"), "🏴", "tags that hide a text");
        assert_eq!(single_line("a\u{200d}👩"), "a👩");
    }

    #[test]
    fn grapheme_clusters_are_not_split() {
        for (text, max, left) in [
            ("abc", 2, "ab"),
            ("ab c", 3, "ab"),
            (&*format!("a{FAMILY}"), 4, "a"),
            (&*format!("a{FAMILY}"), 6, &*format!("a{FAMILY}")),
            ("🇰🇷🇫🇷", 3, "🇰🇷"),
            ("🇰🇷🇫🇷", 2, "🇰🇷"),
            ("ae\u{301}", 2, "a"),
            ("👍🏽", 1, ""),
            ("\u{1112}\u{1161}\u{11ab}\u{1100}", 2, ""),
            ("नि", 1, ""),
            ("ก\u{e33}", 1, ""),
            ("1\u{fe0f}\u{20e3}", 2, ""),
        ] {
            assert_eq!(truncate(text, max), left, "{text} {max}");
        }
        for (text, one) in [
            ("한글", "한"),
            ("🇰🇷x", "🇰🇷"),
            (&*format!("{FAMILY}x"), FAMILY),
            ("e\u{301}x", "e\u{301}"),
            ("", ""),
        ] {
            assert_eq!(first_grapheme(text), one);
        }
    }

    #[test]
    fn right_to_left_text_is_isolated() {
        assert_eq!(isolated("Kim (민지) 👩"), "Kim (민지) 👩");
        for name in ["דוד", "أحمد", "Kim א", "\u{1e900}"] {
            assert_eq!(isolated(name), format!("\u{2068}{name}\u{2069}"));
        }
    }

    #[test]
    fn marks_without_a_base_are_blank() {
        for blank in [
            "\u{301}",
            " \u{302}\u{20dd}\n",
            "\u{200b}\u{301}",
            "\u{3164}\u{489}",
            "\u{fe0f}\u{fe0e}",
            "\u{ffff}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
            assert_eq!(
                (single_line(blank), multi_line(blank)),
                (String::new(), String::new()),
                "{blank:?}"
            );
        }
        assert!(!is_blank("e\u{301}"));
        assert_eq!(
            single_line(&format!("q{}", "\u{323}".repeat(20))).chars().count(),
            1 + MARKS
        );
    }

    #[test]
    fn a_message_keeps_its_lines_and_shaping_characters() {
        assert_eq!(multi_line(" \u{7}a\r\n\tb \n"), "a\n\tb");
        assert_eq!(multi_line("می\u{200c}خواهم"), "می\u{200c}خواهم");
        assert_eq!(multi_line("\u{202e}abc\u{202c}"), "abc");
    }

    proptest! {
        #[test]
        fn sanitising_is_idempotent_and_leaves_no_hidden_character(typed in "\\PC{0,20}|[a \u{200d}\u{fe0f}👩❤🏴1\u{20e3}\u{e0061}-\u{e0063}\u{e007f}\u{202e}]{0,20}", max in 0..24_usize) {
            let line = single_line(&typed);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_bidi_control(c)));
            prop_assert_eq!(single_line(&line), line.as_str());
            let short = truncate(&line, max);
            prop_assert!(short.chars().count() <= max);
            prop_assert_eq!(single_line(short), short);
            prop_assert_eq!(multi_line(&multi_line(&typed)), multi_line(&typed));
        }
    }
}
