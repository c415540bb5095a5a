//! Combining marks and grapheme clusters. The server uses the tables of crates; the wasm module uses the browser's tables, to stay
//! small.

#[cfg(any(feature = "ssr", test))]
mod source;
#[cfg(not(any(feature = "ssr", test)))]
#[path = "unicode/browser.rs"]
mod source;

pub use self::source::is_mark;

/// The length in bytes of the first grapheme cluster.
pub fn first_grapheme_len(text: &str) -> usize {
    source::around(text, 0).1
}

/// The last boundary of grapheme clusters up to `at`.
pub fn boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    source::around(text, at).0
}
