//! One's own message, open for a change, in its place.

use leptos::{
    ev::{KeyboardEvent, SubmitEvent},
    html,
    prelude::*,
};

use super::{
    super::{
        model::Message,
        wire::{ChatCommand, check_text, tidy_text},
    },
    composer::sends,
    menu::button_id,
    talk::Talk,
    words,
};
use crate::{
    i18n::*,
    ui::words::{note, say},
    wire::{cursor::Seq, session::Rejection},
};

pub fn edit_form(talk: Talk, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let i18n = use_i18n();
    let typed = RwSignal::new(message.with_untracked(|message| message.text.clone()));
    let problem = RwSignal::new(None::<&'static str>);
    let line = note(move || {
        problem
            .get()
            .map(|why| words::rejection(i18n.get_locale(), &Rejection::refused(why)))
    });
    let field = NodeRef::<html::Textarea>::new();
    Effect::new(move |_| {
        if let Some(field) = field.get() {
            let _ = field.focus();
        }
    });
    let close = move || {
        talk.editing.set(None);
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
        if event.key() == "Escape" && !event.is_composing() {
            close();
        } else if sends(&event) {
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
            <textarea aria-label=say!(chat.edit) node_ref=field on:keydown=on_key bind:value=typed></textarea>
            <p class="problem" role="alert">{line}</p>
            <div class="row">
                <button class="button small primary" type="submit">{say!(chat.save)}</button>
                <button class="button small" type="button" on:click=move |_| close()>{say!(chat.cancel)}</button>
            </div>
        </form>
    }
    .into_any()
}
