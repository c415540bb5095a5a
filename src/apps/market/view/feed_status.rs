//! The feed status line: the price source, whether it is simulated, and its connection status.

use leptos::prelude::*;

use super::{labels, quote_store::QuoteStore};
use crate::{
    i18n::*,
    ui::{
        format,
        text::{dynamic_text, dynamic_view, fill, optional_text, t},
    },
};

#[component]
pub fn FeedStatusLine(store: QuoteStore) -> impl IntoView {
    let i18n = use_i18n();
    let source = Memo::new(move |_| store.quotes.state.with(|book| book.source.clone()));
    let feed = Memo::new(move |_| store.quotes.state.with(|book| book.feed));
    let has_prices = Memo::new(move |_| store.quotes.state.with(|book| !book.entries.is_empty()));
    let status = store.quotes.status;
    let feed_status = move || labels::feed_status(status.get(), feed.get().status, has_prices.get());
    let code = dynamic_text(move || feed_status().0.to_owned());
    let label = dynamic_text(move || (feed_status().1)(i18n.get_locale()).to_owned());
    let source_line = dynamic_view(move || {
        source.with(|source| match (source.name.is_empty(), source.simulated) {
            (true, _) => None,
            (false, true) => Some(
                view! { <p class="market-source" data-simulated="true"><strong>{t!(market.simulated)}</strong>" "{t!(market.simulated_text)}</p> }
                    .into_any(),
            ),
            (false, false) => {
                let name = source.name.clone();
                let label = dynamic_text(move || fill(t_string!(i18n, market.from), &[("source", &name)]));
                Some(view! { <p class="market-source" data-simulated="false">{label}</p> }.into_any())
            }
        })
    });
    let skipped = optional_text(move || {
        let count = feed.get().skipped;
        (count > 0).then(|| fill(t_string!(i18n, market.skipped), &[("count", &format::grouped(count))]))
    });
    view! {
        <div class="market-feed">
            {source_line}
            <p class="market-status script-only" role="status" data-status=code>
                <span class="dot" aria-hidden="true"></span>
                <span>{label}</span>
            </p>
            <p class="hint">{skipped}</p>
        </div>
    }
    .into_any()
}
