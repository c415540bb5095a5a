//! The card that describes the transports; it works without scripts.

use leptos::prelude::*;

use super::super::model::Transport;
use super::labels;
use crate::ui::{
    card::Card,
    text::{t, text_key, translate},
};

#[component]
pub fn TransportsCard() -> impl IntoView {
    let transport = |transport: Transport| {
        view! { <div><dt>{translate(labels::name(transport))}</dt><dd>{translate(labels::description(transport))}</dd></div> }.into_any()
    };
    view! {
        <Card id="ways" title=text_key!(compare.ways)>
            <dl class="properties">{Transport::ALL.map(transport).into_iter().collect_view()}</dl>
            <h3>{t!(compare.how)}</h3>
            <ul class="notes">
                <li>{t!(compare.how_order)}</li>
                <li>{t!(compare.how_bytes)}</li>
                <li>{t!(compare.how_tls)}</li>
                <li>{t!(compare.how_cpu)}</li>
                <li>{t!(compare.how_clock)}</li>
                <li>{t!(compare.how_fresh)}</li>
                <li>{t!(compare.how_signal)}</li>
                <li>{t!(compare.how_stale)}</li>
            </ul>
        </Card>
    }
    .into_any()
}
