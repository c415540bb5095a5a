//! The page of one symbol: price, candles, trades and alerts.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::super::wire::{ALL, Candles, Entry, Interval, Quotes, symbol_path};
use super::{
    alerts::AlertsCard,
    candles::CandlesCard,
    feed_status::FeedStatusLine,
    labels,
    overview::loading,
    price::{change, difference, price, star},
    quote_store::QuoteStore,
    trades::TradesCard,
};
use crate::{
    i18n::*,
    ui::{
        not_found::respond_not_found,
        text::{dynamic_text, dynamic_view, labeled_value, page_title, t, text_key, translate},
    },
};
use duplex_leptos::topic::{Live, TopicStatus, UseTopic, use_topic};

/// Re-created when the visitor navigates to another symbol.
pub fn detail(symbol: String) -> AnyView {
    let quotes = use_topic::<Quotes>(ALL);
    let candles = use_topic::<Candles>(&symbol);
    view! {
        <Live topic=quotes fallback=loading>
            <Live topic=candles fallback=loading>
                {page(QuoteStore::start(quotes), candles, symbol)}
            </Live>
        </Live>
    }
    .into_any()
}

fn page(store: QuoteStore, candles: UseTopic<Candles>, symbol: String) -> AnyView {
    let exists = Memo::new({
        let symbol = symbol.clone();
        move |_| store.entry(&symbol).is_some()
    });
    dynamic_view(move || {
        exists.track();
        Some(match untrack(|| store.entry(&symbol)) {
            Some(entry) => symbol_page(store, candles, symbol.clone(), entry.into()),
            None => not_found(store),
        })
    })
    .into_any()
}

fn not_found(store: QuoteStore) -> AnyView {
    // Whether the symbol exists is known only once the quotes are loaded.
    let status = store.quotes.status;
    if status.with_untracked(|status| *status != TopicStatus::Loading) {
        respond_not_found();
    }
    view! {
        <Title text=page_title(t!(market.no_symbol))/>
        <div class="page-header">
            <h1>{t!(market.no_symbol)}</h1>
            <p class="lede">{t!(market.no_symbol_text)}</p>
            <p><a href="/market" class="button">{t!(market.back)}</a></p>
        </div>
    }
    .into_any()
}

fn symbol_page(store: QuoteStore, candles: UseTopic<Candles>, symbol: String, entry: RwSignal<Entry>) -> AnyView {
    let i18n = use_i18n();
    let query = use_query_map();
    let interval = Memo::new(move |_| {
        let code = query.with(|query| query.get("interval"));
        code.and_then(|code| Interval::from_code(&code)).unwrap_or_default()
    });
    let listing = StoredValue::new(entry.with_untracked(|entry| entry.listing.clone()));
    let name = dynamic_text(move || listing.with_value(|listing| labels::name(i18n.get_locale(), listing)));
    let title = dynamic_text(move || {
        let last = entry.with(|entry| labels::price(&entry.listing, entry.tick.last));
        name.with(|name| [name, " ", &last].concat())
    });
    let stale = Memo::new(move |_| entry.with(|entry| entry.tick.stale));
    view! {
        <Title text=page_title(move || title.get())/>
        <header class="symbol-header" data-stale=dynamic_text(move || stale.get().to_string())>
            <p><a href="/market">{t!(market.back)}</a></p>
            <div class="symbol-heading">
                <h1>{name}</h1>
                <span class="code mono">{listing.with_value(labels::code)}</span>
                <span class="tag">{translate(listing.with_value(|listing| labels::sector(listing.sector)))}</span>
                {star(store.watch_list, symbol.clone(), entry)}
            </div>
            <p class="symbol-price">
                {price(entry)}
                {change(entry)}
                {difference(entry)}
                <span class="stale-badge">{t!(market.old)}</span>
            </p>
            {day(entry)}
            <FeedStatusLine store/>
        </header>
        <Intervals symbol interval/>
        <CandlesCard store candles entry interval/>
        <div class="grid">
            <TradesCard store candles entry/>
            <AlertsCard store entry/>
        </div>
    }
    .into_any()
}

fn day(entry: RwSignal<Entry>) -> AnyView {
    let price = move |field: fn(&Entry) -> u64| {
        dynamic_text(move || entry.with(|entry| labels::price(&entry.listing, field(entry))))
    };
    let volume = dynamic_text(move || entry.with(|entry| labels::volume(&entry.listing, entry.tick.volume)));
    view! {
        <dl class="symbol-day-stats">
            {labeled_value(text_key!(market.open), "open", price(|entry| entry.tick.open))}
            {labeled_value(text_key!(market.high), "high", price(|entry| entry.tick.high))}
            {labeled_value(text_key!(market.low), "low", price(|entry| entry.tick.low))}
            {labeled_value(text_key!(market.volume), "volume", volume)}
        </dl>
    }
    .into_any()
}

/// Links rather than buttons, so that they work without scripts and can be shared. Plain `<a>` elements, because the router's
/// links compare only the path and would mark all of them as current.
#[component]
fn Intervals(symbol: String, interval: Memo<Interval>) -> impl IntoView {
    let link = |each: Interval| {
        let href = [&symbol_path(&symbol), "?interval=", each.code()].concat();
        let current = move || (interval.get() == each).then_some("true");
        view! {
            <li><a href=href data-noscroll="" aria-current=current>{translate(labels::interval(each))}</a></li>
        }
        .into_any()
    };
    let links: Vec<_> = Interval::ALL.into_iter().map(link).collect();
    view! { <nav class="intervals" aria-label=t!(market.interval)><ul>{links}</ul></nav> }.into_any()
}
