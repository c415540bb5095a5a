//! What an operator may do in a room: delete what anybody said, ban and rename who said it, and delete the room. Not there for
//! anybody else.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{
    super::wire::{Chat, LOBBY},
    list::focus,
    talk::Talk,
    words,
};
use crate::{
    i18n::*,
    ui::{
        moderation::{DURATIONS, refusal, until},
        standing,
        words::{Words, note, part, say, spoken, text, words},
    },
    wire::moderation::{MAX_BAN_REASON, Moderation, ModerationCommand, Target},
};
use duplex_leptos::topic::{CommandStatus, UseTopic};
use duplex_protocol::{
    person::{MAX_NAME, Person},
    session::Rejection,
    topic::TopicName,
};

/// Where the answers to a message's menu are given.
const PROBLEM: &str = "moderation-problem";

type Rules = UseTopic<Moderation>;

/// A message's menu for an operator: two forms for its author.
pub fn author(talk: Talk, rules: Rules, by: Person) -> AnyView {
    let form = RwSignal::new(None::<Form>);
    let by = StoredValue::new(by);
    let shown = part(move || {
        let by = by.get_value();
        form.get().map(|form| match form {
            Form::Ban => ban_form(talk, rules, by),
            Form::Rename => rename_form(talk, rules, by),
        })
    });
    let item = move |name: Words, key: &'static str, opens: Form| {
        view! {
            <button
                type="button"
                class="menu-item"
                data-act=key
                aria-expanded=text(move || (form.get() == Some(opens)).to_string())
                on:click=move |_| form.set((form.get_untracked() != Some(opens)).then_some(opens))
            >{spoken(name)}</button>
        }
        .into_any()
    };
    view! {
        {item(words!(moderation.rename), "rename-person", Form::Rename)}
        {item(words!(moderation.ban), "ban-person", Form::Ban)}
        {shown}
    }
    .into_any()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ban,
    Rename,
}

fn done(talk: Talk) {
    talk.menu.set(None);
    focus(PROBLEM);
}

fn ban_form(talk: Talk, rules: Rules, by: Person) -> AnyView {
    let (length, reason) = (RwSignal::new("day".to_owned()), RwSignal::new(String::new()));
    let ban = move |event: SubmitEvent| {
        event.prevent_default();
        rules.send(ModerationCommand::Ban {
            target: Target::Person(by.id.clone()),
            until: until(&length.get_untracked()),
            reason: reason.get_untracked(),
        });
        done(talk);
    };
    let choices: Vec<_> = DURATIONS
        .iter()
        .map(|(key, name, _)| view! { <option value=*key selected=*key == "day">{spoken(*name)}</option> })
        .collect();
    view! {
        <form class="menu-form" on:submit=ban>
            <label class="field">
                <span>{say!(moderation.how_long)}</span>
                <select name="length" on:change=move |event| length.set(event_target_value(&event))>{choices}</select>
            </label>
            <label class="field">
                <span>{say!(moderation.reason_optional)}</span>
                <input name="reason" autocomplete="off" maxlength=MAX_BAN_REASON.to_string() bind:value=reason/>
            </label>
            <button type="submit" class="button small">{say!(moderation.ban_now)}</button>
        </form>
    }
    .into_any()
}

fn rename_form(talk: Talk, rules: Rules, by: Person) -> AnyView {
    let name = RwSignal::new(by.name.clone());
    let rename = move |event: SubmitEvent| {
        event.prevent_default();
        rules.send(ModerationCommand::Rename {
            person: by.id.clone(),
            name: name.get_untracked(),
        });
        done(talk);
    };
    view! {
        <form class="menu-form" on:submit=rename>
            <label class="field">
                <span>{say!(moderation.new_name)}</span>
                <input name="new-name" autocomplete="off" maxlength=MAX_NAME.to_string() bind:value=name/>
            </label>
            <button type="submit" class="button small primary">{say!(moderation.rename_now)}</button>
        </form>
    }
    .into_any()
}

/// Above the room: its deletion, and what the server says to an operator's last command.
pub fn tools(talk: Talk, rules: Rules) -> AnyView {
    let i18n = use_i18n();
    let problem = note(move || {
        let locale = i18n.get_locale();
        let told = |one: &CommandStatus| one.problem(|wait| standing::held(locale, wait), |why| explain(locale, why));
        rules
            .pending
            .with(|pending| pending.iter().rev().find_map(|one| told(&one.status)))
    });
    let room = talk.room.get_value();
    let delete = (room != LOBBY).then(|| delete_room(rules, room));
    view! {
        {delete}
        <p class="problem" id=PROBLEM role="alert" tabindex="-1">{problem}</p>
    }
    .into_any()
}

fn explain(locale: Locale, why: &Rejection) -> String {
    match why {
        Rejection::Refused { why } => match refusal(why) {
            Some(words) => words(locale).to_owned(),
            None => words::rejection(locale, &Rejection::refused(why.clone())),
        },
        other => words::rejection(locale, other),
    }
}

/// Asks once more.
fn delete_room(rules: Rules, room: String) -> AnyView {
    let sure = RwSignal::new(false);
    let (name, really) = (
        spoken(words!(moderation.delete_room)),
        spoken(words!(moderation.really_delete_room)),
    );
    let name = text(move || if sure.get() { really() } else { name() }.to_owned());
    let choose = move |_| {
        if !sure.get_untracked() {
            return sure.set(true);
        }
        if let Ok(topic) = TopicName::of::<Chat>(&room) {
            rules.send(ModerationCommand::Close { topic });
        }
        sure.set(false);
    };
    view! {
        <button
            type="button"
            class="button small script"
            data-act="delete-room"
            on:click=choose
            on:blur=move |_| sure.set(false)
        >{name}</button>
    }
    .into_any()
}
