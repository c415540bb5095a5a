//! A preview of a message for the log: text is truncated and its control characters are escaped; binary is written as its size.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::endpoint::Payload;

#[derive(Debug, Clone, Copy)]
pub(crate) struct TruncatedPayload<'a> {
    payload: Payload<'a>,
    /// Maximum number of characters of text.
    limit: usize,
}

impl<'a> TruncatedPayload<'a> {
    pub(crate) const fn new(payload: Payload<'a>, limit: usize) -> Self {
        Self { payload, limit }
    }
}

impl Display for TruncatedPayload<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.payload {
            Payload::Text(text) => write_text(f, text, self.limit),
            Payload::Binary(bytes) => write!(f, "<{} bytes>", bytes.len()),
        }
    }
}

/// Escapes control characters, which could forge a log line or control the terminal that displays it.
fn write_text(f: &mut Formatter<'_>, text: &str, limit: usize) -> fmt::Result {
    let mut rest = text.chars();
    for c in rest.by_ref().take(limit) {
        if c.is_control() {
            write!(f, "{}", c.escape_default())?
        } else {
            f.write_char(c)?
        }
    }
    match rest.as_str().len() {
        0 => Ok(()),
        more => write!(f, "… (+{more} bytes)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn preview(text: &str, limit: usize) -> String {
        TruncatedPayload::new(Payload::Text(text), limit).to_string()
    }

    #[test]
    fn a_long_text_is_truncated_between_characters() {
        assert_eq!(preview("안녕하세요", 5), "안녕하세요");
        assert_eq!(preview("안녕하세요", 2), "안녕… (+9 bytes)");
        assert_eq!(preview("", 0), "");
    }

    #[test]
    fn a_message_cannot_forge_a_log_line() {
        assert_eq!(preview("a\nINFO b\u{1b}[31m", 50), "a\\nINFO b\\u{1b}[31m");
    }

    #[test]
    fn binary_is_written_as_its_size() {
        assert_eq!(
            TruncatedPayload::new(Payload::Binary(&[0; 3]), 1).to_string(),
            "<3 bytes>"
        );
    }

    proptest! {
        #[test]
        fn a_preview_is_bounded_and_has_no_control_characters(text in any::<String>(), limit in 0usize..40) {
            let preview = preview(&text, limit);
            prop_assert!(!preview.chars().any(char::is_control));
            prop_assert!(preview.chars().count() <= limit * 10 + 30);
        }
    }
}
