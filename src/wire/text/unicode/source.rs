//! The tables of the crates, on the server.

pub use unicode_normalization::char::is_combining_mark as is_mark;
use unicode_segmentation::UnicodeSegmentation as _;

/// Where the character that a reader sees at this byte begins and ends.
pub fn around(text: &str, at: usize) -> (usize, usize) {
    let mut graphemes = text
        .grapheme_indices(true)
        .map(|(start, one)| (start, start + one.len()));
    graphemes.find(|(_, end)| at < *end).unwrap_or((text.len(), text.len()))
}
