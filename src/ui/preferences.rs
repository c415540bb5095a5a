//! Controls for the visitor's language and color scheme, stored in cookies so that the server renders with them. Each is an HTML
//! form, so it works without JavaScript.

use std::{fmt, str::FromStr};

use leptos::{ev::MouseEvent, prelude::*};
use leptos_meta::Html;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use web_sys::HtmlDocument;

use super::text::{TextKey, dynamic_text, t, text_key, translate};
use crate::i18n::*;

/// The forms' action.
pub const PREFERENCES_PATH: &str = "/preferences";
/// The cookies' names, and their lifetime in seconds.
pub const LANGUAGE_COOKIE: &str = "language";
pub const COLOR_SCHEME_COOKIE: &str = "colour";
pub const COOKIE_MAX_AGE: i64 = 365 * 24 * 60 * 60;

/// `Auto` follows the visitor's system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColorScheme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl ColorScheme {
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl fmt::Display for ColorScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the colours are auto, light or dark")]
pub struct UnknownColorScheme;

impl FromStr for ColorScheme {
    type Err = UnknownColorScheme;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name() == name)
            .ok_or(UnknownColorScheme)
    }
}

#[component]
pub fn LanguageChoice() -> impl IntoView {
    let i18n = use_i18n();
    let language_button = move |locale: Locale, name: &'static str| {
        let pressed = dynamic_text(move || (i18n.get_locale() == locale).to_string());
        let on_click = move |event: MouseEvent| {
            event.prevent_default();
            i18n.set_locale(locale);
            if let Some(html) = document().document_element() {
                let _ = html.set_attribute("lang", locale.as_str());
            }
            set_cookie(LANGUAGE_COOKIE, locale.as_str());
        };
        view! {
            <button name="language" value=locale.as_str() lang=locale.as_str() aria-pressed=pressed on:click=on_click>{name}</button>
        }
    };
    view! {
        <form method="post" action=PREFERENCES_PATH>
            <div class="segmented-control" role="group" aria-label=t!(app.language)>
                {language_button(Locale::ko, "한국어")}
                {language_button(Locale::en, "English")}
            </div>
        </form>
    }
}

#[component]
pub fn ColorSchemeChoice() -> impl IntoView {
    // The server reads it from the request and sends it to the browser with the page.
    let scheme = RwSignal::new(SharedValue::new(|| use_context::<ColorScheme>().unwrap_or_default()).into_inner());
    let theme = move || (scheme.get() != ColorScheme::Auto).then(|| scheme.get().name());
    let scheme_button = move |this_scheme: ColorScheme, name: TextKey| {
        let on_click = move |event: MouseEvent| {
            event.prevent_default();
            scheme.set(this_scheme);
            set_cookie(COLOR_SCHEME_COOKIE, this_scheme.name());
        };
        let pressed = dynamic_text(move || (scheme.get() == this_scheme).to_string());
        view! { <button name="colour" value=this_scheme.name() aria-pressed=pressed on:click=on_click>{translate(name)}</button> }
    };
    view! {
        <Html attr:data-theme=theme/>
        <form method="post" action=PREFERENCES_PATH>
            <div class="segmented-control" role="group" aria-label=t!(app.colour)>
                {scheme_button(ColorScheme::Auto, text_key!(app.colour_auto))}
                {scheme_button(ColorScheme::Light, text_key!(app.colour_light))}
                {scheme_button(ColorScheme::Dark, text_key!(app.colour_dark))}
            </div>
        </form>
    }
}

/// Stores a choice in a cookie.
fn set_cookie(name: &str, value: &str) {
    if let Some(document) = document().dyn_ref::<HtmlDocument>() {
        let _ = document.set_cookie(&format!(
            "{name}={value}; Max-Age={COOKIE_MAX_AGE}; Path=/; SameSite=Lax"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_reads_back_from_its_cookie() {
        for scheme in ColorScheme::ALL {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        assert_eq!("blue".parse::<ColorScheme>(), Err(UnknownColorScheme));
    }
}
