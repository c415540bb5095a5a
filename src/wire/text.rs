//! Texts that a visitor writes and others read: which characters stay. Pure classes of characters, without tables: the
//! server's half, `hub::text`, adds what needs them.

/// Turns the direction of the text around it ([UAX #9](https://www.unicode.org/reports/tr9/)).
pub const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows nothing, or nothing that two readers agree on: default-ignorable, filler, format and private-use characters. Those that an
/// emoji is made of are among them.
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
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
            | '\u{fff0}'..='\u{fffc}'
            | '\u{13430}'..='\u{1345f}'
            | '\u{16fe4}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}'
    )
}

/// Nothing in it can be seen.
pub fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_whitespace() || c.is_control() || is_bidi_control(c) || is_invisible(c))
}

const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
const BLACK_FLAG: char = '\u{1f3f4}';
const END_OF_TAGS: char = '\u{e007f}';

/// May be an emoji, or begin one.
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

const fn is_presentation(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

const fn is_regional_indicator(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// A text of one line without control, bidi and invisible characters, except where an emoji needs one; one space between words
/// and none around them.
pub fn one_line(typed: &str) -> String {
    let chars: Vec<char> = typed.chars().collect();
    let mut line = String::with_capacity(typed.len());
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let rest = &chars[at + 1..];
        at += 1;
        if c.is_whitespace() || c.is_control() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !is_bidi_control(c) && !is_invisible(c) || joins(&line, c, rest) {
            line.push(c);
            let tags = if c == BLACK_FLAG { subdivision(rest) } else { 0 };
            line.extend(&rest[..tags]);
            at += tags;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Whether an invisible character is part of an emoji: between what stands before it and what follows.
fn joins(before: &str, c: char, rest: &[char]) -> bool {
    let last = before.chars().next_back();
    let next = rest.first().copied();
    if is_presentation(c) {
        let keycap = |last: char| matches!(last, '0'..='9' | '#' | '*') && next == Some(KEYCAP);
        return last.is_some_and(|last| is_pictograph(last) || keycap(last));
    }
    let base = before.trim_end_matches(is_presentation).chars().next_back();
    c == JOINER && base.is_some_and(is_pictograph) && next.is_some_and(is_pictograph)
}

/// The tags that make a black flag that of a country's part, such as Scotland.
fn subdivision(rest: &[char]) -> usize {
    let spec = |c: &&char| matches!(**c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let tags = rest.iter().take_while(spec).count();
    if (3..=6).contains(&tags) && rest.get(tags) == Some(&END_OF_TAGS) {
        tags + 1
    } else {
        0
    }
}

/// The first `most` characters, fewer if the last would be part of what the reader sees as one. `extends`: which characters
/// beside an emoji's belong to the one before.
pub fn cut(text: &str, most: usize, extends: impl Fn(char) -> bool) -> &str {
    let Some((mut end, mut next)) = text.char_indices().nth(most) else {
        return text.trim_end();
    };
    while let Some(last) = text[..end].chars().next_back() {
        let flags = || {
            text[..end]
                .chars()
                .rev()
                .take_while(|c| is_regional_indicator(*c))
                .count()
        };
        let within = last == JOINER
            || extends(next)
            || is_invisible(next)
            || next == KEYCAP
            || matches!(next, '\u{1f3fb}'..='\u{1f3ff}')
            || is_regional_indicator(next) && flags() % 2 == 1;
        if !within {
            break;
        }
        end -= last.len_utf8();
        next = last;
    }
    text[..end].trim_end()
}

/// Some paragraphs: line ends and tabs stay, and so do the characters that a script's shaping or an emoji needs; no other
/// control, and nothing that turns the text around it.
pub fn paragraphs(typed: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = |c: &char| (!c.is_control() || matches!(c, '\n' | '\t')) && !turns(*c);
    let text: String = typed.chars().filter(kept).collect();
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
    fn hidden_characters_go() {
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
            let line = one_line(&format!("a{hidden}b"));
            assert!(["ab", "a b"].contains(&&*line), "{hidden:?}: {line:?}");
            assert_eq!(one_line(&hidden.to_string()), "", "{hidden:?}");
            assert!(is_blank(&format!(" {hidden}\n")));
            assert_eq!(paragraphs(&format!("\t{hidden} ")), "");
        }
    }

    #[test]
    fn an_emoji_stays_whole() {
        for emoji in [
            FAMILY,
            "❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "👩🏽\u{200d}🚀",
        ] {
            assert_eq!(one_line(emoji), emoji);
            assert_eq!(paragraphs(emoji), emoji);
        }
        assert_eq!(one_line("🏴\u{e0068}\u{e0069}"), "🏴", "tags that hide a text");
        assert_eq!(one_line("a\u{200d}👩"), "a👩");
    }

    #[test]
    fn nothing_that_is_seen_as_one_is_cut_in_two() {
        let marks = |c| matches!(c, '\u{300}'..='\u{36f}');
        for (text, most, left) in [
            ("abc", 2, "ab"),
            ("ab c", 3, "ab"),
            (&*format!("a{FAMILY}"), 4, "a"),
            (&*format!("a{FAMILY}"), 6, &*format!("a{FAMILY}")),
            ("🇰🇷🇫🇷", 3, "🇰🇷"),
            ("🇰🇷🇫🇷", 2, "🇰🇷"),
            ("ae\u{301}", 2, "a"),
            ("👍🏽", 1, ""),
        ] {
            assert_eq!(cut(text, most, marks), left, "{text} {most}");
        }
    }

    #[test]
    fn a_message_keeps_its_lines_and_its_scripts() {
        assert_eq!(paragraphs(" \u{7}a\r\n\tb \n"), "a\n\tb");
        assert_eq!(paragraphs("می\u{200c}خواهم"), "می\u{200c}خواهم");
        assert_eq!(paragraphs("\u{202e}abc\u{202c}"), "abc");
    }

    proptest! {
        #[test]
        fn a_line_has_no_hidden_character_and_stays_as_it_is(typed in "\\PC{0,20}|[a \u{200d}\u{fe0f}👩❤🏴1\u{20e3}\u{e0061}-\u{e0063}\u{e007f}\u{202e}]{0,20}", most in 0..24_usize) {
            let line = one_line(&typed);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_bidi_control(c)));
            prop_assert_eq!(one_line(&line), line.as_str());
            let short = cut(&line, most, |_| false);
            prop_assert!(short.chars().count() <= most);
            prop_assert_eq!(one_line(short), short);
            prop_assert_eq!(paragraphs(&paragraphs(&typed)), paragraphs(&typed));
        }
    }
}
