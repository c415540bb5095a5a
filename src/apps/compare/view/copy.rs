//! Results to take away: as a table, as data, as a link.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::super::bench::Bench;
use super::super::share::Shared;
use super::super::table::{csv, markdown, rows};
use crate::ui::{
    card::Card,
    text::{TextKey, dynamic_view, t, text_key, translate},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Markdown,
    Csv,
    Json,
    Link,
}

#[component]
pub fn CopyCard(bench: Bench) -> impl IntoView {
    let form = RwSignal::new(None::<Form>);
    let some = Memo::new(move |_| bench.shown.with(|shown| !shown.is_empty()));
    let shown = dynamic_view(move || {
        if !some.get() {
            return None;
        }
        let written = dynamic_view(move || form.get().map(|form| field(write(bench, form))));
        Some(
            view! {
                <div class="row">
                    {button(bench, form, text_key!(compare.copy_markdown), Form::Markdown)}
                    {button(bench, form, text_key!(compare.copy_csv), Form::Csv)}
                    {button(bench, form, text_key!(compare.copy_json), Form::Json)}
                    {button(bench, form, text_key!(compare.copy_link), Form::Link)}
                </div>
                {written}
            }
            .into_any(),
        )
    });
    let hint = move || some.get().then(|| t!(compare.copy_hint));
    view! {
        <Card id="copy" title=text_key!(compare.copy)>
            <p class="hint">{hint}</p>
            <p class="hint">{move || (!some.get()).then(|| t!(compare.copy_none))}</p>
            {shown}
        </Card>
    }
    .into_any()
}

/// Shows the text, and puts it into the clipboard where the browser allows it.
fn button(bench: Bench, form: RwSignal<Option<Form>>, name: TextKey, of: Form) -> AnyView {
    let copy = move |_| {
        form.set(Some(of));
        let text = untrack(move || write(bench, of));
        to_clipboard(&text);
    };
    let chosen = move || (form.get() == Some(of)).to_string();
    view! { <button class="button small" aria-pressed=chosen on:click=copy>{translate(name)}</button> }.into_any()
}

/// What becomes of it does not matter: the text is there to be seen. Only pages that came by a safe way have a clipboard.
fn to_clipboard(text: &str) {
    let navigator = window().navigator();
    let there = js_sys::Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|clipboard| !clipboard.is_undefined());
    if there {
        let written = JsFuture::from(navigator.clipboard().write_text(text));
        spawn_local(async move { drop(written.await) });
    }
}

fn field(text: String) -> AnyView {
    view! {
        <label class="field">
            <span>{t!(compare.copy_text)}</span>
            <textarea class="mono" data-copied="" readonly rows="8" prop:value=text></textarea>
        </label>
    }
    .into_any()
}

fn write(bench: Bench, form: Form) -> String {
    let table = |write: fn(&[Vec<String>]) -> String| {
        let write = move |shown: &Shared| shown.results.as_ref().map(|results| write(&rows(results)));
        bench.shown.with(write).unwrap_or_default()
    };
    match form {
        Form::Markdown => table(markdown),
        Form::Csv => table(csv),
        Form::Json => bench
            .shown
            .with(|shown| serde_json::to_string_pretty(shown).unwrap_or_default()),
        Form::Link => bench.link(),
    }
}
