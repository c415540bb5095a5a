//! Fields for a visitor's name, and the texts for a refused name.

use leptos::prelude::*;

use super::text::{TextKey, text_key};
use duplex_protocol::person::NAME_FIXED;

/// Sets the field to the name and to each later one, unless the visitor has edited it.
pub fn follow(typed: RwSignal<String>, name: impl Fn() -> String + 'static) {
    Effect::new(move |before: Option<String>| {
        let name = name();
        if typed.with_untracked(|typed| *typed == before.unwrap_or_default()) {
            typed.set(name.clone());
        }
        name
    });
}

pub fn refusal(why: &str) -> TextKey {
    match why {
        NAME_FIXED => text_key!(names.name_fixed),
        _ => text_key!(names.name_reserved),
    }
}
