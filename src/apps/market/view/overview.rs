//! The table of all symbols: sortable by each column, searchable, and filtered to the watch list on request. Rows are re-sorted
//! every two seconds, except while the pointer or focus is in the table, so that they do not move under the pointer.

use std::time::Duration;

use leptos::leptos_dom::helpers::IntervalHandle;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::super::{
    sort::{Column, Sort, matches_search},
    wire::{ALL, Quotes},
};
use super::{feed_status::FeedStatusLine, labels, quote_store::QuoteStore, row::row};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, fill, page_title, t, text_key, translate},
};
use duplex_leptos::topic::{Live, use_topic};

const REORDER_INTERVAL: Duration = Duration::from_secs(2);

/// The id of the form that searches and sorts without scripts.
const FORM_ID: &str = "market-choice";

pub fn overview() -> AnyView {
    let quotes = use_topic::<Quotes>(ALL);
    view! {
        <Title text=page_title(t!(market.title))/>
        <header class="page-header market-header">
            <h1>{t!(market.title)}</h1>
            <p class="lede">{t!(market.lede)}</p>
        </header>
        <Live topic=quotes fallback=loading>
            {table(QuoteStore::start(quotes))}
        </Live>
    }
    .into_any()
}

pub fn loading() -> AnyView {
    view! { <p class="hint market-loading" role="status">{t!(market.loading)}</p> }.into_any()
}

/// The visitor's view settings.
#[derive(Clone, Copy)]
struct TableSettings {
    sort: RwSignal<Sort>,
    search: RwSignal<String>,
    only_watched: RwSignal<bool>,
    /// True while the pointer or the keyboard focus is in the table.
    paused: RwSignal<bool>,
    reorder_count: RwSignal<u32>,
}

fn table(store: QuoteStore) -> AnyView {
    let i18n = use_i18n();
    let parameter = |name: &str| use_query_map().with_untracked(|query| query.get(name));
    let sort = parameter("sort").and_then(|code| Sort::from_code(&code));
    let settings = TableSettings {
        sort: RwSignal::new(sort.unwrap_or_default()),
        search: RwSignal::new(parameter("search").unwrap_or_default()),
        only_watched: RwSignal::new(false),
        paused: RwSignal::new(false),
        reorder_count: RwSignal::new(0),
    };
    reorder_periodically(settings);
    let symbols = Memo::new(move |_| symbols(store, settings, i18n.get_locale()));
    let column_headers: Vec<_> = Column::ALL
        .into_iter()
        .map(|column| column_header(settings, column))
        .collect();
    view! {
        <FeedStatusLine store/>
        <Toolbar store settings symbols/>
        <div class="market-table">
            <table>
                <caption class="visually-hidden">{t!(market.table)}</caption>
                <thead>
                    <tr>
                        <td class="cell-star"></td>
                        {column_headers}
                        <th scope="col" class="cell-spark">{t!(market.spark)}</th>
                    </tr>
                </thead>
                <tbody
                    on:pointerenter=move |_| settings.paused.set(true)
                    on:pointerleave=move |_| settings.paused.set(false)
                    on:focusin=move |_| settings.paused.set(true)
                    on:focusout=move |_| settings.paused.set(false)
                >
                    <For each=move || symbols.get() key=|symbol| symbol.clone() let:symbol>
                        {row(store, symbol)}
                    </For>
                </tbody>
            </table>
        </div>
        {empty_message(store, settings, symbols)}
    }
    .into_any()
}

fn symbols(store: QuoteStore, settings: TableSettings, locale: Locale) -> Vec<String> {
    settings.reorder_count.track();
    let sort = settings.sort.get();
    let only_watched = settings.only_watched.get();
    let search = settings.search.get();
    let mut entries: Vec<_> = store
        .all()
        .into_iter()
        .filter(|entry| {
            matches_search(&search, entry) && (!only_watched || store.watch_list.contains(&entry.listing.symbol))
        })
        .map(|entry| (labels::name(locale, &entry.listing), entry))
        .collect();
    entries.sort_by(|a, b| sort.compare((&a.0, &a.1), (&b.0, &b.1)));
    entries.into_iter().map(|(_, entry)| entry.listing.symbol).collect()
}

fn reorder_periodically(settings: TableSettings) {
    Effect::new(move |_| {
        let reorder = move || {
            if !settings.paused.get_untracked() {
                settings.reorder_count.update(|count| *count = count.wrapping_add(1));
            }
        };
        let timer = set_interval_with_handle(reorder, REORDER_INTERVAL).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
}

fn column_header(settings: TableSettings, column: Column) -> AnyView {
    let sort = settings.sort;
    let class = match column {
        Column::Name => "cell-name",
        Column::Last => "cell-last number",
        Column::Change => "cell-change number",
        Column::Volume => "cell-volume number",
    };
    view! {
        <th scope="col" class=class aria-sort=dynamic_text(move || sort.get().aria_sort(column).to_owned())>
            <button
                type="submit"
                form=FORM_ID
                name="sort"
                value=dynamic_text(move || sort.get().toggle(column).code())
                class="sort"
                data-column=column.code()
                on:click=move |event| {
                    event.prevent_default();
                    sort.update(|sort| *sort = sort.toggle(column));
                }
            >{translate(labels::column(column))}</button>
        </th>
    }
    .into_any()
}

#[component]
fn Toolbar(store: QuoteStore, settings: TableSettings, symbols: Memo<Vec<String>>) -> impl IntoView {
    let i18n = use_i18n();
    let count = dynamic_text(move || {
        let count = symbols.with(Vec::len).to_string();
        fill(t_string!(i18n, market.count), &[("count", &count)])
    });
    let watched_label = dynamic_text(move || {
        let count = store.watch_list.count();
        fill(t_string!(i18n, market.watch_list), &[("count", &count.to_string())])
    });
    let pressed = move |watched: bool| dynamic_text(move || (settings.only_watched.get() == watched).to_string());
    view! {
        <form class="row market-toolbar" id=FORM_ID action="/market" on:submit=|event| event.prevent_default()>
            <label class="field grow">
                <span>{t!(market.search)}</span>
                <input
                    type="search"
                    name="search"
                    autocomplete="off"
                    placeholder=t!(market.search_hint)
                    value=settings.search.get_untracked()
                    bind:value=settings.search
                />
            </label>
            <button type="submit" class="button noscript-only">{t!(market.search)}</button>
            <div class="segmented-control script-only" role="group" aria-label=t!(market.which)>
                <button type="button" aria-pressed=pressed(false) on:click=move |_| settings.only_watched.set(false)>
                    {t!(market.all)}
                </button>
                <button type="button" aria-pressed=pressed(true) on:click=move |_| settings.only_watched.set(true)>
                    {watched_label}
                </button>
            </div>
            <p class="hint market-count" role="status">{count}</p>
        </form>
    }
    .into_any()
}

/// The message shown if the table is empty.
fn empty_message(store: QuoteStore, settings: TableSettings, symbols: Memo<Vec<String>>) -> AnyView {
    let empty = Memo::new(move |_| symbols.with(Vec::is_empty));
    dynamic_view(move || {
        if !empty.get() {
            return None;
        }
        let key = if store.all().is_empty() {
            text_key!(market.no_prices)
        } else if settings.only_watched.get() && settings.search.with(String::is_empty) {
            text_key!(market.none_watched)
        } else {
            text_key!(market.none_found)
        };
        Some(view! { <p class="market-empty">{translate(key)}</p> }.into_any())
    })
    .into_any()
}
