//! A price that shows that it moved, and by how much it is above or below.

use leptos::prelude::*;

use super::super::{order, wire::Entry};
use super::{floor::WatchList, words};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, fill, optional_text},
};

/// A mark that changes with each move, so that the style sheet's animation begins anew; none before the first. Whoever wants
/// less motion sees none: the style sheet says so.
fn flash(price: Memo<u64>) -> Signal<Option<String>> {
    let mark = RwSignal::new(None::<&'static str>);
    Effect::new(move |before: Option<u64>| {
        let now = price.get();
        if let Some(before) = before.filter(|before| *before != now) {
            let even = matches!(mark.get_untracked(), Some("up-0" | "down-0"));
            mark.set(Some(match (now > before, even) {
                (true, false) => "up-0",
                (true, true) => "up-1",
                (false, false) => "down-0",
                (false, true) => "down-1",
            }));
        }
        now
    });
    optional_text(move || mark.get().map(str::to_owned))
}

pub fn price(entry: RwSignal<Entry>) -> AnyView {
    let last = Memo::new(move |_| entry.with(|entry| entry.tick.last));
    let listing = entry.with_untracked(|entry| entry.listing.clone());
    let said = dynamic_text(move || words::price(&listing, last.get()));
    view! { <span class="price" data-flash=flash(last)>{said}</span> }.into_any()
}

/// The change in percent, with sign and arrow: a colour alone would say nothing to many.
pub fn change(entry: RwSignal<Entry>) -> AnyView {
    let change = Memo::new(move |_| entry.with(order::change));
    let way = dynamic_text(move || words::way(change.get()).to_owned());
    let arrow = dynamic_text(move || words::arrow(change.get()).to_owned());
    let percent = dynamic_text(move || words::change(change.get()));
    view! {
        <span class="change" data-way=way><span class="arrow" aria-hidden="true">{arrow}</span>{percent}</span>
    }
    .into_any()
}

pub fn difference(entry: RwSignal<Entry>) -> AnyView {
    let said = dynamic_text(move || entry.with(words::difference));
    view! { <span class="difference">{said}</span> }.into_any()
}

/// The star of the watch list.
pub fn star(watched: WatchList, symbol: String, entry: RwSignal<Entry>) -> AnyView {
    let i18n = use_i18n();
    let pressed = Memo::new({
        let symbol = symbol.clone();
        move |_| watched.has(&symbol)
    });
    let name = dynamic_text(move || {
        let locale = i18n.get_locale();
        let name = entry.with(|entry| words::name(locale, &entry.listing));
        fill(td_string!(locale, market.watch), &[("name", &name)])
    });
    let sign = dynamic_text(move || if pressed.get() { "★" } else { "☆" }.to_owned());
    view! {
        <button
            type="button"
            class="star script"
            aria-label=name
            aria-pressed=dynamic_text(move || pressed.get().to_string())
            on:click=move |_| watched.toggle(&symbol)
        >{sign}</button>
    }
    .into_any()
}
