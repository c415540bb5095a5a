//! The panel over the field: how the last game ended, the name and the play button; while playing, the leave button.

use leptos::{ev::SubmitEvent, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{HtmlDocument, HtmlElement};

use super::super::wire::frame::Role;
use super::super::wire::input::RoleRequest;
use super::super::wire::scores::Scores;
use super::hud::{ArenaHandle, Hud};
use super::labels;
use crate::{
    i18n::*,
    ui::{
        name_field,
        text::{dynamic_text, dynamic_view, fill, optional_text, t},
    },
    wire::person::sanitize_name,
};
use duplex_leptos::{simulation::ConnectionStatus, topic::UseTopic};
use duplex_protocol::person::MAX_NAME;

/// The cookie with the visitor's name, which the server reads too, and its lifetime.
const NAME_COOKIE: &str = "name";
const YEAR_SECONDS: u32 = 365 * 24 * 60 * 60;

#[component]
pub fn Panel(arena: ArenaHandle, scores: UseTopic<Scores>) -> impl IntoView {
    let shown = Memo::new(move |_| arena.hud.with(|hud| (labels::role(&hud.role), hud.replay.is_some())));
    let panel = dynamic_view(move || match shown.get() {
        (_, true) => None,
        ("playing", _) => Some(view! { <LeaveButton arena/> }.into_any()),
        _ => Some(view! { <JoinForm arena scores/> }.into_any()),
    });
    view! { {panel} }.into_any()
}

#[component]
fn LeaveButton(arena: ArenaHandle) -> impl IntoView {
    view! {
        <button class="button small arena-leave" type="button" on:click=move |_| arena.request(RoleRequest::Watch(None))>
            {t!(arena.leave)}
        </button>
    }
    .into_any()
}

#[component]
fn JoinForm(arena: ArenaHandle, scores: UseTopic<Scores>) -> impl IntoView {
    let i18n = use_i18n();
    let name_input = RwSignal::new(String::new());
    name_field::sync_field(name_input, move || {
        scores
            .me
            .with(|me| me.as_ref().map(|me| me.name.clone()))
            .unwrap_or_default()
    });
    let ended = optional_text(move || arena.hud.with(|hud| end_message(i18n.get_locale(), hud)));
    let watching = dynamic_text(move || {
        let name = arena
            .hud
            .with(|hud| (hud.focus > 0).then(|| labels::body_name(i18n.get_locale(), hud.focus, &hud.focus_name)));
        name.map_or_else(String::new, |name| {
            fill(t_string!(i18n, arena.following), &[("name", &name)])
        })
    });
    let problem = optional_text(move || {
        let reason = scores.name_rejected.get()?;
        Some(name_field::rejection_text(&reason)(i18n.get_locale()).to_owned())
    });
    Effect::new(move |_| {
        if scores.name_rejected.with(Option::is_some) {
            let name = scores.me.with_untracked(|me| me.as_ref().map(|me| me.name.clone()));
            store_name(&name.unwrap_or_default());
        }
    });
    let play = move |event: SubmitEvent| {
        event.prevent_default();
        let name = sanitize_name(&name_input.get_untracked());
        if scores
            .me
            .with_untracked(|me| me.as_ref().is_none_or(|me| me.name != name))
        {
            scores.rename(&name);
            store_name(&name);
        }
        arena.request(RoleRequest::Play(name));
        if let Some(canvas) = document().get_element_by_id("arena-canvas") {
            let _ = canvas.unchecked_into::<HtmlElement>().focus();
        }
    };
    let offline = move || {
        !arena
            .hud
            .with(|hud| matches!(hud.connection, Some(ConnectionStatus::Live(_))))
    };
    view! {
        <form class="arena-panel" on:submit=play>
            <p class="arena-result" role="status">{ended}</p>
            <div class="row">
                <label class="field grow">
                    <span>{t!(arena.your_name)}</span>
                    <input name="name" autocomplete="nickname" maxlength=MAX_NAME.to_string() bind:value=name_input/>
                </label>
                <button class="button primary arena-play" type="submit" disabled=offline>{t!(arena.play)}</button>
            </div>
            <p class="problem" role="alert">{problem}</p>
            <p class="hint">{watching}</p>
        </form>
    }
    .into_any()
}

fn end_message(locale: Locale, hud: &Hud) -> Option<String> {
    let text = match &hud.role {
        Role::Eaten { by, name } => {
            let (name, peak) = (labels::body_name(locale, *by, name), hud.peak.to_string());
            fill(td_string!(locale, arena.eaten), &[("name", &name), ("mass", &peak)])
        }
        Role::Elsewhere => td_string!(locale, arena.elsewhere).to_owned(),
        Role::Full => td_string!(locale, arena.full).to_owned(),
        Role::Watching | Role::Playing { .. } => return None,
    };
    Some(text)
}

fn store_name(name: &str) {
    if let Some(document) = document().dyn_ref::<HtmlDocument>() {
        let value = String::from(js_sys::encode_uri_component(name));
        let _ = document.set_cookie(&format!(
            "{NAME_COOKIE}={value}; Max-Age={YEAR_SECONDS}; Path=/; SameSite=Lax"
        ));
    }
}
