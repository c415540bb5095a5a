//! A hint below a number field with the number as it was parsed.

use leptos::prelude::*;

use super::text::{fill, optional_text};
use crate::{
    i18n::*,
    wire::number::{ParsedNumber, parse},
};

/// Empty if the parsed number equals the typed text.
pub fn parsed_hint(typed: RwSignal<String>) -> AnyView {
    let i18n = use_i18n();
    let hint = optional_text(move || {
        typed.with(|typed| match parse(typed) {
            ParsedNumber::Invalid => Some(t_string!(i18n, number.wrong).to_owned()),
            number => number
                .reformatted(typed)
                .map(|number| fill(t_string!(i18n, number.read_as), &[("number", number)])),
        })
    });
    view! { <span class="hint parsed-hint" role="status">{hint}</span> }.into_any()
}
