//! The export card: copies the results as Markdown, CSV, JSON or a link.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::super::comparison::Comparison;
use super::super::shared_results::SharedResults;
use super::super::table::{csv, markdown, rows};
use crate::ui::{
    card::Card,
    text::{TextKey, dynamic_view, t, text_key, translate},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Markdown,
    Csv,
    Json,
    Link,
}

#[component]
pub fn ExportCard(comparison: Comparison) -> impl IntoView {
    let format = RwSignal::new(None::<Format>);
    let has_results = Memo::new(move |_| comparison.results.with(|shared| !shared.is_empty()));
    let content = dynamic_view(move || {
        if !has_results.get() {
            return None;
        }
        let export_field = dynamic_view(move || format.get().map(|format| field(export(comparison, format))));
        Some(
            view! {
                <div class="row">
                    {button(comparison, format, text_key!(compare.copy_markdown), Format::Markdown)}
                    {button(comparison, format, text_key!(compare.copy_csv), Format::Csv)}
                    {button(comparison, format, text_key!(compare.copy_json), Format::Json)}
                    {button(comparison, format, text_key!(compare.copy_link), Format::Link)}
                </div>
                {export_field}
            }
            .into_any(),
        )
    });
    let hint = move || has_results.get().then(|| t!(compare.copy_hint));
    view! {
        <Card id="copy" title=text_key!(compare.copy)>
            <p class="hint">{hint}</p>
            <p class="hint">{move || (!has_results.get()).then(|| t!(compare.copy_none))}</p>
            {content}
        </Card>
    }
    .into_any()
}

/// A button that shows the text and copies it to the clipboard, if the browser allows it.
fn button(comparison: Comparison, format: RwSignal<Option<Format>>, name: TextKey, value: Format) -> AnyView {
    let copy = move |_| {
        format.set(Some(value));
        let text = untrack(move || export(comparison, value));
        to_clipboard(&text);
    };
    let chosen = move || (format.get() == Some(value)).to_string();
    view! { <button class="button small" aria-pressed=chosen on:click=copy>{translate(name)}</button> }.into_any()
}

/// Copies a text; failures are ignored, as the text is shown too. Only secure contexts have a clipboard.
fn to_clipboard(text: &str) {
    let navigator = window().navigator();
    let has_clipboard =
        js_sys::Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|clipboard| !clipboard.is_undefined());
    if has_clipboard {
        let copied = JsFuture::from(navigator.clipboard().write_text(text));
        spawn_local(async move { drop(copied.await) });
    }
}

fn field(text: String) -> AnyView {
    view! {
        <label class="field">
            <span>{t!(compare.copy_text)}</span>
            <textarea class="mono" data-export="" readonly rows="8" prop:value=text></textarea>
        </label>
    }
    .into_any()
}

fn export(comparison: Comparison, format: Format) -> String {
    let table = |write: fn(&[Vec<String>]) -> String| {
        let write = move |shared: &SharedResults| shared.results.as_ref().map(|results| write(&rows(results)));
        comparison.results.with(write).unwrap_or_default()
    };
    match format {
        Format::Markdown => table(markdown),
        Format::Csv => table(csv),
        Format::Json => comparison
            .results
            .with(|shared| serde_json::to_string_pretty(shared).unwrap_or_default()),
        Format::Link => comparison.link(),
    }
}
