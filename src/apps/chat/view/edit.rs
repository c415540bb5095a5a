//! The inline form for editing one's own message.

use leptos::{
    ev::{KeyboardEvent, SubmitEvent},
    leptos_dom::helpers::request_animation_frame,
    prelude::*,
};

use super::{
    super::{
        model::Message,
        wire::{ChatCommand, check_text, normalize_text},
    },
    labels,
    menu::button_id,
    room_model::RoomModel,
};
use crate::{
    i18n::*,
    ui::{
        keys,
        text::{optional_text, t},
    },
};
use duplex_protocol::{cursor::Seq, session::Rejection};

/// Opens a message for editing; restores the unfinished text of an earlier edit.
pub fn edit(room: RoomModel, seq: Seq, message: RwSignal<Message>) {
    room.edit_drafts.update_value(|drafts| {
        let text = || ArcRwSignal::new(message.with_untracked(|message| message.text.clone()));
        drafts.entry(seq).or_insert_with(text);
    });
    room.editing.set(Some(seq));
    request_animation_frame(move || super::list::focus_element(&field_id(seq)));
}

fn field_id(seq: Seq) -> String {
    format!("edit{seq}")
}

pub fn edit_form(room: RoomModel, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let i18n = use_i18n();
    let text = room.edit_drafts.with_value(|drafts| drafts.get(&seq).cloned());
    let text = RwSignal::from(text.unwrap_or_default());
    let problem = RwSignal::new(None::<&'static str>);
    let problem_line = optional_text(move || {
        problem
            .get()
            .map(|reason| labels::rejection(i18n.get_locale(), &Rejection::custom(reason)))
    });
    let close = move || {
        room.editing.set(None);
        room.edit_drafts.update_value(|drafts| {
            drafts.remove(&seq);
        });
        super::list::focus_element(&button_id(seq));
    };
    let save = move || {
        let text = normalize_text(&text.get_untracked());
        if let Err(reason) = check_text(&text) {
            return problem.set(Some(reason));
        }
        if message.with_untracked(|message| message.text != text) {
            room.send(ChatCommand::Edit { seq, text });
        }
        close();
    };
    let on_key = move |event: KeyboardEvent| {
        if keys::is_key(&event, "Escape") {
            close();
        } else if keys::is_submit(&event) {
            event.prevent_default();
            save();
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        save();
    };
    view! {
        <form class="edit-form" on:submit=on_submit>
            <textarea enterkeyhint="send" aria-label=t!(chat.edit) id=field_id(seq) on:keydown=on_key bind:value=text></textarea>
            <p class="problem" role="alert">{problem_line}</p>
            <div class="row">
                <button class="button small primary" type="submit">{t!(chat.save)}</button>
                <button class="button small" type="button" on:click=move |_| close()>{t!(chat.cancel)}</button>
            </div>
        </form>
    }
    .into_any()
}
