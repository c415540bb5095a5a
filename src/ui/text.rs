//! Localized texts, and the few closure types with which views render dynamic content. Each closure in a `view!` is a distinct
//! type that costs kilobytes of wasm, so all dynamic texts and views use these types.

use std::sync::Arc;

use leptos::oco::Oco;
use leptos::prelude::*;
use leptos::text_prop::TextProp;

use crate::i18n::*;

/// A key of `locales/`, as the function that returns its text in a language.
pub type TextKey = fn(Locale) -> &'static str;

/// `text_key!(app.home)`: a key of `locales/` as a [`TextKey`].
macro_rules! text_key {
    ($($key:tt)*) => {
        |locale: $crate::i18n::Locale| leptos_i18n::td_string!(locale, $($key)*)
    };
}

/// `t!(app.home)`: the text under a key, in the visitor's language, as a child or an attribute.
macro_rules! t {
    ($($key:tt)*) => {
        $crate::ui::text::translate($crate::ui::text::text_key!($($key)*))
    };
}

pub(crate) use {t, text_key};

/// The text under a key in the visitor's language; follows a change of the language.
pub fn translate(key: TextKey) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    let i18n = use_i18n();
    move || key(i18n.get_locale())
}

/// A document's title. On the server the text is computed eagerly, because the title is read after the page's signals may have
/// been disposed.
pub fn page_title<T: Into<Oco<'static, str>> + 'static>(title: impl Fn() -> T + Send + Sync + 'static) -> TextProp {
    if is_server() {
        let now: Oco<'static, str> = untrack(title).into();
        TextProp::from(now)
    } else {
        TextProp::from(title)
    }
}

/// A reactive text.
pub fn dynamic_text(text: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(text)
}

/// A reactive optional text; an element around an absent text is `:empty`.
pub fn optional_text(text: impl Fn() -> Option<String> + Send + Sync + 'static) -> Signal<Option<String>> {
    Signal::derive(text)
}

/// A reactive view.
pub fn dynamic_view(
    view: impl Fn() -> Option<AnyView> + Send + Sync + 'static,
) -> impl Fn() -> Option<AnyView> + Clone + Send {
    boxed(Arc::new(view))
}

fn boxed(view: Arc<dyn Fn() -> Option<AnyView> + Send + Sync>) -> impl Fn() -> Option<AnyView> + Clone + Send {
    move || view()
}

/// A name and its value in a description list; `key` marks the value for tests and scripts.
pub fn labeled_value(name: TextKey, key: &'static str, value: Signal<String>) -> impl IntoView {
    view! { <div><dt>{translate(name)}</dt><dd data-key=key>{value}</dd></div> }
}

/// Fills a text's placeholders: `{name}` becomes the value of that name, and `{name:one|other}` the singular or plural form for
/// that number. Pure.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let placeholder = after
            .split_once('}')
            .and_then(|(placeholder, after)| Some((placeholder_value(placeholder, values)?, after)));
        // Either an unknown placeholder, which a later call may fill, or a literal brace.
        let (value, after) = placeholder.unwrap_or(("{", after));
        filled.push_str(value);
        rest = after;
    }
    filled + rest
}

fn placeholder_value<'a>(placeholder: &'a str, values: &[(&str, &'a str)]) -> Option<&'a str> {
    let (name, forms) = placeholder
        .split_once(':')
        .map_or((placeholder, None), |(name, forms)| (name, Some(forms)));
    let (_, value) = values.iter().find(|(known, _)| *known == name)?;
    let Some(forms) = forms else { return Some(value) };
    let (one, other) = forms.split_once('|')?;
    Some(if *value == "1" { one } else { other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_by_name() {
        assert_eq!(fill("{a} of {b}, {a}", &[("a", "1"), ("b", "2")]), "1 of 2, 1");
        assert_eq!(fill("as it is", &[("a", "1")]), "as it is");
        let messages = "{n} new {n:message|messages}";
        assert_eq!(fill(messages, &[("n", "1")]), "1 new message");
        assert_eq!(fill(messages, &[("n", "0")]), "0 new messages");
        assert_eq!(fill(messages, &[("n", "1,001")]), "1,001 new messages");
        assert_eq!(fill(&fill("{a} of {b}", &[("b", "2")]), &[("a", "1")]), "1 of 2");
        assert_eq!(
            fill(r#"{"to": {"id": "{a}"}} {a"#, &[("a", "1")]),
            r#"{"to": {"id": "1"}} {a"#
        );
    }

    /// A translation without a placeholder would lose its value.
    #[test]
    fn translations_have_the_same_placeholders() {
        let placeholders = |locale: &str| {
            let texts: serde_json::Value = serde_json::from_str(locale).unwrap();
            let mut found = Vec::new();
            for (section, texts) in texts.as_object().unwrap() {
                for (key, text) in texts.as_object().unwrap() {
                    let mut names: Vec<_> = text
                        .as_str()
                        .unwrap()
                        .split('{')
                        .skip(1)
                        .filter_map(|rest| rest.split_once('}'))
                        .map(|(name, _)| name.split_once(':').map_or(name, |(name, _)| name).to_owned())
                        .collect();
                    names.sort();
                    names.dedup();
                    found.push((section.clone(), key.clone(), names));
                }
            }
            found.sort();
            found
        };
        assert_eq!(
            placeholders(include_str!("../../locales/ko.json")),
            placeholders(include_str!("../../locales/en.json"))
        );
    }
}
