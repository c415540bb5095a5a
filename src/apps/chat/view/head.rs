//! What stands above a room's messages: its name, what it is about, who is there, and whether what is shown is current.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{
    super::wire::{MAX_LINE, RoomsCommand},
    moderation::tools,
    name::NameForm,
    rooms::refused,
    talk::Talk,
    words,
};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, fill, optional_text, t},
};
use duplex_protocol::{person::Person, session::CommandId};

#[component]
pub fn Head(talk: Talk) -> impl IntoView {
    let title = dynamic_text(move || talk.title());
    view! {
        <header class="room-head">
            <div class="room-name">
                <h1>{title}</h1>
                <Status talk/>
            </div>
            <Line talk/>
            <div class="row room-people">
                <People talk/>
                <NameForm talk/>
            </div>
            {talk.rules.map(|rules| tools(talk, rules))}
        </header>
    }
    .into_any()
}

#[component]
fn Status(talk: Talk) -> impl IntoView {
    let i18n = use_i18n();
    let status = talk.chat.status;
    let word = dynamic_text(move || words::status(status.get()).0.to_owned());
    let said = dynamic_text(move || (words::status(status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="room-status script" role="status" data-status=word>
            <span class="dot" aria-hidden="true"></span>
            <span>{said}</span>
        </p>
    }
    .into_any()
}

/// What the room is about; anybody may change it.
#[component]
fn Line(talk: Talk) -> impl IntoView {
    let i18n = use_i18n();
    let open = RwSignal::new(false);
    let sent = RwSignal::new(None::<CommandId>);
    let line = Memo::new(move |_| talk.entry().map(|entry| entry.line).unwrap_or_default());
    let problem = optional_text(move || refused(i18n.get_locale(), talk.rooms, &sent.get()?));
    let shown = dynamic_view(move || {
        Some(if open.get() {
            line_form(talk, line, open, sent)
        } else {
            line_shown(line, open)
        })
    });
    view! {
        <div class="room-line">{shown}</div>
        <p class="problem" role="alert">{problem}</p>
    }
    .into_any()
}

fn line_shown(line: Memo<String>, open: RwSignal<bool>) -> AnyView {
    let i18n = use_i18n();
    let said = dynamic_text(move || match line.get() {
        line if line.is_empty() => t_string!(i18n, chat.no_line).to_owned(),
        line => line,
    });
    view! {
        <p class="lede" dir="auto">{said}</p>
        <button type="button" class="button small script" on:click=move |_| open.set(true)>{t!(chat.edit_line)}</button>
    }
    .into_any()
}

fn line_form(talk: Talk, line: Memo<String>, open: RwSignal<bool>, sent: RwSignal<Option<CommandId>>) -> AnyView {
    let typed = RwSignal::new(line.get_untracked());
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let (room, line) = (talk.room.get_value(), typed.get_untracked());
        sent.set(Some(talk.rooms.send(RoomsCommand::Describe { room, line })));
        open.set(false);
    };
    view! {
        <form class="row grow" on:submit=save>
            <label class="field grow">
                <span class="hidden">{t!(chat.line)}</span>
                <input name="line" autocomplete="off" autofocus maxlength=MAX_LINE.to_string() bind:value=typed/>
            </label>
            <button class="button small primary" type="submit">{t!(chat.save)}</button>
            <button class="button small" type="button" on:click=move |_| open.set(false)>{t!(chat.cancel)}</button>
        </form>
    }
    .into_any()
}

/// How many are here; opened, who.
#[component]
fn People(talk: Talk) -> impl IntoView {
    let i18n = use_i18n();
    let presence = talk.chat.presence;
    let count = dynamic_text(move || {
        // The visitor is there, also before the server has counted them.
        let count = presence.with(|presence| presence.people_count).max(1);
        fill(t_string!(i18n, chat.people_here), &[("count", &count.to_string())])
    });
    let named = Memo::new(move |_| {
        presence.with(|presence| presence.people.iter().map(|one| one.person.clone()).collect::<Vec<_>>())
    });
    let list = dynamic_view(move || {
        let locale = i18n.get_locale();
        Some(
            named
                .with(|people| people.iter().map(|one| person(locale, talk, one)).collect_view())
                .into_any(),
        )
    });
    let more = optional_text(move || {
        let more = presence.with(|presence| (presence.people_count as usize).saturating_sub(presence.people.len()));
        (more > 0).then(|| fill(t_string!(i18n, chat.more_people), &[("count", &more.to_string())]))
    });
    view! {
        <details class="people script">
            <summary>{count}</summary>
            <ul>{list}</ul>
            <p class="hint">{more}</p>
        </details>
    }
    .into_any()
}

fn person(locale: Locale, talk: Talk, person: &Person) -> AnyView {
    let hue = words::hue(&person.id).to_string();
    let name = words::name(locale, person);
    let own = talk
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
