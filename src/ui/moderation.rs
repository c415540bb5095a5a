//! What pages share that show an operator's bans: how long one lasts, and why one is refused.

use super::words::{Words, words};
use crate::wire::moderation::{Millis, why};

const HOUR: Millis = 3_600_000;

/// How long a ban may last: its key, its name, and its milliseconds; none is until it is lifted.
pub const DURATIONS: &[(&str, Words, Option<Millis>)] = &[
    ("hour", words!(moderation.hour), Some(HOUR)),
    ("day", words!(moderation.day), Some(24 * HOUR)),
    ("week", words!(moderation.week), Some(7 * 24 * HOUR)),
    ("ever", words!(moderation.ever), None),
];

/// When a ban of this length ends that begins now. Only in the browser.
pub fn until(key: &str) -> Option<Millis> {
    let (.., length) = DURATIONS.iter().find(|(known, ..)| *known == key)?;
    length.map(|length| js_sys::Date::now() as Millis + length)
}

pub fn refusal(word: &str) -> Option<Words> {
    let words: Words = match word {
        why::BAD_PERSON => words!(moderation.bad_person),
        why::BAD_ADDRESS => words!(moderation.bad_address),
        why::BAD_REASON => words!(moderation.bad_reason),
        why::FULL => words!(moderation.full),
        why::NOT_BANNED => words!(moderation.not_banned),
        why::STAYS => words!(moderation.stays),
        why::OPERATOR => words!(moderation.is_operator),
        _ => return None,
    };
    Some(words)
}
