//! The best scores, which stay.

use leptos::prelude::*;

use super::super::wire::scores::{Score, Scores};
use super::words;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        text::{dynamic_view, t, text_key},
    },
};
use duplex_leptos::topic::UseTopic;

/// Of twenty that are kept, as many as the page shows.
const SHOWN: usize = 10;

#[component]
pub fn Best(scores: UseTopic<Scores>) -> impl IntoView {
    let i18n = use_i18n();
    let best = Memo::new(move |_| scores.state.with(|best| best.scores.clone()));
    let rows = dynamic_view(move || {
        let (locale, me) = (i18n.get_locale(), scores.me.get().map(|me| me.id));
        let row = |(rank, score): (usize, &Score)| {
            let own = me.as_ref() == Some(&score.by.id);
            view! {
                <tr class:own=own>
                    <td>{(rank + 1).to_string()}</td>
                    <th scope="row">{words::person(locale, &score.by)}</th>
                    <td>{format::grouped(score.mass.into())}</td>
                </tr>
            }
            .into_any()
        };
        Some(best.with(|best| best.iter().take(SHOWN).enumerate().map(row).collect_view().into_any()))
    });
    let empty = dynamic_view(move || {
        best.with(|best| best.is_empty())
            .then(|| view! { <p class="hint">{t!(arena.no_best)}</p> }.into_any())
    });
    view! {
        <Card id="arena-best" title=text_key!(arena.best)>
            <table class="arena-table">
                <thead>
                    <tr>
                        <th scope="col">{t!(arena.rank)}</th>
                        <th scope="col">{t!(arena.name)}</th>
                        <th scope="col">{t!(arena.peak)}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            {empty}
        </Card>
    }
    .into_any()
}
