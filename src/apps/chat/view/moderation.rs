//! An operator's tools in a room: delete any message, ban or rename its author, and delete the room. Not rendered for other
//! visitors.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{
    super::wire::{Chat, LOBBY},
    labels,
    list::focus_element,
    room_model::RoomModel,
};
use crate::{
    i18n::*,
    ui::{
        command_text,
        moderation::{DURATIONS, ban_end, rejection_text},
        text::{TextKey, dynamic_text, dynamic_view, optional_text, t, text_key, translate},
    },
    wire::moderation::{MAX_BAN_REASON, Moderation, ModerationCommand, Target},
};
use duplex_leptos::topic::{CommandStatus, UseTopic};
use duplex_protocol::{
    cursor::Seq,
    person::{MAX_NAME, Person},
    session::Rejection,
    topic::TopicName,
};

/// The id of the status line for moderation commands.
const PROBLEM_ID: &str = "moderation-problem";

type ModerationTopic = UseTopic<Moderation>;

/// An operator's unfinished forms in a message's menu.
#[derive(Clone)]
pub struct ModerationDraft {
    form: ArcRwSignal<Option<OpenForm>>,
    duration: ArcRwSignal<String>,
    reason: ArcRwSignal<String>,
    name: ArcRwSignal<String>,
}

impl ModerationDraft {
    fn new(by: &Person) -> Self {
        Self {
            form: ArcRwSignal::new(None),
            duration: ArcRwSignal::new("day".to_owned()),
            reason: ArcRwSignal::new(String::new()),
            name: ArcRwSignal::new(by.name.clone()),
        }
    }
}

/// The operator's items of a message's menu: forms to rename and to ban its author, with their unfinished input restored.
pub fn author_items(room: RoomModel, moderation: ModerationTopic, seq: Seq, by: Person) -> AnyView {
    let draft = room.moderation_drafts.try_update_value(|drafts| {
        let draft = drafts.entry(seq).or_insert_with(|| ModerationDraft::new(&by));
        draft.clone()
    });
    let draft = StoredValue::new(draft.unwrap_or_else(|| ModerationDraft::new(&by)));
    let form = RwSignal::from(draft.with_value(|draft| draft.form.clone()));
    let by = StoredValue::new(by);
    let open_form = dynamic_view(move || {
        let (by, draft) = (by.get_value(), draft.get_value());
        form.get().map(|form| match form {
            OpenForm::Ban => ban_form(room, moderation, (seq, by), draft),
            OpenForm::Rename => rename_form(room, moderation, (seq, by), draft),
        })
    });
    let item = move |name: TextKey, key: &'static str, opens: OpenForm| {
        view! {
            <button
                type="button"
                class="menu-item"
                data-action=key
                aria-expanded=dynamic_text(move || (form.get() == Some(opens)).to_string())
                on:click=move |_| form.set((form.get_untracked() != Some(opens)).then_some(opens))
            >{translate(name)}</button>
        }
        .into_any()
    };
    view! {
        {item(text_key!(moderation.rename), "rename-person", OpenForm::Rename)}
        {item(text_key!(moderation.ban), "ban-person", OpenForm::Ban)}
        {open_form}
    }
    .into_any()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenForm {
    Ban,
    Rename,
}

fn close(room: RoomModel, seq: Seq) {
    room.moderation_drafts.update_value(|drafts| {
        drafts.remove(&seq);
    });
    room.menu.set(None);
    focus_element(PROBLEM_ID);
}

fn ban_form(room: RoomModel, moderation: ModerationTopic, (seq, by): (Seq, Person), draft: ModerationDraft) -> AnyView {
    let (duration, reason) = (RwSignal::from(draft.duration), RwSignal::from(draft.reason));
    let ban = move |event: SubmitEvent| {
        event.prevent_default();
        moderation.send(ModerationCommand::Ban {
            target: Target::Person(by.id.clone()),
            until: ban_end(&duration.get_untracked()),
            reason: reason.get_untracked(),
        });
        close(room, seq);
    };
    let chosen = duration.get_untracked();
    let choices: Vec<_> = DURATIONS
        .iter()
        .map(|(key, name, _)| view! { <option value=*key selected=*key == chosen>{translate(*name)}</option> })
        .collect();
    view! {
        <form class="menu-form" on:submit=ban>
            <label class="field">
                <span>{t!(moderation.how_long)}</span>
                <select name="length" on:change=move |event| duration.set(event_target_value(&event))>{choices}</select>
            </label>
            <label class="field">
                <span>{t!(moderation.reason_optional)}</span>
                <input name="reason" autocomplete="off" maxlength=MAX_BAN_REASON.to_string() bind:value=reason/>
            </label>
            <button type="submit" class="button small">{t!(moderation.ban_now)}</button>
        </form>
    }
    .into_any()
}

fn rename_form(
    room: RoomModel,
    moderation: ModerationTopic,
    (seq, by): (Seq, Person),
    draft: ModerationDraft,
) -> AnyView {
    let name = RwSignal::from(draft.name);
    let rename = move |event: SubmitEvent| {
        event.prevent_default();
        moderation.send(ModerationCommand::Rename {
            person: by.id.clone(),
            name: name.get_untracked(),
        });
        close(room, seq);
    };
    view! {
        <form class="menu-form" on:submit=rename>
            <label class="field">
                <span>{t!(moderation.new_name)}</span>
                <input name="new-name" autocomplete="off" maxlength=MAX_NAME.to_string() bind:value=name/>
            </label>
            <button type="submit" class="button small primary">{t!(moderation.rename_now)}</button>
        </form>
    }
    .into_any()
}

/// The operator's tools in the room's head: the delete button, and the result of the last command.
pub fn room_tools(room: RoomModel, moderation: ModerationTopic) -> AnyView {
    let i18n = use_i18n();
    let problem = optional_text(move || {
        let locale = i18n.get_locale();
        let problem_of = |status: &CommandStatus| {
            status.error_text(
                |wait| command_text::rate_limited(locale, wait),
                |rejection| rejection_message(locale, rejection),
            )
        };
        moderation
            .pending
            .with(|pending| pending.iter().rev().find_map(|command| problem_of(&command.status)))
    });
    let name = room.name.get_value();
    let delete = (name != LOBBY).then(|| delete_room(moderation, name));
    view! {
        {delete}
        <p class="problem" id=PROBLEM_ID role="alert" tabindex="-1">{problem}</p>
    }
    .into_any()
}

fn rejection_message(locale: Locale, rejection: &Rejection) -> String {
    match rejection {
        Rejection::Custom { reason } => match rejection_text(reason) {
            Some(key) => key(locale).to_owned(),
            None => labels::rejection(locale, &Rejection::custom(reason.clone())),
        },
        other => labels::rejection(locale, other),
    }
}

/// The button that deletes the room, which asks for confirmation.
fn delete_room(moderation: ModerationTopic, room: String) -> AnyView {
    let confirming = RwSignal::new(false);
    let (name, confirm_name) = (
        translate(text_key!(moderation.delete_room)),
        translate(text_key!(moderation.really_delete_room)),
    );
    let name = dynamic_text(move || if confirming.get() { confirm_name() } else { name() }.to_owned());
    let choose = move |_| {
        if !confirming.get_untracked() {
            return confirming.set(true);
        }
        if let Ok(topic) = TopicName::of::<Chat>(&room) {
            moderation.send(ModerationCommand::Close { topic });
        }
        confirming.set(false);
    };
    view! {
        <button
            type="button"
            class="button small script-only"
            data-action="delete-room"
            on:click=choose
            on:blur=move |_| confirming.set(false)
        >{name}</button>
    }
    .into_any()
}
