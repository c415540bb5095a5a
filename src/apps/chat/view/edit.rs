//! One's own message, open for a change, in its place.

use leptos::{
    ev::{KeyboardEvent, SubmitEvent},
    leptos_dom::helpers::request_animation_frame,
    prelude::*,
};

use super::{
    super::{
        model::Message,
        wire::{ChatCommand, check_text, tidy_text},
    },
    menu::button_id,
    talk::Talk,
    words,
};
use crate::{
    i18n::*,
    ui::{
        keys,
        text::{optional_text, t},
    },
};
use duplex_protocol::{cursor::Seq, session::Rejection};

/// Opens a message for a change, with what was typed there before.
pub fn edit(talk: Talk, seq: Seq, message: RwSignal<Message>) {
    talk.edits.update_value(|edits| {
        let text = || ArcRwSignal::new(message.with_untracked(|message| message.text.clone()));
        edits.entry(seq).or_insert_with(text);
    });
    talk.editing.set(Some(seq));
    request_animation_frame(move || super::list::focus(&field_id(seq)));
}

fn field_id(seq: Seq) -> String {
    format!("edit{seq}")
}

pub fn edit_form(talk: Talk, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let i18n = use_i18n();
    let typed = talk.edits.with_value(|edits| edits.get(&seq).cloned());
    let typed = RwSignal::from(typed.unwrap_or_default());
    let problem = RwSignal::new(None::<&'static str>);
    let line = optional_text(move || {
        problem
            .get()
            .map(|why| words::rejection(i18n.get_locale(), &Rejection::refused(why)))
    });
    let close = move || {
        talk.editing.set(None);
        talk.edits.update_value(|edits| {
            edits.remove(&seq);
        });
        super::list::focus(&button_id(seq));
    };
    let save = move || {
        let text = tidy_text(&typed.get_untracked());
        if let Err(why) = check_text(&text) {
            return problem.set(Some(why));
        }
        if message.with_untracked(|message| message.text != text) {
            talk.send(ChatCommand::Edit { seq, text });
        }
        close();
    };
    let on_key = move |event: KeyboardEvent| {
        if keys::is(&event, "Escape") {
            close();
        } else if keys::sends(&event) {
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
            <textarea enterkeyhint="send" aria-label=t!(chat.edit) id=field_id(seq) on:keydown=on_key bind:value=typed></textarea>
            <p class="problem" role="alert">{line}</p>
            <div class="row">
                <button class="button small primary" type="submit">{t!(chat.save)}</button>
                <button class="button small" type="button" on:click=move |_| close()>{t!(chat.cancel)}</button>
            </div>
        </form>
    }
    .into_any()
}
