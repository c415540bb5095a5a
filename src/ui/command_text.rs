//! Texts for a command that the client retries automatically, and a command whose outcome is unknown.

use super::text::{TextKey, fill, text_key};
use crate::i18n::*;

/// The command exceeded a rate limit; the client sends it again after this time.
pub fn rate_limited(locale: Locale, retry_after_ms: u32) -> String {
    let seconds = retry_after_ms.div_ceil(1000).max(1).to_string();
    fill(td_string!(locale, link.held), &[("seconds", &seconds)])
}

/// The command's id is older than the deduplication window, so the server cannot tell whether it was applied; the visitor has to
/// check.
pub const OUTCOME_UNKNOWN: TextKey = text_key!(link.look_first);
