//! The header of a room: its title, status, description, people, and the visitor's name.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{
    super::wire::{MAX_DESCRIPTION, RoomsCommand},
    labels,
    moderation::room_tools,
    name::NameForm,
    room_model::RoomModel,
    rooms::problem_text,
};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, fill, optional_text, t},
};
use duplex_protocol::{person::Person, session::CommandId};

#[component]
pub fn RoomHeader(room: RoomModel) -> impl IntoView {
    let title = dynamic_text(move || room.title());
    view! {
        <header class="room-header">
            <div class="room-heading">
                <h1>{title}</h1>
                <Status room/>
            </div>
            <Description room/>
            <div class="row room-people">
                <People room/>
                <NameForm room/>
            </div>
            {room.moderation.map(|moderation| room_tools(room, moderation))}
        </header>
    }
    .into_any()
}

#[component]
fn Status(room: RoomModel) -> impl IntoView {
    let i18n = use_i18n();
    let status = room.chat.status;
    let keyword = dynamic_text(move || labels::status_keyword_and_text(status.get()).0.to_owned());
    let label = dynamic_text(move || (labels::status_keyword_and_text(status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="room-status script-only" role="status" data-status=keyword>
            <span class="dot" aria-hidden="true"></span>
            <span>{label}</span>
        </p>
    }
    .into_any()
}

/// The room's description, which anybody may edit.
#[component]
fn Description(room: RoomModel) -> impl IntoView {
    let i18n = use_i18n();
    let open = RwSignal::new(false);
    let sent = RwSignal::new(None::<CommandId>);
    let description = Memo::new(move |_| room.entry().map(|entry| entry.description).unwrap_or_default());
    let problem = optional_text(move || problem_text(i18n.get_locale(), room.rooms, &sent.get()?));
    let content = dynamic_view(move || {
        Some(if open.get() {
            description_form(room, description, open, sent)
        } else {
            description_view(description, open)
        })
    });
    view! {
        <div class="room-description">{content}</div>
        <p class="problem" role="alert">{problem}</p>
    }
    .into_any()
}

fn description_view(description: Memo<String>, open: RwSignal<bool>) -> AnyView {
    let i18n = use_i18n();
    let label = dynamic_text(move || match description.get() {
        text if text.is_empty() => t_string!(i18n, chat.no_line).to_owned(),
        text => text,
    });
    view! {
        <p class="lede" dir="auto">{label}</p>
        <button type="button" class="button small script-only" on:click=move |_| open.set(true)>{t!(chat.edit_line)}</button>
    }
    .into_any()
}

fn description_form(
    room: RoomModel,
    description: Memo<String>,
    open: RwSignal<bool>,
    sent: RwSignal<Option<CommandId>>,
) -> AnyView {
    let typed = RwSignal::new(description.get_untracked());
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let (name, description) = (room.name.get_value(), typed.get_untracked());
        sent.set(Some(room.rooms.send(RoomsCommand::Describe {
            room: name,
            description,
        })));
        open.set(false);
    };
    view! {
        <form class="row grow" on:submit=save>
            <label class="field grow">
                <span class="visually-hidden">{t!(chat.line)}</span>
                <input name="line" autocomplete="off" autofocus maxlength=MAX_DESCRIPTION.to_string() bind:value=typed/>
            </label>
            <button class="button small primary" type="submit">{t!(chat.save)}</button>
            <button class="button small" type="button" on:click=move |_| open.set(false)>{t!(chat.cancel)}</button>
        </form>
    }
    .into_any()
}

/// The number of people in the room; expanded, their names.
#[component]
fn People(room: RoomModel) -> impl IntoView {
    let i18n = use_i18n();
    let presence = room.chat.presence;
    let count = dynamic_text(move || {
        // At least 1: the visitor counts before the server's presence does.
        let count = presence.with(|presence| presence.people_count).max(1);
        fill(t_string!(i18n, chat.people_here), &[("count", &count.to_string())])
    });
    let named_people = Memo::new(move |_| {
        presence.with(|presence| {
            presence
                .people
                .iter()
                .map(|present| present.person.clone())
                .collect::<Vec<_>>()
        })
    });
    let list = dynamic_view(move || {
        let locale = i18n.get_locale();
        Some(
            named_people
                .with(|people| {
                    people
                        .iter()
                        .map(|visitor| person(locale, room, visitor))
                        .collect_view()
                })
                .into_any(),
        )
    });
    let more = optional_text(move || {
        let more = presence.with(|presence| (presence.people_count as usize).saturating_sub(presence.people.len()));
        (more > 0).then(|| fill(t_string!(i18n, chat.more_people), &[("count", &more.to_string())]))
    });
    view! {
        <details class="people script-only">
            <summary>{count}</summary>
            <ul>{list}</ul>
            <p class="hint">{more}</p>
        </details>
    }
    .into_any()
}

fn person(locale: Locale, room: RoomModel, person: &Person) -> AnyView {
    let hue = labels::hue(&person.id).to_string();
    let name = labels::name(locale, person);
    let own = room
        .chat
        .me
        .with_untracked(|me| me.as_ref().is_some_and(|me| me.id == person.id));
    view! {
        <li data-hue=hue>
            <span class="author">{name}</span>
            {own.then(|| view! { <span class="hint">{t!(chat.you)}</span> })}
        </li>
    }
    .into_any()
}
