//! The page: the game field with its canvas, and beside it the leaderboard, the high scores, the recordings and the rules.

use leptos::{ev, html, prelude::*};
use leptos_meta::{Meta, Title};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, PointerEvent};

use super::super::wire::scores::{ALL, Scores};
use super::super::wire::{ARENA_PATH, frame::Role};
use super::engine::Engine;
use super::high_scores::HighScores;
use super::hud::ArenaHandle;
use super::labels;
use super::leaderboard::Leaderboard;
use super::panel::Panel;
use super::recordings::Recordings;
use super::steering::Key;
use super::theme::COLOR_COUNT;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format, keys,
        text::{dynamic_text, fill, labeled_value, page_title, t, text_key},
    },
};
use duplex_leptos::{
    simulation::preview,
    topic::{Live, use_topic},
};

pub fn page() -> AnyView {
    let arena = ArenaHandle::new(preview(ARENA_PATH));
    let scores = use_topic::<Scores>(ALL);
    view! {
        <Title text=page_title(t!(arena.title))/>
        <Meta name="description" content=t!(arena.lede)/>
        <div class="arena">
            <header class="arena-header">
                <h1>{t!(arena.title)}</h1>
                <p class="lede">{t!(arena.lede)}</p>
                <noscript>{t!(arena.no_script)}</noscript>
            </header>
            <GameField arena scores/>
            <div class="arena-side">
                <Leaderboard arena/>
                <Live topic=scores fallback=loading><HighScores scores/></Live>
                <Recordings arena/>
                <Rules/>
            </div>
        </div>
    }
    .into_any()
}

fn loading() -> AnyView {
    view! { <p class="hint" role="status">{t!(arena.loading)}</p> }.into_any()
}

#[component]
fn GameField(arena: ArenaHandle, scores: duplex_leptos::topic::UseTopic<Scores>) -> impl IntoView {
    let i18n = use_i18n();
    let canvas = NodeRef::<html::Canvas>::new();
    Effect::new(move |started: Option<bool>| {
        let locale = i18n.get_locale();
        if started == Some(true) {
            arena.with_engine(|engine| engine.set_locale(locale));
            return true;
        }
        let engine = canvas.get().and_then(|canvas| Engine::start(canvas, arena.hud, locale));
        let started = engine.is_some();
        if let Some(engine) = engine {
            arena.start(engine);
        }
        started
    });
    on_cleanup(move || arena.stop());
    let role = Memo::new(move |_| arena.hud.with(|hud| labels::role(&hud.role)));
    let connection = Memo::new(move |_| arena.hud.with(|hud| labels::connection(hud.connection).0));
    view! {
        <section class="arena-field" aria-label=t!(arena.field) data-role=role data-connection=connection>
            <canvas
                id="arena-canvas"
                node_ref=canvas
                tabindex="0"
                role="application"
                aria-label=t!(arena.canvas)
                aria-describedby="arena-keys arena-summary"
                on:keydown=move |event| on_key(arena, &event, true)
                on:keyup=move |event| on_key(arena, &event, false)
                on:blur=move |_| arena.with_engine(|engine| engine.steer(|steering| steering.release()))
                on:pointerdown=move |event| on_pointer_down(arena, &event)
                on:pointermove=move |event| on_pointer_move(arena, &event)
                on:pointerup=move |event| on_pointer_up(arena, &event)
                on:pointercancel=move |event| on_pointer_up(arena, &event)
                on:contextmenu=|event| event.prevent_default()
            ></canvas>
            <p id="arena-keys" class="visually-hidden">{t!(arena.keys)}</p>
            <div class="arena-palette" hidden>{(0..COLOR_COUNT).map(|_| view! { <i></i> }).collect_view()}</div>
            <Stats arena/>
            <Panel arena scores/>
            <Boost arena/>
            <Summary arena/>
        </section>
    }
    .into_any()
}

#[component]
fn Stats(arena: ArenaHandle) -> impl IntoView {
    let i18n = use_i18n();
    let hud = arena.hud;
    let stat = move |read: fn(&super::hud::Hud) -> u32| dynamic_text(move || format::grouped(hud.with(read).into()));
    let lag = dynamic_text(move || {
        let lag = hud.with(|hud| hud.round_trip);
        lag.map_or_else(|| "–".to_owned(), |lag| [&lag.to_string(), " ms"].concat())
    });
    let connection = dynamic_text(move || {
        let status = hud.with(|hud| hud.connection);
        labels::connection(status).1(i18n.get_locale()).to_owned()
    });
    let time_left = dynamic_text(move || labels::minutes_seconds(hud.with(|hud| hud.seconds_left).into()));
    let rank = dynamic_text(move || {
        let rank = hud.with(|hud| hud.rank);
        if rank == 0 { "–".to_owned() } else { rank.to_string() }
    });
    view! {
        <dl class="arena-stats">
            {labeled_value(text_key!(arena.mass), "mass", stat(|hud| hud.mass))}
            {labeled_value(text_key!(arena.rank), "rank", rank)}
            {labeled_value(text_key!(arena.players), "players", stat(|hud| hud.players.into()))}
            {labeled_value(text_key!(arena.watchers), "watchers", stat(|hud| hud.watchers.into()))}
            {labeled_value(text_key!(arena.left), "time-left", time_left)}
            {labeled_value(text_key!(arena.lag), "lag", lag)}
            {labeled_value(text_key!(arena.line), "connection", connection)}
        </dl>
    }
    .into_any()
}

/// The boost button for touch screens; keys and mice boost without it.
#[component]
fn Boost(arena: ArenaHandle) -> impl IntoView {
    let boost = move |on: bool| arena.with_engine(|engine| engine.steer(|steering| steering.set_boost_button(on)));
    view! {
        <button
            class="arena-boost"
            type="button"
            hidden=move || !arena.is_playing()
            on:pointerdown=move |event: PointerEvent| { event.prevent_default(); boost(true); }
            on:pointerup=move |_| boost(false)
            on:pointercancel=move |_| boost(false)
            on:pointerleave=move |_| boost(false)
            on:keydown=move |event| if [" ", "Enter"].iter().any(|key| keys::is_key(&event, key)) { boost(true) }
            on:keyup=move |_| boost(false)
        >
            {t!(arena.boost)}
        </button>
    }
    .into_any()
}

/// The game's state as a sentence for screen readers. It changes with the rank or by steps of 50 mass, not with every mote.
#[component]
fn Summary(arena: ArenaHandle) -> impl IntoView {
    let i18n = use_i18n();
    let summary_state = Memo::new(move |_| {
        arena.hud.with(|hud| {
            (
                labels::role(&hud.role),
                hud.rank,
                hud.leaderboard.len(),
                hud.mass / 50 * 50,
            )
        })
    });
    let summary = dynamic_text(move || {
        let (role, rank, _, mass) = summary_state.get();
        if role != "playing" {
            return t_string!(i18n, arena.summary_watching).to_owned();
        }
        let (rank, mass) = (rank.to_string(), mass.to_string());
        fill(t_string!(i18n, arena.summary), &[("rank", &rank), ("mass", &mass)])
    });
    view! { <p id="arena-summary" class="visually-hidden" role="status">{summary}</p> }.into_any()
}

#[component]
fn Rules() -> impl IntoView {
    view! {
        <Card id="arena-rules" title=text_key!(arena.rules)>
            <ol class="steps">
                <li>{t!(arena.rule_gather)}</li>
                <li>{t!(arena.rule_eat)}</li>
                <li>{t!(arena.rule_boost)}</li>
                <li>{t!(arena.rule_thorns)}</li>
                <li>{t!(arena.rule_round)}</li>
            </ol>
            <p class="hint">{t!(arena.keys)}</p>
            <p class="hint">{t!(arena.marks)}</p>
        </Card>
    }
    .into_any()
}

fn on_key(arena: ArenaHandle, event: &ev::KeyboardEvent, down: bool) {
    let unmodified = !(event.ctrl_key() || event.alt_key() || event.meta_key());
    let key = keys::code(event).and_then(|code| Key::from_code(&code));
    if let Some(key) = key.filter(|_| unmodified || !down) {
        event.prevent_default();
        arena.with_engine(|engine| engine.steer(|steering| steering.set_key(key, down)));
    }
}

/// The pointer's position relative to the canvas's middle, in units of half the shorter side.
fn pointer_position(event: &PointerEvent) -> Option<(f64, f64)> {
    let canvas = event.current_target()?.dyn_into::<HtmlElement>().ok()?;
    let (width, height) = (f64::from(canvas.client_width()), f64::from(canvas.client_height()));
    let half = width.min(height) / 2.0;
    (half > 0.0).then(|| {
        (
            (f64::from(event.offset_x()) - width / 2.0) / half,
            (f64::from(event.offset_y()) - height / 2.0) / half,
        )
    })
}

/// A second finger or a mouse button boosts.
fn on_pointer_down(arena: ArenaHandle, event: &PointerEvent) {
    if !arena.hud.with_untracked(|hud| matches!(hud.role, Role::Playing { .. })) {
        return;
    }
    let boosts = event.pointer_type() == "mouse" || !event.is_primary();
    on_pointer_move(arena, event);
    if boosts {
        arena.with_engine(|engine| engine.steer(|steering| steering.set_pointer_pressed(true)));
    }
}

fn on_pointer_move(arena: ArenaHandle, event: &PointerEvent) {
    if event.is_primary()
        && let Some((x, y)) = pointer_position(event)
    {
        arena.with_engine(|engine| engine.steer(|steering| steering.set_pointer(x, y)));
    }
}

fn on_pointer_up(arena: ArenaHandle, event: &PointerEvent) {
    if event.pointer_type() == "mouse" || !event.is_primary() {
        arena.with_engine(|engine| engine.steer(|steering| steering.set_pointer_pressed(false)));
    }
}
