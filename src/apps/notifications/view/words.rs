//! Sources, levels, times and refusals in the visitor's language.

use super::super::wire::{ME, Millis, moment};
use crate::{
    i18n::*,
    ui::{
        standing::LOOK_FIRST,
        words::{Words, words},
    },
    wire::{
        notice::{self, EVERYONE, Level},
        web_link::is_page,
    },
};
use duplex_leptos::topic::TopicStatus;
use duplex_protocol::session::Rejection;

pub fn said(locale: Locale, words: &notice::Words) -> String {
    match locale {
        Locale::ko => words.ko.clone(),
        Locale::en => words.en.clone(),
    }
}

/// `target` and `rel` of a notice's link: what leads out of this site opens beside it, and what is no page of the router's is loaded
/// by the browser.
pub fn way(link: &str) -> (Option<&'static str>, Option<&'static str>) {
    match link {
        link if is_page(link) => (None, None),
        link if link.starts_with('/') => (None, Some("external")),
        _ => (Some("_blank"), Some("noopener noreferrer nofollow")),
    }
}

pub fn source(name: &str) -> Words {
    match name {
        ME => words!(notifications.source_me),
        EVERYONE => words!(notifications.source_all),
        "market" => words!(notifications.source_market),
        "devices" => words!(notifications.source_devices),
        _ => words!(notifications.source_news),
    }
}

/// What a group tells of, beside its switch.
pub fn about(group: &str) -> Words {
    match group {
        "market" => words!(notifications.about_market),
        "devices" => words!(notifications.about_devices),
        _ => words!(notifications.about_news),
    }
}

pub const LEVELS: [Level; 4] = [Level::Info, Level::Success, Level::Warning, Level::Danger];

/// A level's word for style sheets and programs, its name, and its sign.
pub fn level(level: Level) -> (&'static str, Words, &'static str) {
    match level {
        Level::Info => ("info", words!(notifications.info), "i"),
        Level::Success => ("success", words!(notifications.success), "✓"),
        Level::Warning => ("warning", words!(notifications.warning), "!"),
        Level::Danger => ("danger", words!(notifications.danger), "×"),
    }
}

/// In the visitor's zone and manner; the server knows neither, and says UTC.
pub fn time(locale: Locale, at: Millis, local: bool) -> String {
    if !local {
        return moment::utc(at);
    }
    let options = js_sys::Object::new();
    for (key, value) in [("dateStyle", "medium"), ("timeStyle", "short")] {
        let _ = js_sys::Reflect::set(&options, &key.into(), &value.into());
    }
    let date = js_sys::Date::new(&(at as f64).into());
    let languages = locale.as_str();
    date.to_locale_string(languages, &options).into()
}

pub fn rejection(rejection: &Rejection) -> Words {
    match rejection {
        Rejection::TooFast { .. } => words!(notifications.too_fast),
        Rejection::StorageFull | Rejection::Unavailable => words!(notifications.unavailable),
        Rejection::Denied(denied) if denied.may_retry() => words!(notifications.unavailable),
        Rejection::Denied(_) => words!(notifications.closed),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => LOOK_FIRST,
        Rejection::Refused { .. } | Rejection::Malformed { .. } | Rejection::TooLarge => words!(notifications.refused),
    }
}

/// How the inbox stands, in one word for style sheets and tests, and in the visitor's.
pub fn status(status: TopicStatus) -> (&'static str, Words) {
    match status {
        TopicStatus::Loading => ("loading", words!(notifications.loading)),
        TopicStatus::Live => ("live", words!(notifications.live)),
        TopicStatus::Resuming => ("resuming", words!(notifications.resuming)),
        TopicStatus::Waiting => ("waiting", words!(notifications.waiting)),
        TopicStatus::Denied(_) => ("denied", words!(notifications.closed)),
        TopicStatus::Outdated => ("outdated", words!(notifications.outdated)),
    }
}
