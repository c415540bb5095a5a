//! Localized texts for people, times and rejections.

use super::super::{
    model::RoomEntry,
    wire::{LOBBY, MAX_DESCRIPTION, MAX_MESSAGE_CHARS, MAX_ROOM, MAX_TITLE, Millis, reason_code},
};
use crate::{
    i18n::*,
    ui::{
        calendar,
        command_text::OUTCOME_UNKNOWN,
        format, name_field,
        text::{TextKey, fill, text_key},
    },
    wire::text::{first_grapheme, is_bidi_control, isolated},
};
use duplex_leptos::topic::TopicStatus;
use duplex_protocol::{
    person::{NAME_FIXED, NAME_RESERVED, Person, PersonId},
    session::{Denial, Rejection},
};

/// The person's chosen name, else "guest" and a part of their id.
pub fn name(locale: Locale, person: &Person) -> String {
    if person.name.is_empty() {
        fill(td_string!(locale, chat.guest), &[("id", person.id.short())])
    } else {
        isolated(&person.name).into_owned()
    }
}

/// One of twelve hues, derived from the person's id.
pub fn hue(id: &PersonId) -> u32 {
    id.0.bytes()
        .fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        % 12
}

/// The initial of a name, shown in the circle beside a message.
pub fn initial(name: &str) -> String {
    first_grapheme(name.trim_start_matches(is_bidi_control)).to_uppercase()
}

pub fn title(locale: Locale, room: &str, entry: &RoomEntry) -> String {
    match (entry.title.as_str(), room) {
        ("", LOBBY) => td_string!(locale, chat.lobby).to_owned(),
        ("", name) => name.to_owned(),
        (title, _) => isolated(title).into_owned(),
    }
}

/// The time of day. The server does not know the visitor's time zone and renders UTC.
pub fn time_of_day(at: Millis, local: bool) -> String {
    if local {
        calendar::time_of_day(at, calendar::utc_offset(at))
    } else {
        format!("{} UTC", calendar::time_of_day(at, 0))
    }
}

/// A date in the visitor's language; the server renders it in digits.
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
    let key: TextKey = match rejection {
        Rejection::Custom { reason } => reason_text_key(reason),
        Rejection::Denied(reason) => denial(*reason),
        Rejection::TooFast { .. } => text_key!(chat.too_fast),
        Rejection::TooLarge => text_key!(chat.too_long),
        Rejection::Malformed { .. } => text_key!(chat.malformed),
        Rejection::StorageFull | Rejection::Unavailable => text_key!(chat.unavailable),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => OUTCOME_UNKNOWN,
    };
    let seconds = match rejection {
        Rejection::TooFast { retry_after_ms } => retry_after_ms.div_ceil(1000),
        _ => 0,
    };
    filled(key(locale), seconds)
}

fn filled(text: &str, seconds: u32) -> String {
    let grouped = |number: usize| format::grouped(number as u64);
    fill(
        text,
        &[
            ("limit", &grouped(MAX_MESSAGE_CHARS)),
            ("room", &grouped(MAX_ROOM)),
            ("title", &grouped(MAX_TITLE)),
            ("line", &grouped(MAX_DESCRIPTION)),
            ("seconds", &seconds.to_string()),
        ],
    )
}

fn reason_text_key(reason: &str) -> TextKey {
    match reason {
        reason_code::EMPTY => text_key!(chat.empty),
        reason_code::TOO_LONG => text_key!(chat.too_long),
        reason_code::TOO_OLD => text_key!(chat.too_old),
        reason_code::NOT_YOURS => text_key!(chat.not_yours),
        reason_code::DELETED => text_key!(chat.already_deleted),
        reason_code::REACTIONS_FULL => text_key!(chat.reactions_full),
        reason_code::BAD_ROOM => text_key!(chat.bad_room),
        reason_code::BAD_TITLE => text_key!(chat.bad_title),
        reason_code::BAD_DESCRIPTION => text_key!(chat.bad_line),
        reason_code::ROOM_TAKEN => text_key!(chat.room_taken),
        reason_code::ROOMS_FULL => text_key!(chat.rooms_full),
        reason_code::NO_ROOM => text_key!(chat.no_room),
        reason_code::ROOM_DELETED => text_key!(chat.room_gone),
        NAME_RESERVED | NAME_FIXED => name_field::rejection_text(reason),
        _ => text_key!(chat.rejected_other),
    }
}

pub fn denial(reason: Denial) -> TextKey {
    match reason {
        Denial::Unknown => text_key!(chat.no_room),
        Denial::Forbidden => text_key!(chat.forbidden),
        Denial::TooMany => text_key!(chat.too_many),
        Denial::Unavailable | Denial::Full => text_key!(chat.unavailable),
    }
}

/// The topic's status: a keyword for style sheets and tests, and the visitor's text.
pub fn status_keyword_and_text(status: TopicStatus) -> (&'static str, TextKey) {
    match status {
        TopicStatus::Loading => ("loading", text_key!(chat.loading)),
        TopicStatus::Live => ("live", text_key!(chat.live)),
        TopicStatus::Resuming => ("resuming", text_key!(chat.resuming)),
        TopicStatus::Waiting => ("waiting", text_key!(chat.waiting)),
        TopicStatus::Denied(reason) => ("denied", denial(reason)),
        TopicStatus::Outdated => ("outdated", text_key!(chat.outdated)),
    }
}
