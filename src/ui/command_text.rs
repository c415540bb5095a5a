//! What every page says of a command that waits by itself, or whose fate the server does not know any more.

use super::text::{TextKey, fill, text_key};
use crate::i18n::*;

/// It came too fast, and goes by itself.
pub fn rate_limited(locale: Locale, retry_after_ms: u32) -> String {
    let seconds = retry_after_ms.div_ceil(1000).max(1).to_string();
    fill(td_string!(locale, link.held), &[("seconds", &seconds)])
}

/// Of a command whose id is too old: whether it had its effect is for the visitor to see.
pub const OUTCOME_UNKNOWN: TextKey = text_key!(link.look_first);
