//! Keeps a name field in sync with the visitor's name; texts for rejected names.

use leptos::prelude::*;

use super::text::{TextKey, text_key};
use duplex_protocol::person::NAME_FIXED;

/// Keeps the field equal to the name until the visitor edits it.
pub fn sync_field(typed: RwSignal<String>, name: impl Fn() -> String + 'static) {
    Effect::new(move |before: Option<String>| {
        let name = name();
        if typed.with_untracked(|typed| *typed == before.unwrap_or_default()) {
            typed.set(name.clone());
        }
        name
    });
}

pub fn rejection_text(reason: &str) -> TextKey {
    match reason {
        NAME_FIXED => text_key!(names.name_fixed),
        _ => text_key!(names.name_reserved),
    }
}
