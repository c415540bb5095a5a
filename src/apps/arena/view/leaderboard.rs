//! The leaderboard as a table, rendered by the server and kept current. Spectators choose here which body to follow.

use leptos::prelude::*;

use super::super::wire::frame::LeaderboardRow;
use super::hud::ArenaHandle;
use super::labels;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        text::{dynamic_text, dynamic_view, fill, t, text_key},
    },
};

#[component]
pub fn Leaderboard(arena: ArenaHandle) -> impl IntoView {
    let leaderboard = Memo::new(move |_| arena.hud.with(|hud| hud.leaderboard.clone()));
    let ids = move || leaderboard.with(|rows| rows.iter().map(|row| row.id).collect::<Vec<_>>());
    let empty = dynamic_view(move || {
        leaderboard
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
                    <For each=ids key=|id| *id children=move |id| view! { <LeaderboardEntry arena leaderboard id/> }/>
                </tbody>
            </table>
            {empty}
        </Card>
    }
    .into_any()
}

#[component]
fn LeaderboardEntry(arena: ArenaHandle, leaderboard: Memo<std::sync::Arc<[LeaderboardRow]>>, id: u16) -> impl IntoView {
    let i18n = use_i18n();
    let rank = dynamic_text(move || {
        let rank = leaderboard.with(|rows| rows.iter().position(|row| row.id == id));
        rank.map_or_else(String::new, |rank| (rank + 1).to_string())
    });
    let mass = dynamic_text(move || {
        let mass = leaderboard.with(|rows| rows.iter().find(|row| row.id == id).map(|row| row.mass));
        format::grouped(mass.unwrap_or(0).into())
    });
    let name = dynamic_text(move || {
        let name = leaderboard.with(|rows| rows.iter().find(|row| row.id == id).map(|row| row.name.clone()));
        labels::body_name(i18n.get_locale(), id, &name.unwrap_or_default())
    });
    let followed = Memo::new(move |_| arena.hud.with(|hud| hud.focus == id));
    let can_follow = Memo::new(move |_| {
        let live = arena.hud.with(|hud| hud.connection.is_some());
        live && !arena.is_playing()
    });
    let label = dynamic_view(move || {
        Some(if can_follow.get() {
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
            <th scope="row">{label}</th>
            <td>{mass}</td>
        </tr>
    }
    .into_any()
}
