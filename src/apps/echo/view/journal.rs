//! The journal's table: filters, pauses, clears and exports entries, and shows a selected one in full.

use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use super::{
    super::{
        journal::{Content, Entry, Filter, KindFilter},
        state::EchoState,
    },
    labels,
};
use crate::{
    i18n::*,
    ui::{
        download::download,
        format,
        payload_format::{hex_dump, indent_json},
        text::{TextKey, dynamic_text, dynamic_view, fill, optional_text, t, text_key, translate},
        virtual_list::VirtualList,
    },
};

/// Maximum bytes of a payload that the detail shows: more would slow the page down; the export is not truncated.
const MAX_DETAIL_BYTES: usize = 64 * 1024;
/// The number of characters of a content in its row.
const MAX_PREVIEW: usize = 160;

#[component]
pub fn JournalTable(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let selected = RwSignal::new(None);
    let journal = echo.journal;
    let len = Memo::new(move |_| {
        echo.version.track();
        journal.with_value(|journal| journal.len())
    });
    let empty = optional_text(move || {
        let total = journal.with_value(|journal| journal.total());
        match (len.get(), total) {
            (0, 0) => Some(t_string!(i18n, echo.journal_empty).to_owned()),
            (0, _) => Some(t_string!(i18n, echo.journal_no_match).to_owned()),
            _ => None,
        }
    });
    let cells = move |id| match journal.with_value(|journal| journal.entry(id)) {
        Some(entry) => view! { <Cells entry/> }.into_any(),
        None => ().into_any(),
    };
    view! {
        <Toolbar echo/>
        <div class="journal">
            <div class="journal-rows">
                <ColumnNames/>
                <VirtualList
                    label=text_key!(echo.journal)
                    len
                    id_at=move |index| journal.with_value(|journal| journal.row(index)).map(|entry| entry.id)
                    cells
                    version=echo.version
                    selected
                />
                <p class="hint">{empty}</p>
            </div>
            <Detail echo selected/>
        </div>
    }
}

#[component]
fn ColumnNames() -> impl IntoView {
    view! {
        <div class="journal-columns" aria-hidden="true">
            <span>{t!(echo.column_time)}</span>
            <span>{t!(echo.column_kind)}</span>
            <span class="number">{t!(echo.column_size)}</span>
            <span class="number">{t!(echo.column_wire)}</span>
            <span class="number">{t!(echo.column_trip)}</span>
            <span>{t!(echo.column_content)}</span>
        </div>
    }
}

#[component]
fn Cells(entry: Arc<Entry>) -> impl IntoView {
    let kind = entry.kind;
    let locale = use_i18n().get_locale_untracked();
    let wire_size = entry.wire_size.map(format::bytes).unwrap_or_default();
    let trip = entry
        .round_trip
        .map(|trip| format::millis(locale, trip))
        .unwrap_or_default();
    view! {
        <span class="mono">{local_time(entry.at)}</span>
        <span class="kind" data-kind=format!("{kind:?}").to_lowercase()>{translate(labels::kind(kind))}</span>
        <span class="number">{kind.is_message().then(|| format::bytes(entry.size))}</span>
        <span class="number">{wire_size}</span>
        <span class="number">{trip}</span>
        <span class="preview">{preview(&entry.content)}</span>
    }
}

#[component]
fn Toolbar(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let kinds = RwSignal::new(KindFilter::All);
    let term = RwSignal::new(String::new());
    let paused = RwSignal::new(false);
    Effect::new(move |before: Option<Filter>| {
        let filter = Filter {
            kinds: kinds.get(),
            term: term.get().to_lowercase(),
        };
        if before.is_some_and(|before| before != filter) {
            echo.set_filter(filter.clone());
        }
        filter
    });
    let pause = move |_| {
        paused.update(|paused| *paused = !*paused);
        let paused = paused.get_untracked();
        echo.edit_journal(|journal| if paused { journal.pause() } else { journal.resume() });
    };
    let choice = move |one: KindFilter, name: TextKey| {
        let pressed = dynamic_text(move || (kinds.get() == one).to_string());
        view! { <button type="button" aria-pressed=pressed on:click=move |_| kinds.set(one)>{translate(name)}</button> }
    };
    let pause_label = dynamic_text(move || match paused.get() {
        true => t_string!(i18n, echo.resume).to_owned(),
        false => t_string!(i18n, echo.pause).to_owned(),
    });
    view! {
        <div class="toolbar">
            <div class="segmented-control" role="group" aria-label=t!(echo.show)>
                {choice(KindFilter::All, text_key!(echo.show_all))}
                {choice(KindFilter::Sent, text_key!(echo.show_sent))}
                {choice(KindFilter::Received, text_key!(echo.show_received))}
                {choice(KindFilter::Lifecycle, text_key!(echo.show_lifecycle))}
            </div>
            <input type="search" name="search" class="search" aria-label=t!(echo.search) placeholder=t!(echo.search) bind:value=term/>
            <button type="button" class="button small" aria-pressed=dynamic_text(move || paused.get().to_string()) on:click=pause>{pause_label}</button>
            <button type="button" class="button small" on:click=move |_| echo.edit_journal(|journal| journal.clear())>{t!(echo.clear)}</button>
            <button type="button" class="button small" on:click=move |_| export(echo)>{t!(echo.export)}</button>
            <Counts echo/>
        </div>
    }
}

/// The numbers of entries in total, held back and dropped.
#[component]
fn Counts(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let counts = Memo::new(move |_| {
        echo.version.track();
        echo.journal
            .with_value(|journal| (journal.total() as u64, journal.paused_count() as u64, journal.dropped()))
    });
    let line = dynamic_text(move || {
        let (total, held, dropped) = counts.get();
        let mut parts = vec![fill(
            t_string!(i18n, echo.entries),
            &[("count", &format::grouped(total))],
        )];
        if held > 0 {
            parts.push(fill(
                t_string!(i18n, echo.held_back),
                &[("count", &format::grouped(held))],
            ));
        }
        if dropped.entries > 0 {
            let (count, size) = (format::grouped(dropped.entries), format::bytes(dropped.bytes));
            parts.push(fill(
                t_string!(i18n, echo.dropped),
                &[("count", &count), ("size", &size)],
            ));
        }
        parts.join(" · ")
    });
    view! { <p class="counts">{line}</p> }
}

#[component]
fn Detail(echo: EchoState, selected: RwSignal<Option<u64>>) -> impl IntoView {
    let i18n = use_i18n();
    let entry = move || {
        selected
            .get()
            .and_then(|id| echo.journal.with_value(|journal| journal.entry(id)))
    };
    let body = dynamic_view(move || {
        let Some(entry) = entry() else {
            return Some(view! { <p class="hint">{t!(echo.detail_none)}</p> }.into_any());
        };
        let locale = i18n.get_locale();
        Some(
            view! {
                <p class="journal-detail-header">{detail_head(locale, &entry)}</p>
                <p class="hint">{truncation_note(locale, &entry)}</p>
                <pre tabindex="0" aria-label=t!(echo.detail)>{full_text(&entry.content)}</pre>
            }
            .into_any(),
        )
    });
    view! { <div class="journal-detail" role="region" aria-label=t!(echo.detail)>{body}</div> }
}

fn detail_head(locale: Locale, entry: &Entry) -> String {
    let trip = entry
        .round_trip
        .map(|trip| format!(" · {}", format::millis(locale, trip)))
        .unwrap_or_default();
    format!(
        "#{} · {} · {}{trip}",
        entry.id,
        labels::kind(entry.kind)(locale),
        local_time(entry.at)
    )
}

fn truncation_note(locale: Locale, entry: &Entry) -> Option<String> {
    let note = || {
        fill(
            td_string!(locale, echo.detail_cut),
            &[("size", &format::bytes(entry.size))],
        )
    };
    (entry.size > MAX_DETAIL_BYTES as u64).then(note)
}

/// The start of a content on one line.
fn preview(content: &Content) -> String {
    match content {
        Content::Text(text) | Content::Note(text) => text
            .chars()
            .take(MAX_PREVIEW)
            .map(|char| if char.is_control() { ' ' } else { char })
            .collect(),
        Content::Binary(bytes) => bytes
            .iter()
            .take(24)
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn full_text(content: &Content) -> String {
    match content {
        Content::Binary(bytes) => hex_dump(bytes, MAX_DETAIL_BYTES),
        Content::Note(text) => text.clone(),
        Content::Text(text) if text.len() > MAX_DETAIL_BYTES => {
            text[..text.floor_char_boundary(MAX_DETAIL_BYTES)].to_owned()
        }
        Content::Text(text) => {
            // A reply starts with a prefix; the rest may be JSON.
            let start = text.find(['{', '[']).unwrap_or(text.len());
            let (before, json) = text.split_at(start);
            match serde_json::from_str::<serde::de::IgnoredAny>(json) {
                Ok(_) => format!("{before}{}", indent_json(json)),
                Err(_) => text.clone(),
            }
        }
    }
}

/// The visitor's time of day with milliseconds. Entries exist only in the browser.
fn local_time(at: f64) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(at));
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        date.get_hours(),
        date.get_minutes(),
        date.get_seconds(),
        date.get_milliseconds()
    )
}

fn export(echo: EchoState) {
    let json = echo
        .journal
        .with_value(|journal| serde_json::to_string_pretty(&journal.export()));
    if let Ok(json) = json {
        let _ = download("websocket-journal.json", "application/json", &json);
    }
}
