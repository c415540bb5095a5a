//! The best scores, which stay.

use leptos::prelude::*;

use super::super::wire::scores::{Score, Scores};
use super::words;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        words::{part, say, words},
    },
};
use duplex_leptos::topic::UseTopic;

/// Of twenty that are kept, as many as the page shows.
const SHOWN: usize = 10;

#[component]
pub fn Best(scores: UseTopic<Scores>) -> impl IntoView {
    let i18n = use_i18n();
    let best = Memo::new(move |_| scores.state.with(|best| best.scores.clone()));
    let rows = part(move || {
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
    let empty = part(move || {
        best.with(|best| best.is_empty())
            .then(|| view! { <p class="hint">{say!(arena.no_best)}</p> }.into_any())
    });
    view! {
        <Card id="arena-best" title=words!(arena.best)>
            <table class="arena-table">
                <thead>
                    <tr>
                        <th scope="col">{say!(arena.rank)}</th>
                        <th scope="col">{say!(arena.name)}</th>
                        <th scope="col">{say!(arena.peak)}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            {empty}
        </Card>
    }
    .into_any()
}
