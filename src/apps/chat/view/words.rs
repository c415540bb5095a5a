//! People, times and refusals in the visitor's language.

use super::super::{
    model::Entry,
    wire::{LOBBY, MAX_LINE, MAX_ROOM, MAX_TEXT, MAX_TITLE, Millis, why},
};
use crate::{
    i18n::*,
    ui::{
        calendar, format, names,
        standing::LOOK_FIRST,
        words::{Words, fill, words},
    },
    wire::text::{first, is_bidi_control, isolated},
};
use duplex_leptos::topic::TopicStatus;
use duplex_protocol::{
    person::{NAME_FIXED, NAME_RESERVED, Person, PersonId},
    session::{Denied, Rejection},
};

/// The name somebody chose, else "guest" and a part of their id.
pub fn name(locale: Locale, person: &Person) -> String {
    if person.name.is_empty() {
        fill(td_string!(locale, chat.guest), &[("id", person.id.short())])
    } else {
        isolated(&person.name).into_owned()
    }
}

/// One of twelve hues, always the same for a person.
pub fn hue(id: &PersonId) -> u32 {
    id.0.bytes()
        .fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        % 12
}

/// The first letter of a name, in a circle beside a message.
pub fn initial(name: &str) -> String {
    first(name.trim_start_matches(is_bidi_control)).to_uppercase()
}

pub fn title(locale: Locale, room: &str, entry: &Entry) -> String {
    match (entry.title.as_str(), room) {
        ("", LOBBY) => td_string!(locale, chat.lobby).to_owned(),
        ("", name) => name.to_owned(),
        (title, _) => isolated(title).into_owned(),
    }
}

/// The time of day; the server does not know where the visitor is, and says UTC.
pub fn clock(at: Millis, local: bool) -> String {
    if local {
        calendar::clock(at, calendar::offset(at))
    } else {
        format!("{} UTC", calendar::clock(at, 0))
    }
}

/// A day's name as the visitor's language writes it; the server writes it in digits.
pub fn day(locale: Locale, day: i64, local: bool) -> String {
    let date = calendar::date(day);
    if !local {
        return date;
    }
    let options = js_sys::Object::new();
    for (key, value) in [("dateStyle", "full"), ("timeZone", "UTC")] {
        let _ = js_sys::Reflect::set(&options, &key.into(), &value.into());
    }
    let noon = js_sys::Date::new(&format!("{date}T12:00:00Z").into());
    noon.to_locale_date_string(locale.as_str(), &options).into()
}

pub fn rejection(locale: Locale, rejection: &Rejection) -> String {
    let words: Words = match rejection {
        Rejection::Refused { why } => refusal(why),
        Rejection::Denied(reason) => denied(*reason),
        Rejection::TooFast { .. } => words!(chat.too_fast),
        Rejection::TooLarge => words!(chat.too_long),
        Rejection::Malformed { .. } => words!(chat.malformed),
        Rejection::StorageFull | Rejection::Unavailable => words!(chat.unavailable),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => LOOK_FIRST,
    };
    let seconds = match rejection {
        Rejection::TooFast { retry_after_ms } => retry_after_ms.div_ceil(1000),
        _ => 0,
    };
    filled(words(locale), seconds)
}

fn filled(text: &str, seconds: u32) -> String {
    let grouped = |number: usize| format::grouped(number as u64);
    fill(
        text,
        &[
            ("limit", &grouped(MAX_TEXT)),
            ("room", &grouped(MAX_ROOM)),
            ("title", &grouped(MAX_TITLE)),
            ("line", &grouped(MAX_LINE)),
            ("seconds", &seconds.to_string()),
        ],
    )
}

fn refusal(word: &str) -> Words {
    match word {
        why::EMPTY => words!(chat.empty),
        why::TOO_LONG => words!(chat.too_long),
        why::TOO_OLD => words!(chat.too_old),
        why::NOT_YOURS => words!(chat.not_yours),
        why::DELETED => words!(chat.already_deleted),
        why::REACTIONS_FULL => words!(chat.reactions_full),
        why::BAD_ROOM => words!(chat.bad_room),
        why::BAD_TITLE => words!(chat.bad_title),
        why::BAD_LINE => words!(chat.bad_line),
        why::ROOM_TAKEN => words!(chat.room_taken),
        why::ROOMS_FULL => words!(chat.rooms_full),
        why::NO_ROOM => words!(chat.no_room),
        why::ROOM_GONE => words!(chat.room_gone),
        NAME_RESERVED | NAME_FIXED => names::refusal(word),
        _ => words!(chat.refused),
    }
}

pub fn denied(reason: Denied) -> Words {
    match reason {
        Denied::Unknown => words!(chat.no_room),
        Denied::Forbidden => words!(chat.forbidden),
        Denied::TooMany => words!(chat.too_many),
        Denied::Unavailable | Denied::Full => words!(chat.unavailable),
    }
}

/// How the room stands, in one word for style sheets and tests, and in the visitor's.
pub fn status(status: TopicStatus) -> (&'static str, Words) {
    match status {
        TopicStatus::Loading => ("loading", words!(chat.loading)),
        TopicStatus::Live => ("live", words!(chat.live)),
        TopicStatus::Resuming => ("resuming", words!(chat.resuming)),
        TopicStatus::Waiting => ("waiting", words!(chat.waiting)),
        TopicStatus::Denied(reason) => ("denied", denied(reason)),
        TopicStatus::Outdated => ("outdated", words!(chat.outdated)),
    }
}
