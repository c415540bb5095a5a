//! The rooms: where one is, what is unread elsewhere, and a form that makes another one.

use leptos::{ev::SubmitEvent, prelude::*};
use leptos_router::hooks::use_navigate;

use super::{
    super::{
        model::Entry,
        wire::{ALL_ROOMS, LOBBY, MAX_ROOM, MAX_TITLE, NotCreated, Rooms, RoomsCommand, room_path, why},
    },
    visit::Visit,
    words,
};
use crate::{
    i18n::*,
    ui::{
        command_text,
        text::{TextKey, dynamic_text, fill, optional_text, t, text_key, translate},
    },
    wire::form::RejectedForm,
};
use duplex_leptos::topic::{CommandStatus, Live, UseTopic, use_topic};
use duplex_protocol::session::{CommandId, Rejection};

#[component]
pub fn RoomList(visit: Visit, open: Memo<String>) -> impl IntoView {
    let rooms = use_topic::<Rooms>(ALL_ROOMS);
    let names = Memo::new(move |_| rooms.state.with(|list| sorted(list.rooms.iter())));
    // Not within `Live`: the server renders what waits there later than the browser, and shared values go by their order.
    let back = refused_form();
    let is_open = back.is_some();
    view! {
        <nav class="rooms" aria-label=t!(chat.rooms)>
            <h2>{t!(chat.rooms)}</h2>
            <Live topic=rooms>
                <ul>
                    <For each=move || names.get() key=|name| name.clone() let:name>
                        {room_row(rooms, visit, open, name)}
                    </For>
                </ul>
                <details class="new-room" open=is_open>
                    <summary>{t!(chat.new_room)}</summary>
                    <CreateForm rooms id="new-room" name=String::new() back/>
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
    let title = dynamic_text({
        let name = name.clone();
        move || entry.with(|entry| words::title(i18n.get_locale(), &name, entry))
    });
    let current = optional_text({
        let name = name.clone();
        move || open.with(|open| *open == name).then(|| "page".to_owned())
    });
    let unread = Memo::new(move |_| visit.unread(&name, entry.with(|entry| entry.count)));
    let badge = optional_text(move || match unread.get() {
        0 => None,
        count @ 1..100 => Some(count.to_string()),
        _ => Some("99+".to_owned()),
    });
    let told = optional_text(move || {
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
        found.status.problem(
            |wait| command_text::rate_limited(locale, wait),
            |why| words::rejection(locale, why),
        )
    })
}

fn rejected(rooms: UseTopic<Rooms>, id: &CommandId) -> Option<Rejection> {
    rooms.pending.with(|pending| {
        let found = pending.iter().find(|one| one.id == *id)?;
        match &found.status {
            CommandStatus::Rejected(why) => Some(why.clone()),
            _ => None,
        }
    })
}

/// The part of the form that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Title,
    Room,
    Form,
}

fn part_refused(why: &Rejection) -> Part {
    match why {
        Rejection::Refused { reason: why } if why == why::BAD_TITLE => Part::Title,
        Rejection::Refused { reason: why }
            if [why::BAD_ROOM, why::ROOM_TAKEN, why::ROOM_GONE].contains(&why.as_str()) =>
        {
            Part::Room
        }
        _ => Part::Form,
    }
}

fn not_created() -> Option<NotCreated> {
    let RejectedForm { rejection, fields } = use_context()?;
    Some(NotCreated {
        room: fields.get("room")?.clone(),
        title: fields.get("title").cloned().unwrap_or_default(),
        why: rejection,
    })
}

/// The form as it was posted without scripts and refused.
pub fn refused_form() -> Option<NotCreated> {
    SharedValue::new(not_created).into_inner()
}

/// Stands once in the list of rooms, and once where a room is missing: `id` tells them apart.
#[component]
pub fn CreateForm(
    rooms: UseTopic<Rooms>,
    id: &'static str,
    /// A name to begin with.
    name: String,
    back: Option<NotCreated>,
) -> impl IntoView {
    let i18n = use_i18n();
    let (typed, why) = back.map(|back| ((back.room, back.title), back.why)).unzip();
    let (name, title) = typed.unwrap_or((name, String::new()));
    let (room, title) = (RwSignal::new(name), RwSignal::new(title));
    // What is wrong is known before the command is sent, or from the answer to it.
    let known = RwSignal::new(why);
    let sent = RwSignal::new(None::<(CommandId, String)>);
    let problem = Memo::new(move |_| known.get().or_else(|| rejected(rooms, &sent.get()?.0)));
    let told = move |part: Part| {
        optional_text(move || {
            let locale = i18n.get_locale();
            match problem.get() {
                Some(why) => (part_refused(&why) == part).then(|| words::rejection(locale, &why)),
                // It may also have come too fast, and goes by itself.
                None if part == Part::Form => refused(locale, rooms, &sent.get()?.0),
                None => None,
            }
        })
    };
    enter_when_made(rooms, sent, room, title);
    let create = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some((refused, _)) = sent.get_untracked() {
            rooms.cancel(&refused);
        }
        sent.set(None);
        let wanted = room.with_untracked(|room| room.trim().to_owned());
        let is_taken = rooms.state.with_untracked(|list| list.rooms.contains_key(&wanted));
        known.set(is_taken.then(|| Rejection::refused(why::ROOM_TAKEN)));
        if !is_taken {
            let (room, title) = (wanted.clone(), title.get_untracked());
            sent.set(Some((rooms.send(RoomsCommand::Create { room, title }), wanted)));
        }
    };
    view! {
        <form class="create-room" method="post" action=room_path(LOBBY) on:submit=create>
            {field(id, Part::Title, title, told(Part::Title))}
            {field(id, Part::Room, room, told(Part::Room))}
            <p class="problem" role="alert">{told(Part::Form)}</p>
            <button class="button" type="submit">{t!(chat.create)}</button>
        </form>
    }
    .into_any()
}

/// A field with what is wrong with it beside it.
fn field(form: &str, part: Part, value: RwSignal<String>, problem: Signal<Option<String>>) -> AnyView {
    let (name, label, most): (_, TextKey, _) = match part {
        Part::Title => ("title", text_key!(chat.room_title), MAX_TITLE),
        Part::Room | Part::Form => ("room", text_key!(chat.room_name), MAX_ROOM),
    };
    let (id, about) = (format!("{form}-{name}"), format!("{form}-{name}-problem"));
    let described = about.clone();
    let is_name = part == Part::Room;
    let hint = is_name.then(|| view! { <p class="hint">{t!(chat.room_name_hint)}</p> });
    view! {
        <div class="field">
            <label for=id.clone()>{translate(label)}</label>
            <input
                name=name
                id=id
                class:mono=is_name
                required
                autocomplete="off"
                autocapitalize=is_name.then_some("none")
                spellcheck=is_name.then_some("false")
                maxlength=most.to_string()
                pattern=is_name.then_some("[a-z0-9\\-]+")
                aria-invalid=optional_text(move || problem.with(Option::is_some).then(|| "true".to_owned()))
                aria-describedby=described
                value=value.get_untracked()
                bind:value=value
            />
            <p class="problem" role="alert" id=about>{problem}</p>
            {hint}
        </div>
    }
    .into_any()
}

/// Goes to the room once the command for it had its effect. A room of that name that was there before is somebody else's.
fn enter_when_made(
    rooms: UseTopic<Rooms>,
    sent: RwSignal<Option<(CommandId, String)>>,
    room: RwSignal<String>,
    title: RwSignal<String>,
) {
    let navigate = use_navigate();
    Effect::new(move |_| {
        let Some((id, wanted)) = sent.get() else { return };
        let is_waiting = rooms.pending.with(|pending| pending.iter().any(|one| one.id == id));
        if !is_waiting && rooms.state.with(|list| list.rooms.contains_key(&wanted)) {
            sent.set(None);
            room.set(String::new());
            title.set(String::new());
            navigate(&room_path(&wanted), Default::default());
        }
    });
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
