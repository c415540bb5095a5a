//! Unicode properties and segmentation by crates, for the server and tests.

pub use unicode_normalization::char::is_combining_mark as is_mark;
use unicode_segmentation::UnicodeSegmentation as _;

/// The byte range of the grapheme cluster at this offset.
pub fn cluster_at(text: &str, at: usize) -> (usize, usize) {
    let mut graphemes = text
        .grapheme_indices(true)
        .map(|(start, one)| (start, start + one.len()));
    graphemes.find(|(_, end)| at < *end).unwrap_or((text.len(), text.len()))
}
