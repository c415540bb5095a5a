//! Combining marks and grapheme clusters. The server uses the tables of crates; the wasm module uses the browser's tables, to stay
//! small.

#[cfg(any(feature = "ssr", test))]
mod tables;
#[cfg(not(any(feature = "ssr", test)))]
#[path = "unicode/browser.rs"]
mod tables;

pub use self::tables::is_mark;

/// The length in bytes of the first grapheme cluster.
pub fn first_grapheme_len(text: &str) -> usize {
    tables::cluster_at(text, 0).1
}

/// The last grapheme boundary at or before `at`.
pub fn floor_grapheme_boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    tables::cluster_at(text, at).0
}
