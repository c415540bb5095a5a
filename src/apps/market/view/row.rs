//! A row of the symbol table. Built once; each cell subscribes to its own field.

use leptos::prelude::*;

use super::super::{
    drawing,
    wire::{Entry, symbol_path},
};
use super::{
    labels,
    price::{change, difference, price, star},
    quote_store::{QuoteStore, WatchList},
    row_html::row_html,
};
use crate::{
    i18n::*,
    ui::{
        fragment::fragment,
        text::{dynamic_text, t},
    },
};

pub fn row(store: QuoteStore, symbol: String) -> AnyView {
    let i18n = use_i18n();
    let Some(entry) = untrack(|| store.entry(&symbol)) else {
        return ().into_any();
    };
    let locale = i18n.get_locale_untracked();
    let entry_for_state = entry.clone();
    fragment(
        || format!("market/{locale}/{symbol}"),
        || entry_for_state.get_untracked(),
        |entry| row_html(locale, entry),
        || cells(store.watch_list, symbol.clone(), entry.into()),
    )
}

fn cells(watch_list: WatchList, symbol: String, entry: RwSignal<Entry>) -> AnyView {
    let i18n = use_i18n();
    let listing = entry.with_untracked(|entry| entry.listing.clone());
    let code = labels::code(&listing);
    let volume = Memo::new(move |_| entry.with(|entry| entry.tick.volume));
    let volume_text = dynamic_text({
        let listing = listing.clone();
        move || labels::volume(&listing, volume.get())
    });
    let name = dynamic_text(move || labels::name(i18n.get_locale(), &listing));
    let stale = Memo::new(move |_| entry.with(|entry| entry.tick.stale));
    view! {
        <tr data-symbol=symbol.clone() data-stale=dynamic_text(move || stale.get().to_string())>
            <td class="cell-star">{star(watch_list, symbol.clone(), entry)}</td>
            <th scope="row" class="cell-name">
                <a href=symbol_path(&symbol)>{name}</a>
                <span class="code mono">{code}</span>
                <span class="stale-badge">{t!(market.old)}</span>
            </th>
            <td class="cell-last number">{price(entry)}</td>
            <td class="cell-change number">{change(entry)}{difference(entry)}</td>
            <td class="cell-volume number">{volume_text}</td>
            <td class="cell-spark">{spark(entry)}</td>
        </tr>
    }
    .into_any()
}

fn spark(entry: RwSignal<Entry>) -> AnyView {
    let points = Memo::new(move |_| entry.with(|entry| drawing::spark(&entry.spark)));
    let direction = Memo::new(move |_| entry.with(|entry| drawing::trend(&entry.spark)));
    view! {
        <svg
            class="spark"
            viewBox="0 0 96 28"
            preserveAspectRatio="none"
            aria-hidden="true"
            data-direction=dynamic_text(move || direction.get().to_owned())
        >
            <polyline points=dynamic_text(move || points.get()) vector-effect="non-scaling-stroke"/>
        </svg>
    }
    .into_any()
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apps::market::wire::{Listing, Sector, Tick};

    fn entry() -> impl Strategy<Value = Entry> {
        let listing = (
            "[a-z0-9&<>\"']{1,9}",
            "[가-힣&<>\"' ]{0,9}",
            "[ -~]{0,9}",
            0..=4u8,
            0..=4u8,
            0..=4u8,
        );
        let tick = (
            any::<u64>(),
            0..10_000u64,
            prop_oneof![0..1_000u64, any::<u64>()],
            any::<bool>(),
        );
        let spark = prop::collection::vec(1..9_999u64, 0..50);
        (listing, tick, spark).prop_map(
            |((symbol, ko, en, scale, min_decimals, volume_scale), (last, open, volume, stale), spark)| {
                let tick = Tick {
                    symbol: symbol.clone(),
                    last,
                    open,
                    high: last,
                    low: open,
                    volume,
                    at: 0,
                    stale,
                };
                let listing = Listing {
                    symbol,
                    names: (ko, en),
                    sector: Sector::Coins,
                    scale,
                    min_decimals,
                    volume_scale,
                };
                Entry { listing, tick, spark }
            },
        )
    }

    proptest! {
        #[test]
        fn the_server_row_equals_the_hydrated_row(entry in entry(), korean in any::<bool>()) {
            let owner = Owner::new();
            let rendered = owner.with(|| {
                let locale = if korean { Locale::ko } else { Locale::en };
                provide_context(LocaleSignal::new(locale));
                let cells = cells(WatchList::default(), entry.listing.symbol.clone(), RwSignal::new(entry.clone()));
                (row_html(locale, &entry), cells.to_html())
            });
            prop_assert_eq!(rendered.0, rendered.1);
        }
    }
}
