//! The rooms: where one is, what is unread elsewhere, and a form that makes another one.

use leptos::{ev::SubmitEvent, prelude::*};
use leptos_router::hooks::use_navigate;

use super::{
    super::{
        model::Entry,
        wire::{ALL_ROOMS, LOBBY, MAX_ROOM, MAX_TITLE, Rooms, RoomsCommand, room_path},
    },
    visit::Visit,
    words,
};
use crate::{
    client::{
        live::Live,
        use_topic::{UseTopic, use_topic},
    },
    i18n::*,
    ui::{
        standing,
        words::{fill, note, say, text},
    },
    wire::session::CommandId,
};

#[component]
pub fn RoomList(visit: Visit, open: Memo<String>) -> impl IntoView {
    let rooms = use_topic::<Rooms>(ALL_ROOMS);
    let names = Memo::new(move |_| rooms.state.with(|list| sorted(list.rooms.iter())));
    view! {
        <nav class="rooms" aria-label=say!(chat.rooms)>
            <h2>{say!(chat.rooms)}</h2>
            <Live topic=rooms>
                <ul>
                    <For each=move || names.get() key=|name| name.clone() let:name>
                        {room_row(rooms, visit, open, name)}
                    </For>
                </ul>
                <details class="new-room script">
                    <summary>{say!(chat.new_room)}</summary>
                    <CreateForm rooms name=String::new()/>
                </details>
            </Live>
        </nav>
    }
    .into_any()
}

/// The lobby, and then by title: an order that does not jump when somebody writes.
fn sorted<'a>(rooms: impl Iterator<Item = (&'a String, &'a Entry)>) -> Vec<String> {
    let mut rooms: Vec<_> = rooms.collect();
    rooms.sort_by_key(|(name, entry)| (*name != LOBBY, entry.title.to_lowercase(), *name));
    rooms.into_iter().map(|(name, _)| name.clone()).collect()
}

fn room_row(rooms: UseTopic<Rooms>, visit: Visit, open: Memo<String>, name: String) -> AnyView {
    let i18n = use_i18n();
    let path = room_path(&name);
    let entry = Memo::new({
        let name = name.clone();
        move |_| {
            rooms
                .state
                .with(|list| list.rooms.get(&name).cloned().unwrap_or_default())
        }
    });
    let title = text({
        let name = name.clone();
        move || entry.with(|entry| words::title(i18n.get_locale(), &name, entry))
    });
    let current = note({
        let name = name.clone();
        move || open.with(|open| *open == name).then(|| "page".to_owned())
    });
    let unread = Memo::new(move |_| visit.unread(&name, entry.with(|entry| entry.count)));
    let badge = note(move || match unread.get() {
        0 => None,
        count @ 1..100 => Some(count.to_string()),
        _ => Some("99+".to_owned()),
    });
    let told = note(move || {
        let count = unread.get();
        (count > 0).then(|| fill(t_string!(i18n, chat.unread), &[("count", &count.to_string())]))
    });
    view! {
        <li>
            <a href=path class="room-link" aria-current=current>
                <span class="room-title" dir="auto">{title}</span>
                <span class="badge" aria-hidden="true">{badge}</span>
                <span class="hidden">{told}</span>
            </a>
        </li>
    }
    .into_any()
}

/// Why this command to the list of rooms was refused, if it was.
pub fn refused(locale: Locale, rooms: UseTopic<Rooms>, id: &CommandId) -> Option<String> {
    rooms.pending.with(|pending| {
        let found = pending.iter().find(|one| one.id == *id)?;
        found
            .standing
            .problem(|wait| standing::held(locale, wait), |why| words::rejection(locale, why))
    })
}

#[component]
pub fn CreateForm(
    rooms: UseTopic<Rooms>,
    /// A name to begin with.
    name: String,
) -> impl IntoView {
    let i18n = use_i18n();
    let (room, title) = (RwSignal::new(name), RwSignal::new(String::new()));
    let sent = RwSignal::new(None::<(CommandId, String)>);
    let problem = note(move || refused(i18n.get_locale(), rooms, &sent.get()?.0));
    let navigate = use_navigate();
    Effect::new(move |_| {
        let Some((_, wanted)) = sent.get() else { return };
        if rooms.state.with(|list| list.rooms.contains_key(&wanted)) && problem.with(Option::is_none) {
            sent.set(None);
            room.set(String::new());
            title.set(String::new());
            navigate(&room_path(&wanted), Default::default());
        }
    });
    let create = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some((refused, _)) = sent.get_untracked() {
            rooms.cancel(&refused);
        }
        let (room, title) = (room.get_untracked(), title.get_untracked());
        let id = rooms.send(RoomsCommand::Create {
            room: room.clone(),
            title,
        });
        sent.set(Some((id, room)));
    };
    view! {
        <form class="create-room" on:submit=create>
            <label class="field">
                <span>{say!(chat.room_title)}</span>
                <input name="title" required autocomplete="off" maxlength=MAX_TITLE.to_string() bind:value=title/>
            </label>
            <label class="field">
                <span>{say!(chat.room_name)}</span>
                <input
                    name="room"
                    class="mono"
                    required
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    maxlength=MAX_ROOM.to_string()
                    pattern="[a-z0-9\\-]+"
                    bind:value=room
                />
            </label>
            <p class="hint">{say!(chat.room_name_hint)}</p>
            <p class="problem" role="alert">{problem}</p>
            <button class="button" type="submit">{say!(chat.create)}</button>
        </form>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lobby_is_first_and_titles_follow() {
        let entry = |title: &str| Entry {
            title: title.to_owned(),
            ..Entry::default()
        };
        let rooms = [
            ("a".to_owned(), entry("Zebra")),
            ("b".to_owned(), entry("apple")),
            (LOBBY.to_owned(), entry("")),
        ];
        assert_eq!(
            sorted(rooms.iter().map(|(name, entry)| (name, entry))),
            [LOBBY, "b", "a"]
        );
    }
}
