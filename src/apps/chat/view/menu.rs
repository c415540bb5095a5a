//! The context menu of a message, opened by a button; closed by Escape.

use leptos::prelude::*;

use super::{
    super::{
        model::Message,
        wire::{ChatCommand, Emoji},
    },
    edit::edit,
    list::focus_element,
    moderation::author_items,
    room_model::RoomModel,
    roving_tabindex::control_tabindex,
};
use crate::ui::text::{TextKey, dynamic_text, dynamic_view, t, text_key, translate};
use duplex_protocol::cursor::Seq;

pub fn button_id(seq: Seq) -> String {
    format!("menu{seq}")
}

pub fn menu(room: RoomModel, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let open = Memo::new(move |_| room.menu.get() == Some(seq));
    let toggle = move |_| room.menu.set((!open.get_untracked()).then_some(seq));
    let items = dynamic_view(move || open.get().then(|| menu_items(room, seq, message)));
    view! {
        <div class="message-actions script-only">
            <button
                type="button"
                class="menu-button"
                id=button_id(seq)
                aria-label=t!(chat.menu)
                aria-expanded=dynamic_text(move || open.get().to_string())
                tabindex=control_tabindex(room, seq)
                on:click=toggle
            >"⋯"</button>
            {items}
        </div>
    }
    .into_any()
}

fn menu_items(room: RoomModel, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let (by, deleted) = message.with_untracked(|message| (message.by.clone(), message.is_deleted()));
    let own = room.is_own(&by.id);
    let moderation = room.moderation.map(|moderation| {
        view! {
            {(!own && !deleted).then(|| delete(room, seq))}
            {(!own).then(|| author_items(room, moderation, seq, by))}
        }
    });
    if !room.is_recent(seq) {
        let too_old = moderation
            .is_none()
            .then(|| view! { <p class="hint">{t!(chat.too_old)}</p> });
        return view! { <div class="menu" role="group" aria-label=t!(chat.menu)>{too_old}{moderation}</div> }
            .into_any();
    }
    let emojis: Vec<_> = Emoji::ALL
        .into_iter()
        .map(|emoji| emoji_button(room, seq, message, emoji))
        .collect();
    view! {
        <div class="menu" role="group" aria-label=t!(chat.menu)>
            <div class="menu-emojis">{emojis}</div>
            {menu_item(text_key!(chat.reply), "reply", move || {
                room.replying.set(Some(seq));
                close_menu(room);
                focus_element(super::composer::FIELD_ID);
            })}
            {own.then(|| menu_item(text_key!(chat.edit), "edit", move || {
                edit(room, seq, message);
                close_menu(room);
            }))}
            {own.then(|| delete(room, seq))}
            {moderation}
        </div>
    }
    .into_any()
}

fn close_menu(room: RoomModel) {
    room.menu.set(None);
}

fn menu_item(name: TextKey, key: &'static str, act: impl Fn() + Send + Sync + 'static) -> AnyView {
    let act = Callback::new(move |()| act());
    view! { <button type="button" class="menu-item" data-action=key on:click=move |_| act.run(())>{translate(name)}</button> }
        .into_any()
}

fn emoji_button(room: RoomModel, seq: Seq, message: RwSignal<Message>, emoji: Emoji) -> AnyView {
    let on = message.with_untracked(|message| {
        room.chat
            .me
            .with_untracked(|me| me.as_ref().is_some_and(|me| message.has_reaction(emoji, &me.id)))
    });
    let choose = move |_| {
        room.send(ChatCommand::React { seq, emoji, on: !on });
        close_menu(room);
        focus_element(&button_id(seq));
    };
    view! { <button type="button" class="menu-emoji" aria-pressed=on.to_string() on:click=choose>{emoji.symbol()}</button> }.into_any()
}

/// The delete item, which asks for confirmation.
fn delete(room: RoomModel, seq: Seq) -> AnyView {
    let confirming = RwSignal::new(false);
    let name = translate(text_key!(chat.delete));
    let confirm_name = translate(text_key!(chat.really_delete));
    let name = dynamic_text(move || if confirming.get() { confirm_name() } else { name() }.to_owned());
    let choose = move |_| {
        if confirming.get_untracked() {
            room.send(ChatCommand::Delete { seq });
            close_menu(room);
            focus_element(&super::list::row_id(seq));
        } else {
            confirming.set(true);
        }
    };
    view! { <button type="button" class="menu-item danger" data-action="delete" on:click=choose>{name}</button> }
        .into_any()
}
