//! The list of rooms with their unread counts, and the form that creates a room.

use leptos::{ev::SubmitEvent, prelude::*};
use leptos_router::hooks::use_navigate;

use super::{
    super::{
        model::RoomEntry,
        wire::{ALL_ROOMS, LOBBY, MAX_ROOM, MAX_TITLE, RejectedRoomForm, Rooms, RoomsCommand, reason_code, room_path},
    },
    labels,
    visitor::VisitorState,
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
pub fn RoomList(visitor: VisitorState, open: Memo<String>) -> impl IntoView {
    let rooms = use_topic::<Rooms>(ALL_ROOMS);
    let names = Memo::new(move |_| rooms.state.with(|list| sorted(list.rooms.iter())));
    // Not inside `Live`: the server renders its children later than the browser, and `SharedValue`s are matched by creation
    // order.
    let restored = rejected_room_form();
    let is_open = restored.is_some();
    view! {
        <nav class="rooms" aria-label=t!(chat.rooms)>
            <h2>{t!(chat.rooms)}</h2>
            <Live topic=rooms>
                <ul>
                    <For each=move || names.get() key=|name| name.clone() let:name>
                        {room_row(rooms, visitor, open, name)}
                    </For>
                </ul>
                <details class="new-room" open=is_open>
                    <summary>{t!(chat.new_room)}</summary>
                    <CreateForm rooms id="new-room" name=String::new() restored/>
                </details>
            </Live>
        </nav>
    }
    .into_any()
}

/// Sorts the lobby first and the others by title, so that new messages do not change the order.
fn sorted<'a>(rooms: impl Iterator<Item = (&'a String, &'a RoomEntry)>) -> Vec<String> {
    let mut rooms: Vec<_> = rooms.collect();
    rooms.sort_by_key(|(name, entry)| (*name != LOBBY, entry.title.to_lowercase(), *name));
    rooms.into_iter().map(|(name, _)| name.clone()).collect()
}

fn room_row(rooms: UseTopic<Rooms>, visitor: VisitorState, open: Memo<String>, name: String) -> AnyView {
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
        move || entry.with(|entry| labels::title(i18n.get_locale(), &name, entry))
    });
    let current = optional_text({
        let name = name.clone();
        move || open.with(|open| *open == name).then(|| "page".to_owned())
    });
    let unread = Memo::new(move |_| visitor.unread(&name, entry.with(|entry| entry.count)));
    let badge = optional_text(move || match unread.get() {
        0 => None,
        count @ 1..100 => Some(count.to_string()),
        _ => Some("99+".to_owned()),
    });
    let unread_label = optional_text(move || {
        let count = unread.get();
        (count > 0).then(|| fill(t_string!(i18n, chat.unread), &[("count", &count.to_string())]))
    });
    view! {
        <li>
            <a href=path class="room-link" aria-current=current>
                <span class="room-title" dir="auto">{title}</span>
                <span class="badge" aria-hidden="true">{badge}</span>
                <span class="visually-hidden">{unread_label}</span>
            </a>
        </li>
    }
    .into_any()
}

/// The problem of a command to the list of rooms, if it has one.
pub fn problem_text(locale: Locale, rooms: UseTopic<Rooms>, id: &CommandId) -> Option<String> {
    rooms.pending.with(|pending| {
        let found = pending.iter().find(|command| command.id == *id)?;
        found.status.error_text(
            |wait| command_text::rate_limited(locale, wait),
            |rejection| labels::rejection(locale, rejection),
        )
    })
}

fn rejected(rooms: UseTopic<Rooms>, id: &CommandId) -> Option<Rejection> {
    rooms.pending.with(|pending| {
        let found = pending.iter().find(|command| command.id == *id)?;
        match &found.status {
            CommandStatus::Rejected(rejection) => Some(rejection.clone()),
            _ => None,
        }
    })
}

/// The part of the form that a rejection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormField {
    Title,
    Room,
    Form,
}

fn rejected_field(rejection: &Rejection) -> FormField {
    match rejection {
        Rejection::Custom { reason } if reason == reason_code::BAD_TITLE => FormField::Title,
        Rejection::Custom { reason }
            if [
                reason_code::BAD_ROOM,
                reason_code::ROOM_TAKEN,
                reason_code::ROOM_DELETED,
            ]
            .contains(&reason.as_str()) =>
        {
            FormField::Room
        }
        _ => FormField::Form,
    }
}

fn read_rejected_room_form() -> Option<RejectedRoomForm> {
    let RejectedForm { rejection, fields } = use_context()?;
    Some(RejectedRoomForm {
        room: fields.get("room")?.clone(),
        title: fields.get("title").cloned().unwrap_or_default(),
        rejection,
    })
}

/// A plain form that was posted and rejected.
pub fn rejected_room_form() -> Option<RejectedRoomForm> {
    SharedValue::new(read_rejected_room_form).into_inner()
}

/// The form that creates a room. The list of rooms and the page of a missing room each have one, with a different `id`.
#[component]
pub fn CreateForm(
    rooms: UseTopic<Rooms>,
    id: &'static str,
    /// The initial name.
    name: String,
    restored: Option<RejectedRoomForm>,
) -> impl IntoView {
    let i18n = use_i18n();
    let (typed, rejection) = restored.map(|form| ((form.room, form.title), form.rejection)).unzip();
    let (name, title) = typed.unwrap_or((name, String::new()));
    let (room, title) = (RwSignal::new(name), RwSignal::new(title));
    // The rejection is known before the command is sent, or from its answer.
    let rejection = RwSignal::new(rejection);
    let sent = RwSignal::new(None::<(CommandId, String)>);
    let problem = Memo::new(move |_| rejection.get().or_else(|| rejected(rooms, &sent.get()?.0)));
    let problem_for = move |part: FormField| {
        optional_text(move || {
            let locale = i18n.get_locale();
            match problem.get() {
                Some(rejection) => (rejected_field(&rejection) == part).then(|| labels::rejection(locale, &rejection)),
                // A rate-limited command is sent later by itself.
                None if part == FormField::Form => problem_text(locale, rooms, &sent.get()?.0),
                None => None,
            }
        })
    };
    navigate_when_created(rooms, sent, room, title);
    let create = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some((rejected, _)) = sent.get_untracked() {
            rooms.cancel(&rejected);
        }
        sent.set(None);
        let name = room.with_untracked(|room| room.trim().to_owned());
        let is_taken = rooms.state.with_untracked(|list| list.rooms.contains_key(&name));
        rejection.set(is_taken.then(|| Rejection::custom(reason_code::ROOM_TAKEN)));
        if !is_taken {
            let (room, title) = (name.clone(), title.get_untracked());
            sent.set(Some((rooms.send(RoomsCommand::Create { room, title }), name)));
        }
    };
    view! {
        <form class="create-room" method="post" action=room_path(LOBBY) on:submit=create>
            {field(id, FormField::Title, title, problem_for(FormField::Title))}
            {field(id, FormField::Room, room, problem_for(FormField::Room))}
            <p class="problem" role="alert">{problem_for(FormField::Form)}</p>
            <button class="button" type="submit">{t!(chat.create)}</button>
        </form>
    }
    .into_any()
}

/// A field and its problem.
fn field(form: &str, part: FormField, value: RwSignal<String>, problem: Signal<Option<String>>) -> AnyView {
    let (name, label, max_length): (_, TextKey, _) = match part {
        FormField::Title => ("title", text_key!(chat.room_title), MAX_TITLE),
        FormField::Room | FormField::Form => ("room", text_key!(chat.room_name), MAX_ROOM),
    };
    let (id, problem_id) = (format!("{form}-{name}"), format!("{form}-{name}-problem"));
    let described_by = problem_id.clone();
    let is_name = part == FormField::Room;
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
                maxlength=max_length.to_string()
                pattern=is_name.then_some("[a-z0-9\\-]+")
                aria-invalid=optional_text(move || problem.with(Option::is_some).then(|| "true".to_owned()))
                aria-describedby=described_by
                value=value.get_untracked()
                bind:value=value
            />
            <p class="problem" role="alert" id=problem_id>{problem}</p>
            {hint}
        </div>
    }
    .into_any()
}

/// Navigates to the room once its command has succeeded. A room that existed before the command does not count as created.
fn navigate_when_created(
    rooms: UseTopic<Rooms>,
    sent: RwSignal<Option<(CommandId, String)>>,
    room: RwSignal<String>,
    title: RwSignal<String>,
) {
    let navigate = use_navigate();
    Effect::new(move |_| {
        let Some((id, wanted)) = sent.get() else { return };
        let is_pending = rooms
            .pending
            .with(|pending| pending.iter().any(|command| command.id == id));
        if !is_pending && rooms.state.with(|list| list.rooms.contains_key(&wanted)) {
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
    fn the_lobby_is_first_and_others_follow_by_title() {
        let entry = |title: &str| RoomEntry {
            title: title.to_owned(),
            ..RoomEntry::default()
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
