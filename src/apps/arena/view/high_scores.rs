//! The table of high scores, which persist across rounds and restarts.

use leptos::prelude::*;

use super::super::wire::scores::{Score, Scores};
use super::labels;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        text::{dynamic_view, t, text_key},
    },
};
use duplex_leptos::topic::UseTopic;

/// The number of rows on the page; twenty are stored.
const MAX_ROWS: usize = 10;

#[component]
pub fn HighScores(scores: UseTopic<Scores>) -> impl IntoView {
    let i18n = use_i18n();
    let high_scores = Memo::new(move |_| scores.state.with(|high_scores| high_scores.scores.clone()));
    let rows = dynamic_view(move || {
        let (locale, me) = (i18n.get_locale(), scores.me.get().map(|me| me.id));
        let row = |(rank, score): (usize, &Score)| {
            let own = me.as_ref() == Some(&score.by.id);
            view! {
                <tr class:own=own>
                    <td>{(rank + 1).to_string()}</td>
                    <th scope="row">{labels::person_name(locale, &score.by)}</th>
                    <td>{format::grouped(score.mass.into())}</td>
                </tr>
            }
            .into_any()
        };
        Some(high_scores.with(|high_scores| {
            high_scores
                .iter()
                .take(MAX_ROWS)
                .enumerate()
                .map(row)
                .collect_view()
                .into_any()
        }))
    });
    let empty = dynamic_view(move || {
        high_scores
            .with(|high_scores| high_scores.is_empty())
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
