//! The trades card: a symbol's last trades, newest first.

use leptos::prelude::*;

use super::super::wire::{Candles, Entry, Trade};
use super::{labels, quote_store::QuoteStore, times};
use crate::ui::{
    card::Card,
    text::{dynamic_text, dynamic_view, t, text_key},
};
use duplex_leptos::topic::UseTopic;

#[component]
pub fn TradesCard(store: QuoteStore, candles: UseTopic<Candles>, entry: RwSignal<Entry>) -> impl IntoView {
    let trades = Memo::new(move |_| {
        candles.state.with(|chart| {
            let numbers = (0..=chart.trade_count).rev();
            numbers.zip(chart.trades.iter().rev().copied()).collect::<Vec<_>>()
        })
    });
    let empty = Memo::new(move |_| trades.with(Vec::is_empty));
    let empty_hint = dynamic_view(move || {
        empty
            .get()
            .then(|| view! { <p class="hint">{t!(market.no_trades)}</p> }.into_any())
    });
    view! {
        <Card id="trades" title=text_key!(market.trades)>
            <table class="trades">
                <thead>
                    <tr>
                        <th scope="col">{t!(market.time)}</th>
                        <th scope="col" class="number">{t!(market.price)}</th>
                        <th scope="col" class="number">{t!(market.quantity)}</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || trades.get() key=|(number, _)| *number let:numbered>
                        {trade(store, entry, numbered.1)}
                    </For>
                </tbody>
            </table>
            {empty_hint}
        </Card>
    }
    .into_any()
}

fn trade(store: QuoteStore, entry: RwSignal<Entry>, trade: Trade) -> AnyView {
    let (price, quantity) = entry.with_untracked(|entry| {
        (
            labels::price(&entry.listing, trade.price),
            labels::volume(&entry.listing, trade.quantity),
        )
    });
    let time = dynamic_text(move || times::time_of_day(trade.at, store.use_local_time.get()));
    let (direction, arrow) = if trade.buyer_is_taker {
        ("up", "▲ ")
    } else {
        ("down", "▼ ")
    };
    let side = if trade.buyer_is_taker {
        t!(market.bought).into_any()
    } else {
        t!(market.sold).into_any()
    };
    view! {
        <tr>
            <td>{time}</td>
            <td class="number change" data-direction=direction>
                <span aria-hidden="true">{arrow}</span><span class="visually-hidden">{side}" "</span>{price}
            </td>
            <td class="number">{quantity}</td>
        </tr>
    }
    .into_any()
}
