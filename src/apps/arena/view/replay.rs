//! Records of rounds: one to keep, and one to play, here, by the same simulation.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlInputElement};

use super::super::model::body::RATE;
use super::super::model::record::MAX_FILE;
use super::hud::{Arena, FilmHud};
use super::words;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        text::{TextKey, dynamic_text, dynamic_view, optional_text, t, text_key, translate},
    },
};

#[component]
pub fn Records(arena: Arena) -> impl IntoView {
    let wrong = RwSignal::new(false);
    let i18n = use_i18n();
    let problem = optional_text(move || wrong.get().then(|| t_string!(i18n, arena.no_record).to_owned()));
    let chosen = move |event: leptos::ev::Event| {
        let input = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let file = input.as_ref().and_then(|input| input.files()?.get(0));
        if let Some(file) = file {
            spawn_local(async move {
                let bytes = read(&file).await;
                let mut shown = false;
                arena.with(|engine| shown = bytes.is_some_and(|bytes| engine.show(&bytes)));
                wrong.try_set(!shown);
            });
        }
        if let Some(input) = input {
            // The same file may be chosen again.
            input.set_value("");
        }
    };
    let film = Memo::new(move |_| arena.hud.with(|hud| hud.film.is_some()));
    let controls = dynamic_view(move || film.get().then(|| view! { <Controls arena/> }.into_any()));
    view! {
        <Card id="arena-records" title=text_key!(arena.records)>
            <p class="hint">{t!(arena.records_text)}</p>
            <div class="row">
                <a class="button" href="/api/arena/record" download="round.arena" rel="external">{t!(arena.save_record)}</a>
                <label class="button file arena-script">
                    {t!(arena.play_record)}
                    <input type="file" accept=".arena" on:change=chosen/>
                </label>
            </div>
            <p class="problem" role="alert">{problem}</p>
            {controls}
        </Card>
    }
    .into_any()
}

async fn read(file: &File) -> Option<Vec<u8>> {
    if file.size() > MAX_FILE as f64 {
        return None;
    }
    let buffer = JsFuture::from(file.array_buffer()).await.ok()?;
    Some(js_sys::Uint8Array::new(&buffer).to_vec())
}

#[component]
fn Controls(arena: Arena) -> impl IntoView {
    let i18n = use_i18n();
    let nothing = FilmHud {
        tick: 0,
        ticks: 1,
        runs: false,
        is_true: None,
    };
    let film = Memo::new(move |_| arena.hud.with(|hud| hud.film).unwrap_or(nothing));
    let runs = Memo::new(move |_| film.get().runs);
    let switch = move |_| arena.with(|engine| engine.film(|film| film.run(!runs.get_untracked())));
    let button = dynamic_text(move || {
        let words: TextKey = if runs.get() {
            text_key!(arena.pause)
        } else {
            text_key!(arena.go_on)
        };
        words(i18n.get_locale()).to_owned()
    });
    let time = dynamic_text(move || {
        let FilmHud { tick, ticks, .. } = film.get();
        [&words::clock(tick / RATE), " / ", &words::clock(ticks / RATE)].concat()
    });
    let verdict = optional_text(move || {
        let words: TextKey = match film.get().is_true? {
            true => text_key!(arena.record_true),
            false => text_key!(arena.record_false),
        };
        Some(words(i18n.get_locale()).to_owned())
    });
    let sought = move |event: leptos::ev::Event| {
        if let Ok(tick) = event_target_value(&event).parse() {
            arena.with(|engine| engine.film(|film| film.seek(tick)));
        }
    };
    view! {
        <div class="arena-film" data-film=move || if runs.get() { "runs" } else { "stands" }>
            <label class="field">
                <span>{t!(arena.seek)}</span>
                <input
                    type="range"
                    min="0"
                    max=move || film.get().ticks.to_string()
                    prop:value=move || film.get().tick.to_string()
                    on:change=sought
                />
            </label>
            <div class="row">
                <button class="button small" type="button" on:click=switch>{button}</button>
                <button class="button small" type="button" on:click=move |_| arena.with(super::engine::Engine::close_film)>
                    {translate(text_key!(arena.close_record))}
                </button>
                <span class="hint arena-time">{time}</span>
            </div>
            <p class="hint arena-verdict" role="status">{verdict}</p>
        </div>
    }
    .into_any()
}
