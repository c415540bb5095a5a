//! What Unicode says of characters and of what a reader sees as one: by the tables of crates on the server, and by the browser's
//! own in the browser, whose module brings none.

#[cfg(any(feature = "ssr", test))]
mod source;
#[cfg(not(any(feature = "ssr", test)))]
#[path = "unicode/browser.rs"]
mod source;

pub use self::source::is_mark;

/// The bytes of the first character as a reader sees it.
pub fn first_grapheme_len(text: &str) -> usize {
    source::around(text, 0).1
}

/// The last place up to `at` where a text may be cut: not within what a reader sees as one character.
pub fn boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    source::around(text, at).0
}
