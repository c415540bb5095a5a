//! What can be done with a message: a button that opens a small menu beneath it, reached by Tab, left by Escape.

use leptos::prelude::*;

use super::{
    super::{
        model::Message,
        wire::{ChatCommand, Emoji},
    },
    edit::edit,
    list::focus,
    moderation::author,
    rove::tab_stop,
    talk::Talk,
};
use crate::ui::text::{TextKey, dynamic_text, dynamic_view, t, text_key, translate};
use duplex_protocol::cursor::Seq;

pub fn button_id(seq: Seq) -> String {
    format!("menu{seq}")
}

pub fn menu(talk: Talk, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let open = Memo::new(move |_| talk.menu.get() == Some(seq));
    let toggle = move |_| talk.menu.set((!open.get_untracked()).then_some(seq));
    let items = dynamic_view(move || open.get().then(|| items(talk, seq, message)));
    view! {
        <div class="message-tools script">
            <button
                type="button"
                class="menu-button"
                id=button_id(seq)
                aria-label=t!(chat.menu)
                aria-expanded=dynamic_text(move || open.get().to_string())
                tabindex=tab_stop(talk, seq)
                on:click=toggle
            >"⋯"</button>
            {items}
        </div>
    }
    .into_any()
}

fn items(talk: Talk, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let (by, gone) = message.with_untracked(|message| (message.by.clone(), message.is_deleted()));
    let own = talk.is_own(&by.id);
    let moderation = talk.rules.map(|rules| {
        view! {
            {(!own && !gone).then(|| delete(talk, seq))}
            {(!own).then(|| author(talk, rules, seq, by))}
        }
    });
    if !talk.is_recent(seq) {
        let too_old = moderation
            .is_none()
            .then(|| view! { <p class="hint">{t!(chat.too_old)}</p> });
        return view! { <div class="menu" role="group" aria-label=t!(chat.menu)>{too_old}{moderation}</div> }
            .into_any();
    }
    let emojis: Vec<_> = Emoji::ALL
        .into_iter()
        .map(|emoji| emoji_button(talk, seq, message, emoji))
        .collect();
    view! {
        <div class="menu" role="group" aria-label=t!(chat.menu)>
            <div class="menu-emojis">{emojis}</div>
            {act(text_key!(chat.reply), "reply", move || {
                talk.replying.set(Some(seq));
                leave(talk);
                focus(super::composer::FIELD);
            })}
            {own.then(|| act(text_key!(chat.edit), "edit", move || {
                edit(talk, seq, message);
                leave(talk);
            }))}
            {own.then(|| delete(talk, seq))}
            {moderation}
        </div>
    }
    .into_any()
}

fn leave(talk: Talk) {
    talk.menu.set(None);
}

fn act(name: TextKey, key: &'static str, act: impl Fn() + Send + Sync + 'static) -> AnyView {
    let act = Callback::new(move |()| act());
    view! { <button type="button" class="menu-item" data-act=key on:click=move |_| act.run(())>{translate(name)}</button> }
        .into_any()
}

fn emoji_button(talk: Talk, seq: Seq, message: RwSignal<Message>, emoji: Emoji) -> AnyView {
    let on = message.with_untracked(|message| {
        talk.chat
            .me
            .with_untracked(|me| me.as_ref().is_some_and(|me| message.has_reaction(emoji, &me.id)))
    });
    let choose = move |_| {
        talk.send(ChatCommand::React { seq, emoji, on: !on });
        leave(talk);
        focus(&button_id(seq));
    };
    view! { <button type="button" class="menu-emoji" aria-pressed=on.to_string() on:click=choose>{emoji.sign()}</button> }.into_any()
}

/// Asks once more.
fn delete(talk: Talk, seq: Seq) -> AnyView {
    let sure = RwSignal::new(false);
    let name = translate(text_key!(chat.delete));
    let really = translate(text_key!(chat.really_delete));
    let name = dynamic_text(move || if sure.get() { really() } else { name() }.to_owned());
    let choose = move |_| {
        if sure.get_untracked() {
            talk.send(ChatCommand::Delete { seq });
            leave(talk);
            focus(&super::list::row_id(seq));
        } else {
            sure.set(true);
        }
    };
    view! { <button type="button" class="menu-item danger" data-act="delete" on:click=choose>{name}</button> }
        .into_any()
}
