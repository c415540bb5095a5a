//! The page of one room: header, messages, composer; or an offer to create a missing room.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{
    super::wire::{ALL_ROOMS, Chat, Rooms, is_room},
    composer::Composer,
    list::{MessageList, ScrollState},
    room_header::RoomHeader,
    room_model::RoomModel,
    rooms::CreateForm,
    visitor::VisitorState,
};
use crate::ui::{
    not_found::respond_not_found,
    text::{dynamic_text, dynamic_view, page_title, t},
};
use duplex_leptos::topic::{Live, TopicStatus, UseTopic, use_topic};

/// The view of a room, until the page navigates to another one.
pub fn room(visitor: VisitorState, name: String) -> AnyView {
    let rooms = use_topic::<Rooms>(ALL_ROOMS);
    let chat = use_topic::<Chat>(&name);
    view! {
        <Live topic=rooms fallback=loading>
            <Live topic=chat fallback=loading>
                {room_view(visitor, rooms, chat, name)}
            </Live>
        </Live>
    }
    .into_any()
}

fn loading() -> AnyView {
    view! { <p class="hint room-loading" role="status">{t!(chat.loading)}</p> }.into_any()
}

fn room_view(visitor: VisitorState, rooms: UseTopic<Rooms>, chat: UseTopic<Chat>, name: String) -> AnyView {
    let exists = Memo::new({
        let name = name.clone();
        move |_| rooms.state.with(|list| list.rooms.contains_key(&name))
    });
    dynamic_view(move || {
        Some(if exists.get() {
            room_section(RoomModel::new(name.clone(), chat, rooms, visitor))
        } else {
            room_not_found(rooms, &name)
        })
    })
    .into_any()
}

fn room_section(room: RoomModel) -> AnyView {
    let scroll = ScrollState::new(room);
    update_read_marks(room, scroll);
    let title = dynamic_text(move || match room.unread_while_hidden() {
        0 => room.title(),
        count => format!("({count}) {}", room.title()),
    });
    view! {
        <Title text=page_title(move || title.get())/>
        <section class="room">
            <RoomHeader room/>
            <MessageList room scroll/>
            <Composer room scroll/>
        </section>
    }
    .into_any()
}

/// Keeps the read mark: a room counts as read while its end is visible in a visible tab. Later messages are marked as new.
fn update_read_marks(room: RoomModel, scroll: ScrollState) {
    let count = Memo::new(move |_| room.chat.state.with(|room| room.count));
    let visitor = room.visitor;
    Effect::new(move |started: Option<bool>| {
        let loaded = visitor.read_marks.with(Option::is_some);
        let (hidden, at_end, count) = (visitor.hidden.get(), scroll.at_end.get(), count.get());
        if !loaded {
            return false;
        }
        let name = room.name.get_value();
        let read = visitor
            .read_marks
            .with_untracked(|marks| marks.as_ref().and_then(|marks| marks.get(&name)));
        if started != Some(true) || hidden {
            let unread = read.filter(|read| *read < count);
            if room.new_after.with_untracked(Option::is_none) && unread.is_some() {
                room.new_after.set(unread);
            }
        }
        if at_end && !hidden {
            visitor.mark_read(&name, count);
        }
        true
    });
}

fn room_not_found(rooms: UseTopic<Rooms>, name: &str) -> AnyView {
    // Until the list is loaded, the room may still exist.
    if rooms.status.with_untracked(|status| *status != TopicStatus::Loading) {
        respond_not_found();
    }
    if rooms.state.with(|list| list.is_deleted_room(name)) {
        return view! {
            <Title text=page_title(t!(chat.room_gone))/>
            <section class="room room-not-found">
                <h1>{t!(chat.room_gone)}</h1>
                <p>{t!(chat.room_gone_text)}</p>
            </section>
        }
        .into_any();
    }
    let create_offer = is_room(name).then(|| {
        view! {
            <p>{t!(chat.no_room_text)}</p>
            <CreateForm rooms id="this-room" name=name.to_owned() restored=None/>
        }
    });
    view! {
        <Title text=page_title(t!(chat.no_room))/>
        <section class="room room-not-found">
            <h1>{t!(chat.no_room)}</h1>
            {create_offer}
        </section>
    }
    .into_any()
}
