//! A table of strings, re-rendered completely on each change. The first column is the row header.

use leptos::prelude::*;

use crate::ui::card::Card;
use crate::ui::text::{TextKey, dynamic_view, translate};

pub fn table(
    id: &'static str,
    title: TextKey,
    columns: &'static [TextKey],
    empty: TextKey,
    rows: Signal<Vec<Vec<String>>>,
) -> AnyView {
    let body = dynamic_view(move || {
        let row = |cells: Vec<String>| {
            let mut cells = cells.into_iter();
            let name = cells.next().unwrap_or_default();
            let cells = cells.map(|cell| view! { <td>{cell}</td> }).collect_view();
            view! { <tr><th scope="row">{name}</th>{cells}</tr> }
        };
        Some(rows.get().into_iter().map(row).collect_view().into_any())
    });
    let empty_hint = dynamic_view(move || {
        rows.with(Vec::is_empty)
            .then(|| view! { <p class="hint">{translate(empty)}</p> }.into_any())
    });
    let headers = columns
        .iter()
        .map(|column| view! { <th scope="col">{translate(*column)}</th> });
    view! {
        <Card id=id title>
            <div class="table-scroll" tabindex="0" role="group" aria-labelledby=format!("{id}-title")>
                <table class="status-table">
                    <thead><tr>{headers.collect_view()}</tr></thead>
                    <tbody>{body}</tbody>
                </table>
                {empty_hint}
            </div>
        </Card>
    }
    .into_any()
}
