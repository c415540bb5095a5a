//! Internationalization: the generated translations of `locales/`, and the page's language as a signal.

mod texts {
    #![expect(
        deprecated,
        reason = "the generator for build scripts depends on ICU's data exporter, which no translation here needs"
    )]
    leptos_i18n::load_locales!();
}

use leptos::prelude::*;

pub use leptos_i18n::{Locale as _, td_string};

pub use self::texts::i18n::Locale;

/// The page's language: initially the one that the server chose. A plain signal, because the provider of `leptos_i18n` would add
/// ICU's language tag parser to the wasm.
#[derive(Debug, Clone, Copy)]
pub struct LocaleSignal(RwSignal<Locale>);

impl LocaleSignal {
    pub fn new(locale: Locale) -> Self {
        Self(RwSignal::new(locale))
    }

    /// The language of the server's document. Browser only.
    pub fn of_document() -> Self {
        let named = document()
            .document_element()
            .and_then(|html| html.get_attribute("lang"));
        let locale = Locale::get_all()
            .iter()
            .find(|locale| Some(locale.as_str()) == named.as_deref());
        Self::new(locale.copied().unwrap_or_default())
    }

    pub fn get_locale(self) -> Locale {
        self.0.get()
    }

    pub fn get_locale_untracked(self) -> Locale {
        self.0.get_untracked()
    }

    pub fn set_locale(self, locale: Locale) {
        self.0.set(locale);
    }
}

/// The language of the page that the calling component is on.
pub fn use_i18n() -> LocaleSignal {
    use_context().unwrap_or_else(|| LocaleSignal::new(Locale::default()))
}

/// `t_string!(i18n, app.home)`: the text under a key, in the page's language.
macro_rules! t_string {
    ($language:expr, $($key:tt)*) => {
        leptos_i18n::td_string!($language.get_locale(), $($key)*)
    };
}

pub(crate) use t_string;
