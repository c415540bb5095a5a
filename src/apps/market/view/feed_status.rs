//! Where the prices come from, whether they are invented, and how current they are.

use leptos::prelude::*;

use super::{floor::Floor, words};
use crate::{
    i18n::*,
    ui::{
        format,
        text::{dynamic_text, dynamic_view, fill, optional_text, t},
    },
};

#[component]
pub fn FeedStatusLine(floor: Floor) -> impl IntoView {
    let i18n = use_i18n();
    let source = Memo::new(move |_| floor.quotes.state.with(|board| board.source.clone()));
    let feed = Memo::new(move |_| floor.quotes.state.with(|board| board.feed));
    let has_prices = Memo::new(move |_| floor.quotes.state.with(|board| !board.entries.is_empty()));
    let status = floor.quotes.status;
    let shown = move || words::feed_status(status.get(), feed.get().status, has_prices.get());
    let word = dynamic_text(move || shown().0.to_owned());
    let said = dynamic_text(move || (shown().1)(i18n.get_locale()).to_owned());
    let from = dynamic_view(move || {
        source.with(|source| match (source.name.is_empty(), source.simulated) {
            (true, _) => None,
            (false, true) => Some(
                view! { <p class="market-source" data-simulated="true"><strong>{t!(market.simulated)}</strong>" "{t!(market.simulated_text)}</p> }
                    .into_any(),
            ),
            (false, false) => {
                let name = source.name.clone();
                let said = dynamic_text(move || fill(t_string!(i18n, market.from), &[("source", &name)]));
                Some(view! { <p class="market-source" data-simulated="false">{said}</p> }.into_any())
            }
        })
    });
    let skipped = optional_text(move || {
        let count = feed.get().skipped;
        (count > 0).then(|| fill(t_string!(i18n, market.skipped), &[("count", &format::grouped(count))]))
    });
    view! {
        <div class="market-standing">
            {from}
            <p class="market-status script" role="status" data-standing=word>
                <span class="dot" aria-hidden="true"></span>
                <span>{said}</span>
            </p>
            <p class="hint">{skipped}</p>
        </div>
    }
    .into_any()
}
