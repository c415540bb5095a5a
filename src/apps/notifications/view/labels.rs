//! Localized labels for sources, levels, times and rejections.

use super::super::wire::{Millis, OWN_INBOX, timestamp};
use crate::{
    i18n::*,
    ui::{
        command_text::OUTCOME_UNKNOWN,
        text::{TextKey, text_key},
    },
    wire::{
        notice::{self, EVERYONE, Level},
        web_link::is_page_path,
    },
};
use duplex_leptos::topic::TopicStatus;
use duplex_protocol::session::Rejection;

pub fn localized(locale: Locale, text: &notice::LocalizedText) -> String {
    match locale {
        Locale::ko => text.ko.clone(),
        Locale::en => text.en.clone(),
    }
}

/// `target` and `rel` of a notice's link. A link to another site opens in a new tab; a local path that the router does not serve is
/// loaded with a full navigation.
pub fn link_attributes(link: &str) -> (Option<&'static str>, Option<&'static str>) {
    match link {
        link if is_page_path(link) => (None, None),
        link if link.starts_with('/') => (None, Some("external")),
        _ => (Some("_blank"), Some("noopener noreferrer nofollow")),
    }
}

pub fn source(name: &str) -> TextKey {
    match name {
        OWN_INBOX => text_key!(notifications.source_me),
        EVERYONE => text_key!(notifications.source_all),
        "market" => text_key!(notifications.source_market),
        "devices" => text_key!(notifications.source_devices),
        _ => text_key!(notifications.source_news),
    }
}

/// The description of a group, shown next to its switch.
pub fn group_description(group: &str) -> TextKey {
    match group {
        "market" => text_key!(notifications.about_market),
        "devices" => text_key!(notifications.about_devices),
        _ => text_key!(notifications.about_news),
    }
}

pub const LEVELS: [Level; 4] = [Level::Info, Level::Success, Level::Warning, Level::Danger];

/// A level's `data-level` value, its display name, and its symbol.
pub fn level(level: Level) -> (&'static str, TextKey, &'static str) {
    match level {
        Level::Info => ("info", text_key!(notifications.info), "i"),
        Level::Success => ("success", text_key!(notifications.success), "✓"),
        Level::Warning => ("warning", text_key!(notifications.warning), "!"),
        Level::Danger => ("danger", text_key!(notifications.danger), "×"),
    }
}

/// Formats a time for the visitor's time zone and language. The server does not know the zone and renders UTC.
pub fn time(locale: Locale, at: Millis, use_local_time: bool) -> String {
    if !use_local_time {
        return timestamp::to_utc(at);
    }
    let options = js_sys::Object::new();
    for (key, value) in [("dateStyle", "medium"), ("timeStyle", "short")] {
        let _ = js_sys::Reflect::set(&options, &key.into(), &value.into());
    }
    let date = js_sys::Date::new(&(at as f64).into());
    let languages = locale.as_str();
    date.to_locale_string(languages, &options).into()
}

pub fn rejection(rejection: &Rejection) -> TextKey {
    match rejection {
        Rejection::TooFast { .. } => text_key!(notifications.too_fast),
        Rejection::StorageFull | Rejection::Unavailable => text_key!(notifications.unavailable),
        Rejection::Denied(denial) if denial.may_retry() => text_key!(notifications.unavailable),
        Rejection::Denied(_) => text_key!(notifications.closed),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => OUTCOME_UNKNOWN,
        Rejection::Custom { .. } | Rejection::Malformed { .. } | Rejection::TooLarge => {
            text_key!(notifications.rejected_other)
        }
    }
}

/// The inbox's status, as its `data-status` value and as text.
pub fn status(status: TopicStatus) -> (&'static str, TextKey) {
    match status {
        TopicStatus::Loading => ("loading", text_key!(notifications.loading)),
        TopicStatus::Live => ("live", text_key!(notifications.live)),
        TopicStatus::Resuming => ("resuming", text_key!(notifications.resuming)),
        TopicStatus::Waiting => ("waiting", text_key!(notifications.waiting)),
        TopicStatus::Denied(_) => ("denied", text_key!(notifications.closed)),
        TopicStatus::Outdated => ("outdated", text_key!(notifications.outdated)),
    }
}
