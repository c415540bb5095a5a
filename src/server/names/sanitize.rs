//! Sanitization of user-provided texts: by the rules of [`crate::wire::text`], and normalized to NFC.

use unicode_normalization::UnicodeNormalization as _;

use crate::wire::text;
use duplex_protocol::person::MAX_NAME;

/// Maximum characters of a line that are processed; bounds the work for text full of hidden characters.
const MAX_CHARS: usize = 4_096;

/// A visitor's name; empty if nothing visible is left.
pub fn sanitize_name(typed: &str) -> String {
    sanitize_line(typed, MAX_NAME)
}

/// One line of at most `max_chars` characters.
pub fn sanitize_line(typed: &str, max_chars: usize) -> String {
    let typed: String = typed.chars().take(MAX_CHARS).collect();
    let composed: String = text::single_line(&typed).nfc().collect();
    // Composition may shorten the line.
    text::truncate(&text::single_line(&composed), max_chars).to_owned()
}

/// A text of several lines, of any length.
pub fn sanitize_text(typed: &str) -> String {
    text::multi_line(typed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use unicode_normalization::char::is_combining_mark;

    use super::*;
    use crate::wire::text::MARKS;

    #[test]
    fn a_name_is_sanitized() {
        assert_eq!(sanitize_name("  Kim\n\tMinji  "), "Kim Minji");
        assert_eq!(sanitize_name("\u{0}\u{7}"), "");
        assert_eq!(sanitize_name(&"가".repeat(30)), "가".repeat(24));
        assert_eq!(sanitize_name(&format!("{} x", "a".repeat(23))), "a".repeat(23));
        assert_eq!(
            sanitize_name("\u{1112}\u{1161}\u{11ab}"),
            "한",
            "decomposed, as in macOS file names"
        );
    }

    #[test]
    fn marks_need_a_base_and_do_not_pile_up() {
        assert_eq!(sanitize_name("\u{301}\u{302}"), "");
        assert_eq!(sanitize_name("a \u{301}b"), "a b");
        let zalgo = format!("q{}x", "\u{323}\u{302}\u{489}".repeat(20));
        assert!(sanitize_name(&zalgo).chars().count() <= 2 + MARKS);
        let thai = format!("ก{}", "\u{e47}".repeat(23));
        assert_eq!(sanitize_name(&thai).chars().count(), 1 + MARKS);
        for word in ["བསྒྲུབས", "שָׁלוֹם", "हिन्दी", "Nguyễn", "ภาษาไทย", "মুক্তি"]
        {
            let composed: String = word.nfc().collect();
            assert_eq!(sanitize_name(word), composed);
        }
        assert_eq!(sanitize_text("\u{200b}\u{301}"), "");
    }

    proptest! {
        #[test]
        fn sanitized_names_contain_no_forbidden_characters(typed in "\\PC{0,40}|.{0,40}|[a한\u{1112}\u{1161}\u{11ab}\u{301}\u{e47}\u{200d}\u{fe0f}👩🇰 \u{202e}\u{3164}]{0,40}") {
            let name = sanitize_name(&typed);
            prop_assert!(name.chars().count() <= MAX_NAME);
            prop_assert!(!name.chars().any(|c| c.is_control() || text::is_bidi_control(c)));
            prop_assert_eq!(name.trim(), name.as_str());
            prop_assert!(!name.contains("  ") && !name.chars().any(|c| c.is_whitespace() && c != ' '));
            let chars: Vec<char> = name.chars().collect();
            for (at, c) in chars.iter().enumerate() {
                if is_combining_mark(*c) {
                    let before = chars[..at].iter().rev().take_while(|c| is_combining_mark(**c)).count();
                    prop_assert!(before < MARKS && chars.get(at.wrapping_sub(before + 1)).is_some_and(|base| *base != ' '));
                }
                if text::is_invisible(*c) {
                    prop_assert!(at > 0 && !chars[at - 1].is_alphabetic(), "{name:?}");
                }
            }
            prop_assert_eq!(sanitize_name(&name), name.as_str());
            prop_assert!(name.is_empty() || !text::is_blank(&name));
        }
    }
}
