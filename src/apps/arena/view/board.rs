//! The leaderboard as a table: in the server's HTML already, and kept current; who watches chooses here whom to follow.

use leptos::prelude::*;

use super::super::wire::frame::Row;
use super::hud::Arena;
use super::words;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        text::{dynamic_text, dynamic_view, fill, t, text_key},
    },
};

#[component]
pub fn Board(arena: Arena) -> impl IntoView {
    let board = Memo::new(move |_| arena.hud.with(|hud| hud.board.clone()));
    let ids = move || board.with(|rows| rows.iter().map(|row| row.id).collect::<Vec<_>>());
    let empty = dynamic_view(move || {
        board
            .with(|rows| rows.is_empty())
            .then(|| view! { <p class="hint">{t!(arena.asleep)}</p> }.into_any())
    });
    view! {
        <Card id="arena-board" title=text_key!(arena.board)>
            <table class="arena-table">
                <thead>
                    <tr>
                        <th scope="col">{t!(arena.rank)}</th>
                        <th scope="col">{t!(arena.name)}</th>
                        <th scope="col">{t!(arena.mass)}</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=ids key=|id| *id children=move |id| view! { <Line arena board id/> }/>
                </tbody>
            </table>
            {empty}
        </Card>
    }
    .into_any()
}

#[component]
fn Line(arena: Arena, board: Memo<std::sync::Arc<[Row]>>, id: u16) -> impl IntoView {
    let i18n = use_i18n();
    let rank = dynamic_text(move || {
        let rank = board.with(|rows| rows.iter().position(|row| row.id == id));
        rank.map_or_else(String::new, |rank| (rank + 1).to_string())
    });
    let mass = dynamic_text(move || {
        let mass = board.with(|rows| rows.iter().find(|row| row.id == id).map(|row| row.mass));
        format::grouped(mass.unwrap_or(0).into())
    });
    let name = dynamic_text(move || {
        let name = board.with(|rows| rows.iter().find(|row| row.id == id).map(|row| row.name.clone()));
        words::body(i18n.get_locale(), id, &name.unwrap_or_default())
    });
    let followed = Memo::new(move |_| arena.hud.with(|hud| hud.focus == id));
    let may_choose = Memo::new(move |_| {
        let live = arena.hud.with(|hud| hud.line.is_some());
        live && !arena.is_playing()
    });
    let shown = dynamic_view(move || {
        Some(if may_choose.get() {
            let label = dynamic_text(move || fill(t_string!(i18n, arena.watch), &[("name", &name.get())]));
            let pressed = move || if followed.get() { "true" } else { "false" };
            view! {
                <button class="arena-name" type="button" aria-label=label aria-pressed=pressed on:click=move |_| arena.watch(id)>
                    {name}
                </button>
            }
            .into_any()
        } else {
            view! { <span class="arena-name">{name}</span> }.into_any()
        })
    });
    view! {
        <tr data-body=id.to_string() class:own=move || followed.get() && arena.is_playing()>
            <td>{rank}</td>
            <th scope="row">{shown}</th>
            <td>{mass}</td>
        </tr>
    }
    .into_any()
}
