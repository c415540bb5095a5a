//! How a number that is typed was read, told below its field before anything is done with it.

use leptos::prelude::*;

use super::text::{fill, optional_text};
use crate::{
    i18n::*,
    wire::number::{ParsedNumber, parse},
};

/// Nothing where the field already says it as it was read.
pub fn parsed_hint(typed: RwSignal<String>) -> AnyView {
    let i18n = use_i18n();
    let said = optional_text(move || {
        typed.with(|typed| match parse(typed) {
            ParsedNumber::Invalid => Some(t_string!(i18n, number.wrong).to_owned()),
            number => number
                .reformatted(typed)
                .map(|number| fill(t_string!(i18n, number.read_as), &[("number", number)])),
        })
    });
    view! { <span class="hint read-as" role="status">{said}</span> }.into_any()
}
