//! What is measured, in words: there without scripts too.

use leptos::prelude::*;

use super::super::model::Way;
use super::words;
use crate::ui::{
    card::Card,
    words::{say, spoken, words},
};

#[component]
pub fn WaysCard() -> impl IntoView {
    let way = |way: Way| {
        view! { <div><dt>{spoken(words::name(way))}</dt><dd>{spoken(words::what(way))}</dd></div> }.into_any()
    };
    view! {
        <Card id="ways" title=words!(compare.ways)>
            <dl class="facts">{Way::ALL.map(way).into_iter().collect_view()}</dl>
            <h3>{say!(compare.how)}</h3>
            <ul class="notes">
                <li>{say!(compare.how_order)}</li>
                <li>{say!(compare.how_bytes)}</li>
                <li>{say!(compare.how_tls)}</li>
                <li>{say!(compare.how_cpu)}</li>
                <li>{say!(compare.how_clock)}</li>
                <li>{say!(compare.how_fresh)}</li>
                <li>{say!(compare.how_signal)}</li>
                <li>{say!(compare.how_stale)}</li>
            </ul>
        </Card>
    }
    .into_any()
}
