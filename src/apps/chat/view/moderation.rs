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
        command_text,
        moderation::{DURATIONS, refusal, until},
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

/// Where the answers to a message's menu are given.
const PROBLEM: &str = "moderation-problem";

type Rules = UseTopic<Moderation>;

/// What an operator has begun in a message's menu.
#[derive(Clone)]
pub struct Begun {
    form: ArcRwSignal<Option<Form>>,
    length: ArcRwSignal<String>,
    reason: ArcRwSignal<String>,
    name: ArcRwSignal<String>,
}

impl Begun {
    fn new(by: &Person) -> Self {
        Self {
            form: ArcRwSignal::new(None),
            length: ArcRwSignal::new("day".to_owned()),
            reason: ArcRwSignal::new(String::new()),
            name: ArcRwSignal::new(by.name.clone()),
        }
    }
}

/// A message's menu for an operator: two forms for its author, with what was typed there before.
pub fn author(talk: Talk, rules: Rules, seq: Seq, by: Person) -> AnyView {
    let begun = talk.begun.try_update_value(|begun| {
        let begun = begun.entry(seq).or_insert_with(|| Begun::new(&by));
        begun.clone()
    });
    let begun = StoredValue::new(begun.unwrap_or_else(|| Begun::new(&by)));
    let form = RwSignal::from(begun.with_value(|begun| begun.form.clone()));
    let by = StoredValue::new(by);
    let shown = dynamic_view(move || {
        let (by, begun) = (by.get_value(), begun.get_value());
        form.get().map(|form| match form {
            Form::Ban => ban_form(talk, rules, (seq, by), begun),
            Form::Rename => rename_form(talk, rules, (seq, by), begun),
        })
    });
    let item = move |name: TextKey, key: &'static str, opens: Form| {
        view! {
            <button
                type="button"
                class="menu-item"
                data-act=key
                aria-expanded=dynamic_text(move || (form.get() == Some(opens)).to_string())
                on:click=move |_| form.set((form.get_untracked() != Some(opens)).then_some(opens))
            >{translate(name)}</button>
        }
        .into_any()
    };
    view! {
        {item(text_key!(moderation.rename), "rename-person", Form::Rename)}
        {item(text_key!(moderation.ban), "ban-person", Form::Ban)}
        {shown}
    }
    .into_any()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ban,
    Rename,
}

fn done(talk: Talk, seq: Seq) {
    talk.begun.update_value(|begun| {
        begun.remove(&seq);
    });
    talk.menu.set(None);
    focus(PROBLEM);
}

fn ban_form(talk: Talk, rules: Rules, (seq, by): (Seq, Person), begun: Begun) -> AnyView {
    let (length, reason) = (RwSignal::from(begun.length), RwSignal::from(begun.reason));
    let ban = move |event: SubmitEvent| {
        event.prevent_default();
        rules.send(ModerationCommand::Ban {
            target: Target::Person(by.id.clone()),
            until: until(&length.get_untracked()),
            reason: reason.get_untracked(),
        });
        done(talk, seq);
    };
    let chosen = length.get_untracked();
    let choices: Vec<_> = DURATIONS
        .iter()
        .map(|(key, name, _)| view! { <option value=*key selected=*key == chosen>{translate(*name)}</option> })
        .collect();
    view! {
        <form class="menu-form" on:submit=ban>
            <label class="field">
                <span>{t!(moderation.how_long)}</span>
                <select name="length" on:change=move |event| length.set(event_target_value(&event))>{choices}</select>
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

fn rename_form(talk: Talk, rules: Rules, (seq, by): (Seq, Person), begun: Begun) -> AnyView {
    let name = RwSignal::from(begun.name);
    let rename = move |event: SubmitEvent| {
        event.prevent_default();
        rules.send(ModerationCommand::Rename {
            person: by.id.clone(),
            name: name.get_untracked(),
        });
        done(talk, seq);
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

/// Above the room: its deletion, and what the server says to an operator's last command.
pub fn tools(talk: Talk, rules: Rules) -> AnyView {
    let i18n = use_i18n();
    let problem = optional_text(move || {
        let locale = i18n.get_locale();
        let told = |one: &CommandStatus| {
            one.problem(
                |wait| command_text::rate_limited(locale, wait),
                |why| explain(locale, why),
            )
        };
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
        Rejection::Refused { reason: why } => match refusal(why) {
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
        translate(text_key!(moderation.delete_room)),
        translate(text_key!(moderation.really_delete_room)),
    );
    let name = dynamic_text(move || if sure.get() { really() } else { name() }.to_owned());
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
