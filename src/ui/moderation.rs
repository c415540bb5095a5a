//! Ban durations and texts for rejected bans, for the pages that show bans.

use super::text::{TextKey, text_key};
use crate::wire::moderation::{Millis, reason_code};

const HOUR: Millis = 3_600_000;

/// The durations of a ban: key, name and milliseconds; `None` is permanent.
pub const DURATIONS: &[(&str, TextKey, Option<Millis>)] = &[
    ("hour", text_key!(moderation.hour), Some(HOUR)),
    ("day", text_key!(moderation.day), Some(24 * HOUR)),
    ("week", text_key!(moderation.week), Some(7 * 24 * HOUR)),
    ("ever", text_key!(moderation.ever), None),
];

/// The end of a ban of this duration that starts now. Browser only.
pub fn ban_end(key: &str) -> Option<Millis> {
    let (.., duration) = DURATIONS.iter().find(|(known, ..)| *known == key)?;
    duration.map(|duration| js_sys::Date::now() as Millis + duration)
}

pub fn rejection_text(reason: &str) -> Option<TextKey> {
    let key: TextKey = match reason {
        reason_code::BAD_PERSON => text_key!(moderation.bad_person),
        reason_code::BAD_ADDRESS => text_key!(moderation.bad_address),
        reason_code::BAD_REASON => text_key!(moderation.bad_reason),
        reason_code::TOO_MANY => text_key!(moderation.full),
        reason_code::NOT_BANNED => text_key!(moderation.not_banned),
        reason_code::NOT_CLOSABLE => text_key!(moderation.stays),
        reason_code::OPERATOR => text_key!(moderation.is_operator),
        _ => return None,
    };
    Some(key)
}
