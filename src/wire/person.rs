//! Sanitization of visitors' names, shared by server and browser.

use duplex_protocol::person::MAX_NAME;

use super::text;

/// A name on one line of visible characters, truncated to [`MAX_NAME`]. The server repeats this and normalizes it to NFC.
pub fn sanitize_name(typed: &str) -> String {
    text::truncate(&text::single_line(typed), MAX_NAME).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_sanitized() {
        assert_eq!(sanitize_name("  Kim\n\tMinji  "), "Kim Minji");
        assert_eq!(sanitize_name("\u{0}\u{7}"), "");
        assert_eq!(sanitize_name(&"가".repeat(30)), "가".repeat(24));
        assert_eq!(sanitize_name(&format!("{} x", "a".repeat(23))), "a".repeat(23));
    }
}
