//! Every event of the socket: filtered, paused, cleared, exported, and each in full when chosen.

use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use super::{
    super::{
        model::{Content, Entry, Filter, Show},
        session::Session,
    },
    words,
};
use crate::{
    i18n::*,
    ui::{
        content::{hex_dump, indent_json},
        download::download,
        format,
        text::{TextKey, dynamic_text, dynamic_view, fill, optional_text, t, text_key, translate},
        virtual_list::VirtualList,
    },
};

/// The most that the detail shows of one content: more would make the page slow, and the export has it all.
const DETAIL_BYTES: usize = 64 * 1024;
/// Characters of a content in its row.
const PREVIEW: usize = 160;

#[component]
pub fn JournalTable(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let chosen = RwSignal::new(None);
    let journal = session.journal;
    let len = Memo::new(move |_| {
        session.changed.track();
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
        <Toolbar session/>
        <div class="journal">
            <div class="journal-rows">
                <ColumnNames/>
                <VirtualList
                    label=text_key!(echo.journal)
                    len
                    id_at=move |index| journal.with_value(|journal| journal.row(index)).map(|entry| entry.id)
                    cells
                    version=session.changed
                    chosen
                />
                <p class="hint">{empty}</p>
            </div>
            <Detail session chosen/>
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
    let wire = entry.wire.map(format::bytes).unwrap_or_default();
    let trip = entry
        .round_trip
        .map(|trip| format::millis(locale, trip))
        .unwrap_or_default();
    view! {
        <span class="mono">{clock(entry.at)}</span>
        <span class="kind" data-kind=format!("{kind:?}").to_lowercase()>{translate(words::kind(kind))}</span>
        <span class="number">{kind.is_message().then(|| format::bytes(entry.size))}</span>
        <span class="number">{wire}</span>
        <span class="number">{trip}</span>
        <span class="preview">{preview(&entry.content)}</span>
    }
}

#[component]
fn Toolbar(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let show = RwSignal::new(Show::All);
    let words = RwSignal::new(String::new());
    let paused = RwSignal::new(false);
    Effect::new(move |before: Option<Filter>| {
        let filter = Filter {
            show: show.get(),
            words: words.get().to_lowercase(),
        };
        if before.is_some_and(|before| before != filter) {
            session.set_filter(filter.clone());
        }
        filter
    });
    let pause = move |_| {
        paused.update(|paused| *paused = !*paused);
        let paused = paused.get_untracked();
        session.edit_journal(|journal| if paused { journal.pause() } else { journal.resume() });
    };
    let choice = move |one: Show, name: TextKey| {
        let pressed = dynamic_text(move || (show.get() == one).to_string());
        view! { <button type="button" aria-pressed=pressed on:click=move |_| show.set(one)>{translate(name)}</button> }
    };
    let pause_words = dynamic_text(move || match paused.get() {
        true => t_string!(i18n, echo.resume).to_owned(),
        false => t_string!(i18n, echo.pause).to_owned(),
    });
    view! {
        <div class="toolbar">
            <div class="choice" role="group" aria-label=t!(echo.show)>
                {choice(Show::All, text_key!(echo.show_all))}
                {choice(Show::Sent, text_key!(echo.show_sent))}
                {choice(Show::Received, text_key!(echo.show_received))}
                {choice(Show::Lifecycle, text_key!(echo.show_lifecycle))}
            </div>
            <input type="search" name="search" class="search" aria-label=t!(echo.search) placeholder=t!(echo.search) bind:value=words/>
            <button type="button" class="button small" aria-pressed=dynamic_text(move || paused.get().to_string()) on:click=pause>{pause_words}</button>
            <button type="button" class="button small" on:click=move |_| session.edit_journal(|journal| journal.clear())>{t!(echo.clear)}</button>
            <button type="button" class="button small" on:click=move |_| export(session)>{t!(echo.export)}</button>
            <Counts session/>
        </div>
    }
}

/// How much there is, is held back, and was dropped.
#[component]
fn Counts(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let counts = Memo::new(move |_| {
        session.changed.track();
        session
            .journal
            .with_value(|journal| (journal.total() as u64, journal.held_back() as u64, journal.dropped()))
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
fn Detail(session: Session, chosen: RwSignal<Option<u64>>) -> impl IntoView {
    let i18n = use_i18n();
    let entry = move || {
        chosen
            .get()
            .and_then(|id| session.journal.with_value(|journal| journal.entry(id)))
    };
    let body = dynamic_view(move || {
        let Some(entry) = entry() else {
            return Some(view! { <p class="hint">{t!(echo.detail_none)}</p> }.into_any());
        };
        let locale = i18n.get_locale();
        Some(
            view! {
                <p class="detail-head">{head(locale, &entry)}</p>
                <p class="hint">{cut(locale, &entry)}</p>
                <pre tabindex="0" aria-label=t!(echo.detail)>{full(&entry.content)}</pre>
            }
            .into_any(),
        )
    });
    view! { <div class="detail" role="region" aria-label=t!(echo.detail)>{body}</div> }
}

fn head(locale: Locale, entry: &Entry) -> String {
    let trip = entry
        .round_trip
        .map(|trip| format!(" · {}", format::millis(locale, trip)))
        .unwrap_or_default();
    format!(
        "#{} · {} · {}{trip}",
        entry.id,
        words::kind(entry.kind)(locale),
        clock(entry.at)
    )
}

fn cut(locale: Locale, entry: &Entry) -> Option<String> {
    let words = || {
        fill(
            td_string!(locale, echo.detail_cut),
            &[("size", &format::bytes(entry.size))],
        )
    };
    (entry.size > DETAIL_BYTES as u64).then(words)
}

/// One line of it.
fn preview(content: &Content) -> String {
    match content {
        Content::Text(text) | Content::Note(text) => text
            .chars()
            .take(PREVIEW)
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

fn full(content: &Content) -> String {
    match content {
        Content::Binary(bytes) => hex_dump(bytes, DETAIL_BYTES),
        Content::Note(text) => text.clone(),
        Content::Text(text) if text.len() > DETAIL_BYTES => text[..text.floor_char_boundary(DETAIL_BYTES)].to_owned(),
        Content::Text(text) => {
            // A reply carries its prefix; what follows may still be JSON.
            let start = text.find(['{', '[']).unwrap_or(text.len());
            let (before, json) = text.split_at(start);
            match serde_json::from_str::<serde::de::IgnoredAny>(json) {
                Ok(_) => format!("{before}{}", indent_json(json)),
                Err(_) => text.clone(),
            }
        }
    }
}

/// The visitor's time of day, to the millisecond. Entries exist in the browser only.
fn clock(at: f64) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(at));
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        date.get_hours(),
        date.get_minutes(),
        date.get_seconds(),
        date.get_milliseconds()
    )
}

fn export(session: Session) {
    let json = session
        .journal
        .with_value(|journal| serde_json::to_string_pretty(&journal.export()));
    if let Ok(json) = json {
        let _ = download("websocket-journal.json", "application/json", &json);
    }
}
