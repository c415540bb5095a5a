//! How pages say things. Every text, value and changing part of a page goes through one of these few types: a closure
//! written in a `view!` is a type of its own, and each such type costs kilobytes of wasm.

use std::sync::Arc;

use leptos::oco::Oco;
use leptos::prelude::*;
use leptos::text_prop::TextProp;

use crate::i18n::*;

/// A text in each language.
pub type Words = fn(Locale) -> &'static str;

/// `words!(app.home)`: the text under a key of `locales/`.
macro_rules! words {
    ($($key:tt)*) => {
        |locale: $crate::i18n::Locale| leptos_i18n::td_string!(locale, $($key)*)
    };
}

/// `say!(app.home)`: the text under a key, in the visitor's language, as a child or an attribute.
macro_rules! say {
    ($($key:tt)*) => {
        $crate::ui::words::spoken($crate::ui::words::words!($($key)*))
    };
}

pub(crate) use {say, words};

/// The text in the visitor's language; follows a change of it.
pub fn spoken(words: Words) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    let i18n = use_i18n();
    move || words(i18n.get_locale())
}

/// A document's title. The server asks for it when the rendering and its signals may be gone: there it is what it is now.
pub fn titled<T: Into<Oco<'static, str>> + 'static>(of: impl Fn() -> T + Send + Sync + 'static) -> TextProp {
    if is_server() {
        let now: Oco<'static, str> = untrack(of).into();
        TextProp::from(now)
    } else {
        TextProp::from(of)
    }
}

/// A text that changes.
pub fn text(of: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(of)
}

/// A text that is there at times; an element around nothing is `:empty`.
pub fn note(of: impl Fn() -> Option<String> + Send + Sync + 'static) -> Signal<Option<String>> {
    Signal::derive(of)
}

/// A part of the page that changes.
pub fn part(of: impl Fn() -> Option<AnyView> + Send + Sync + 'static) -> impl Fn() -> Option<AnyView> + Clone + Send {
    boxed(Arc::new(of))
}

fn boxed(of: Arc<dyn Fn() -> Option<AnyView> + Send + Sync>) -> impl Fn() -> Option<AnyView> + Clone + Send {
    move || of()
}

/// A name and its value in a description list; `key` marks the value for tests and scripts.
pub fn fact(name: Words, key: &'static str, value: Signal<String>) -> impl IntoView {
    view! { <div><dt>{spoken(name)}</dt><dd data-fact=key>{value}</dd></div> }
}

/// A text with its gaps filled: `{name}` becomes the value of that name, and `{name:one|other}` the word that goes with that
/// number. Pure.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let gap = after
            .split_once('}')
            .and_then(|(gap, after)| Some((in_gap(gap, values)?, after)));
        // Not ours: another filling's, or a brace and nothing more.
        let (value, after) = gap.unwrap_or(("{", after));
        filled.push_str(value);
        rest = after;
    }
    filled + rest
}

fn in_gap<'a>(gap: &'a str, values: &[(&str, &'a str)]) -> Option<&'a str> {
    let (name, forms) = gap
        .split_once(':')
        .map_or((gap, None), |(name, forms)| (name, Some(forms)));
    let (_, value) = values.iter().find(|(known, _)| *known == name)?;
    let Some(forms) = forms else { return Some(value) };
    let (one, other) = forms.split_once('|')?;
    Some(if *value == "1" { one } else { other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_by_name() {
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

    /// Both languages have the same gaps: a text could otherwise lose a value.
    #[test]
    fn translations_have_the_same_gaps() {
        let gaps = |locale: &str| {
            let texts: serde_json::Value = serde_json::from_str(locale).unwrap();
            let mut found = Vec::new();
            for (room, texts) in texts.as_object().unwrap() {
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
                    found.push((room.clone(), key.clone(), names));
                }
            }
            found.sort();
            found
        };
        assert_eq!(
            gaps(include_str!("../../locales/ko.json")),
            gaps(include_str!("../../locales/en.json"))
        );
    }
}
