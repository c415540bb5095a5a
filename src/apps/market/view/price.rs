//! Price components: the flashing price, its change and difference, and the watch-list star.

use leptos::prelude::*;

use super::super::{sort, wire::Entry};
use super::{labels, quote_store::WatchList};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, fill, optional_text},
};

/// The `data-flash` value, which differs for consecutive changes so that the animation restarts; none before the first change.
/// The style sheet disables the animation for visitors who prefer reduced motion.
fn flash(price: Memo<u64>) -> Signal<Option<String>> {
    let flash_value = RwSignal::new(None::<&'static str>);
    Effect::new(move |before: Option<u64>| {
        let now = price.get();
        if let Some(before) = before.filter(|before| *before != now) {
            let was_even = matches!(flash_value.get_untracked(), Some("up-0" | "down-0"));
            flash_value.set(Some(match (now > before, was_even) {
                (true, false) => "up-0",
                (true, true) => "up-1",
                (false, false) => "down-0",
                (false, true) => "down-1",
            }));
        }
        now
    });
    optional_text(move || flash_value.get().map(str::to_owned))
}

pub fn price(entry: RwSignal<Entry>) -> AnyView {
    let last = Memo::new(move |_| entry.with(|entry| entry.tick.last));
    let listing = entry.with_untracked(|entry| entry.listing.clone());
    let shown = dynamic_text(move || labels::price(&listing, last.get()));
    view! { <span class="price" data-flash=flash(last)>{shown}</span> }.into_any()
}

/// The change in percent, with sign and arrow, because colour alone is not accessible.
pub fn change(entry: RwSignal<Entry>) -> AnyView {
    let change = Memo::new(move |_| entry.with(sort::change));
    let direction = dynamic_text(move || labels::direction(change.get()).to_owned());
    let arrow = dynamic_text(move || labels::arrow(change.get()).to_owned());
    let percent = dynamic_text(move || labels::change(change.get()));
    view! {
        <span class="change" data-direction=direction><span class="arrow" aria-hidden="true">{arrow}</span>{percent}</span>
    }
    .into_any()
}

pub fn difference(entry: RwSignal<Entry>) -> AnyView {
    let shown = dynamic_text(move || entry.with(labels::difference));
    view! { <span class="difference">{shown}</span> }.into_any()
}

/// The toggle button of the watch list.
pub fn star(watch_list: WatchList, symbol: String, entry: RwSignal<Entry>) -> AnyView {
    let i18n = use_i18n();
    let pressed = Memo::new({
        let symbol = symbol.clone();
        move |_| watch_list.contains(&symbol)
    });
    let name = dynamic_text(move || {
        let locale = i18n.get_locale();
        let name = entry.with(|entry| labels::name(locale, &entry.listing));
        fill(td_string!(locale, market.watch), &[("name", &name)])
    });
    let sign = dynamic_text(move || if pressed.get() { "★" } else { "☆" }.to_owned());
    view! {
        <button
            type="button"
            class="star script-only"
            aria-label=name
            aria-pressed=dynamic_text(move || pressed.get().to_string())
            on:click=move |_| watch_list.toggle(&symbol)
        >{sign}</button>
    }
    .into_any()
}
