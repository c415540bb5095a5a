//! One room: what stands above its messages, the messages, and where one writes. A room that nobody made is offered to be made.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{
    super::wire::{ALL_ROOMS, Chat, Rooms, is_room},
    composer::Composer,
    head::Head,
    list::{Messages, Scroll},
    rooms::CreateForm,
    talk::Talk,
    visit::Visit,
};
use crate::ui::{
    not_found::respond_not_found,
    text::{dynamic_text, dynamic_view, page_title, t},
};
use duplex_leptos::topic::{Live, TopicStatus, UseTopic, use_topic};

/// Stands until the page leaves for another room.
pub fn room(visit: Visit, name: String) -> AnyView {
    let rooms = use_topic::<Rooms>(ALL_ROOMS);
    let chat = use_topic::<Chat>(&name);
    view! {
        <Live topic=rooms fallback=loading>
            <Live topic=chat fallback=loading>
                {place(visit, rooms, chat, name)}
            </Live>
        </Live>
    }
    .into_any()
}

fn loading() -> AnyView {
    view! { <p class="hint room-loading" role="status">{t!(chat.loading)}</p> }.into_any()
}

fn place(visit: Visit, rooms: UseTopic<Rooms>, chat: UseTopic<Chat>, name: String) -> AnyView {
    let exists = Memo::new({
        let name = name.clone();
        move |_| rooms.state.with(|list| list.rooms.contains_key(&name))
    });
    dynamic_view(move || {
        Some(if exists.get() {
            open(Talk::start(name.clone(), chat, rooms, visit))
        } else {
            missing(rooms, &name)
        })
    })
    .into_any()
}

fn open(talk: Talk) -> AnyView {
    let scroll = Scroll::new(talk);
    keep_marks(talk, scroll);
    let title = dynamic_text(move || match talk.missed() {
        0 => talk.title(),
        count => format!("({count}) {}", talk.title()),
    });
    view! {
        <Title text=page_title(move || title.get())/>
        <section class="room">
            <Head talk/>
            <Messages talk scroll/>
            <Composer talk scroll/>
        </section>
    }
    .into_any()
}

/// A room is read while its end is in sight of somebody who looks; what comes while they do not is marked as new.
fn keep_marks(talk: Talk, scroll: Scroll) {
    let count = Memo::new(move |_| talk.chat.state.with(|room| room.count));
    let visit = talk.visit;
    Effect::new(move |started: Option<bool>| {
        let known = visit.read.with(Option::is_some);
        let (hidden, at_end, count) = (visit.hidden.get(), scroll.at_end.get(), count.get());
        if !known {
            return false;
        }
        let room = talk.room.get_value();
        let read = visit
            .read
            .with_untracked(|marks| marks.as_ref().and_then(|marks| marks.of(&room)));
        if started != Some(true) || hidden {
            let unread = read.filter(|read| *read < count);
            if talk.new_after.with_untracked(Option::is_none) && unread.is_some() {
                talk.new_after.set(unread);
            }
        }
        if at_end && !hidden {
            visit.mark(&room, count);
        }
        true
    });
}

fn missing(rooms: UseTopic<Rooms>, name: &str) -> AnyView {
    // Without the list nobody knows.
    if rooms.status.with_untracked(|status| *status != TopicStatus::Loading) {
        respond_not_found();
    }
    if rooms.state.with(|list| list.is_gone(name)) {
        return view! {
            <Title text=page_title(t!(chat.room_gone))/>
            <section class="room room-missing">
                <h1>{t!(chat.room_gone)}</h1>
                <p>{t!(chat.room_gone_text)}</p>
            </section>
        }
        .into_any();
    }
    let offer = is_room(name).then(|| {
        view! {
            <p>{t!(chat.no_room_text)}</p>
            <CreateForm rooms id="this-room" name=name.to_owned() back=None/>
        }
    });
    view! {
        <Title text=page_title(t!(chat.no_room))/>
        <section class="room room-missing">
            <h1>{t!(chat.no_room)}</h1>
            {offer}
        </section>
    }
    .into_any()
}
