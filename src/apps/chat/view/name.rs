//! The visitor's own name as others see it, and the form that changes it.

use leptos::{ev::SubmitEvent, html, prelude::*};

use super::{labels, room_model::RoomModel, storage};
use crate::{
    i18n::*,
    ui::{
        name_field,
        text::{dynamic_text, fill, optional_text, t},
    },
    wire::person::sanitize_name,
};
use duplex_protocol::person::MAX_NAME;

#[component]
pub fn NameForm(room: RoomModel) -> impl IntoView {
    let i18n = use_i18n();
    let me = room.chat.me;
    let label = dynamic_text(move || {
        let name = me.with(|me| me.as_ref().map(|me| labels::name(i18n.get_locale(), me)));
        fill(t_string!(i18n, chat.you_are), &[("name", &name.unwrap_or_default())])
    });
    let typed = RwSignal::new(String::new());
    let details = NodeRef::<html::Details>::new();
    name_field::sync_field(typed, move || {
        me.with(|me| me.as_ref().map(|me| me.name.clone())).unwrap_or_default()
    });
    let problem = optional_text(move || {
        let reason = room.chat.name_rejected.get()?;
        Some(name_field::rejection_text(&reason)(i18n.get_locale()).to_owned())
    });
    Effect::new(move |_| {
        if room.chat.name_rejected.with(Option::is_some) {
            let name = me.with_untracked(|me| me.as_ref().map(|me| me.name.clone()));
            storage::store_name(&name.unwrap_or_default());
        }
    });
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let name = sanitize_name(&typed.get_untracked());
        room.chat.rename(&name);
        storage::store_name(&name);
        if let Some(details) = details.get_untracked() {
            let _ = details.remove_attribute("open");
        }
    };
    view! {
        <details class="name-form script-only" node_ref=details>
            <summary>{label}</summary>
            <form class="row" on:submit=save>
                <label class="field grow">
                    <span>{t!(chat.your_name)}</span>
                    <input name="name" autocomplete="nickname" maxlength=MAX_NAME.to_string() bind:value=typed/>
                </label>
                <button class="button small primary" type="submit">{t!(chat.save)}</button>
            </form>
            <p class="hint">{t!(chat.name_hint)}</p>
        </details>
        <p class="problem" role="alert">{problem}</p>
    }
    .into_any()
}
