//! A symbol's row. It is made once; each cell follows its own part of its own symbol.

use leptos::prelude::*;

use super::super::{
    drawing,
    wire::{Entry, symbol_path},
};
use super::{
    floor::Floor,
    price::{change, difference, price, star},
    words,
};
use crate::{
    i18n::*,
    ui::{
        fragment::fragment,
        words::{say, text},
    },
};

pub fn row(floor: Floor, symbol: String) -> AnyView {
    let i18n = use_i18n();
    let Some(entry) = untrack(|| floor.entry(&symbol)) else {
        return ().into_any();
    };
    let locale = i18n.get_locale_untracked();
    let shows = entry.clone();
    fragment(
        || format!("market/{locale}/{symbol}"),
        || shows.get_untracked(),
        || cells(floor, symbol.clone(), entry.into()),
    )
}

fn cells(floor: Floor, symbol: String, entry: RwSignal<Entry>) -> AnyView {
    let i18n = use_i18n();
    let listing = entry.with_untracked(|entry| entry.listing.clone());
    let code = words::code(&listing);
    let volume = Memo::new(move |_| entry.with(|entry| entry.tick.volume));
    let traded = text({
        let listing = listing.clone();
        move || words::volume(&listing, volume.get())
    });
    let name = text(move || words::name(i18n.get_locale(), &listing));
    let stale = Memo::new(move |_| entry.with(|entry| entry.tick.stale));
    view! {
        <tr data-symbol=symbol.clone() data-stale=text(move || stale.get().to_string())>
            <td class="cell-star">{star(floor, symbol.clone(), entry)}</td>
            <th scope="row" class="cell-name">
                <a href=symbol_path(&symbol)>{name}</a>
                <span class="code mono">{code}</span>
                <span class="stale-mark">{say!(market.old)}</span>
            </th>
            <td class="cell-last number">{price(entry)}</td>
            <td class="cell-change number">{change(entry)}{difference(entry)}</td>
            <td class="cell-volume number">{traded}</td>
            <td class="cell-spark">{spark(entry)}</td>
        </tr>
    }
    .into_any()
}

fn spark(entry: RwSignal<Entry>) -> AnyView {
    let points = Memo::new(move |_| entry.with(|entry| drawing::spark(&entry.spark)));
    let way = Memo::new(move |_| {
        entry.with(|entry| match (entry.spark.first(), entry.spark.last()) {
            (Some(first), Some(last)) if last > first => "up",
            (Some(first), Some(last)) if last < first => "down",
            _ => "flat",
        })
    });
    view! {
        <svg
            class="spark"
            viewBox="0 0 96 28"
            preserveAspectRatio="none"
            aria-hidden="true"
            data-way=text(move || way.get().to_owned())
        >
            <polyline points=text(move || points.get()) vector-effect="non-scaling-stroke"/>
        </svg>
    }
    .into_any()
}
