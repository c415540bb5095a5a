//! One's own messages that are not yet part of the room, after all that are: on their way, waiting, or refused and why.

use leptos::prelude::*;

use super::{super::wire::ChatCommand, list::focus, talk::Talk, words};
use crate::{
    i18n::*,
    ui::{
        command_text,
        text::{TextKey, dynamic_text, dynamic_view, fill, t, text_key, translate},
    },
};
use duplex_leptos::topic::{CommandStatus, Pending};
use duplex_protocol::session::{CommandId, Rejection};

#[component]
pub fn PendingRows(talk: Talk) -> impl IntoView {
    // What happens to other people's messages on one's word is shown when it failed only.
    let ids = Memo::new(move |_| {
        talk.chat.pending.with(|pending| {
            let shown = pending.iter().filter(|one| is_shown(one)).map(|one| one.id.clone());
            shown.collect::<Vec<_>>()
        })
    });
    view! {
        <For each=move || ids.get() key=|id| id.clone() let:id>
            {pending_row(talk, id)}
        </For>
    }
    .into_any()
}

fn is_shown(pending: &Pending<ChatCommand>) -> bool {
    let told = matches!(pending.status, CommandStatus::Rejected(_) | CommandStatus::Held { .. });
    matches!(pending.command, ChatCommand::Post { .. }) || told
}

fn pending_row(talk: Talk, id: CommandId) -> AnyView {
    let i18n = use_i18n();
    let id = StoredValue::new(id);
    let found = Memo::new(move |_| {
        talk.chat.pending.with(|pending| {
            let found = id.with_value(|id| pending.iter().find(|one| one.id == *id));
            found.map(|one| (described(i18n.get_locale(), &one.command), one.status.clone()))
        })
    });
    let said =
        dynamic_text(move || found.with(|found| found.as_ref().map(|(said, _)| said.clone()).unwrap_or_default()));
    let word = dynamic_text(move || {
        found
            .with(|found| match found {
                Some((_, CommandStatus::Queued)) => "queued",
                Some((_, CommandStatus::Held { .. })) => "held",
                Some((_, CommandStatus::Rejected(_))) => "rejected",
                _ => "sent",
            })
            .to_owned()
    });
    let state = dynamic_text(move || {
        found.with(|found| match found {
            Some((_, CommandStatus::Queued)) => t_string!(i18n, chat.queued).to_owned(),
            Some((_, CommandStatus::Held { retry_after_ms })) => {
                command_text::rate_limited(i18n.get_locale(), *retry_after_ms)
            }
            // Perhaps it was sent.
            Some((_, CommandStatus::Rejected(why @ Rejection::IdTooOld { .. }))) => {
                words::rejection(i18n.get_locale(), why)
            }
            Some((_, CommandStatus::Rejected(why))) => fill(
                t_string!(i18n, chat.rejected),
                &[("why", &words::rejection(i18n.get_locale(), why))],
            ),
            _ => t_string!(i18n, chat.sending).to_owned(),
        })
    });
    let buttons = dynamic_view(move || (word.get() != "sent").then(|| buttons(talk, id, word.get() == "rejected")));
    view! {
        <article class="message pending" data-own="true" data-standing=word>
            <span class="avatar" aria-hidden="true">"…"</span>
            <div class="message-main">
                <p class="message-text" dir="auto">{said}</p>
                <p class="standing" role="status">{state}</p>
                {buttons}
            </div>
        </article>
    }
    .into_any()
}

fn described(locale: Locale, command: &ChatCommand) -> String {
    let named = |what: TextKey, text: &str| format!("{} {text}", what(locale)).trim().to_owned();
    match command {
        ChatCommand::Post { text, .. } => text.clone(),
        ChatCommand::Edit { text, .. } => named(text_key!(chat.edit), text),
        ChatCommand::Delete { .. } => named(text_key!(chat.delete), ""),
        ChatCommand::React { emoji, .. } => emoji.sign().to_owned(),
    }
}

fn buttons(talk: Talk, id: StoredValue<CommandId>, rejected: bool) -> AnyView {
    let again = move |_| id.with_value(|id| talk.chat.retry(id));
    let command = move || {
        talk.chat.pending.with_untracked(|pending| {
            let found = id.with_value(|id| pending.iter().find(|one| one.id == *id));
            found.map(|one| one.command.clone())
        })
    };
    // What cannot be taken back stays, and is sent: its text must not come a second time.
    let take_back = move |_| {
        let taken = command();
        id.with_value(|id| talk.chat.cancel(id));
        if let Some(ChatCommand::Post { text, .. }) = taken.filter(|_| command().is_none()) {
            give_back(talk, &text);
        }
    };
    view! {
        <div class="row">
            {rejected.then(|| view! { <button type="button" class="button small" on:click=again>{t!(chat.retry)}</button> })}
            <button type="button" class="button small" on:click=take_back>{translate(text_key!(chat.take_back))}</button>
        </div>
    }
    .into_any()
}

/// Nothing that was typed is lost: it goes before what is being typed.
fn give_back(talk: Talk, text: &str) {
    talk.draft.update(|draft| {
        *draft = match draft.is_empty() {
            true => text.to_owned(),
            false => format!("{text}\n{draft}"),
        }
    });
    focus(super::composer::FIELD);
}
