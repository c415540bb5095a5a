//! Controls for recordings: download the round's recording, or open a file and replay it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlInputElement};

use super::super::model::body::TICK_RATE;
use super::super::model::recording::MAX_FILE;
use super::hud::{ArenaHandle, ReplayHud};
use super::labels;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        text::{TextKey, dynamic_text, dynamic_view, optional_text, t, text_key, translate},
    },
};

#[component]
pub fn Recordings(arena: ArenaHandle) -> impl IntoView {
    let invalid = RwSignal::new(false);
    let i18n = use_i18n();
    let problem = optional_text(move || invalid.get().then(|| t_string!(i18n, arena.no_record).to_owned()));
    let choose_file = move |event: leptos::ev::Event| {
        let input = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let file = input.as_ref().and_then(|input| input.files()?.get(0));
        if let Some(file) = file {
            spawn_local(async move {
                let bytes = read(&file).await;
                let mut opened = false;
                arena.with_engine(|engine| opened = bytes.is_some_and(|bytes| engine.open_recording(&bytes)));
                invalid.try_set(!opened);
            });
        }
        if let Some(input) = input {
            // Lets the visitor choose the same file again.
            input.set_value("");
        }
    };
    let replay = Memo::new(move |_| arena.hud.with(|hud| hud.replay.is_some()));
    let controls = dynamic_view(move || replay.get().then(|| view! { <Controls arena/> }.into_any()));
    view! {
        <Card id="arena-records" title=text_key!(arena.records)>
            <p class="hint">{t!(arena.records_text)}</p>
            <div class="row">
                <a class="button" href="/api/arena/record" download="round.arena" rel="external">{t!(arena.save_record)}</a>
                <label class="button file arena-script-only">
                    {t!(arena.play_record)}
                    <input type="file" accept=".arena" on:change=choose_file/>
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
fn Controls(arena: ArenaHandle) -> impl IntoView {
    let i18n = use_i18n();
    let empty = ReplayHud {
        tick: 0,
        ticks: 1,
        playing: false,
        verified: None,
    };
    let replay = Memo::new(move |_| arena.hud.with(|hud| hud.replay).unwrap_or(empty));
    let playing = Memo::new(move |_| replay.get().playing);
    let toggle =
        move |_| arena.with_engine(|engine| engine.with_replay(|replay| replay.set_playing(!playing.get_untracked())));
    let button = dynamic_text(move || {
        let key: TextKey = if playing.get() {
            text_key!(arena.pause)
        } else {
            text_key!(arena.go_on)
        };
        key(i18n.get_locale()).to_owned()
    });
    let time = dynamic_text(move || {
        let ReplayHud { tick, ticks, .. } = replay.get();
        [
            &labels::minutes_seconds(tick / TICK_RATE),
            " / ",
            &labels::minutes_seconds(ticks / TICK_RATE),
        ]
        .concat()
    });
    let verdict = optional_text(move || {
        let key: TextKey = match replay.get().verified? {
            true => text_key!(arena.record_true),
            false => text_key!(arena.record_false),
        };
        Some(key(i18n.get_locale()).to_owned())
    });
    let seek = move |event: leptos::ev::Event| {
        if let Ok(tick) = event_target_value(&event).parse() {
            arena.with_engine(|engine| engine.with_replay(|replay| replay.seek(tick)));
        }
    };
    view! {
        <div class="arena-replay" data-replay=move || if playing.get() { "playing" } else { "paused" }>
            <label class="field">
                <span>{t!(arena.seek)}</span>
                <input
                    type="range"
                    min="0"
                    max=move || replay.get().ticks.to_string()
                    prop:value=move || replay.get().tick.to_string()
                    on:change=seek
                />
            </label>
            <div class="row">
                <button class="button small" type="button" on:click=toggle>{button}</button>
                <button class="button small" type="button" on:click=move |_| arena.with_engine(super::engine::Engine::close_replay)>
                    {translate(text_key!(arena.close_record))}
                </button>
                <span class="hint arena-time">{time}</span>
            </div>
            <p class="hint arena-verification" role="status">{verdict}</p>
        </div>
    }
    .into_any()
}
