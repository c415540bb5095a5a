//! Rows for the visitor's pending commands, after the messages: sent, queued, rate-limited, or rejected with a reason.

use leptos::prelude::*;

use super::{super::wire::ChatCommand, labels, list::focus_element, room_model::RoomModel};
use crate::{
    i18n::*,
    ui::{
        command_text,
        text::{TextKey, dynamic_text, dynamic_view, fill, t, text_key, translate},
    },
};
use duplex_leptos::topic::{CommandStatus, PendingCommand};
use duplex_protocol::session::{CommandId, Rejection};

#[component]
pub fn PendingRows(room: RoomModel) -> impl IntoView {
    // Commands that change existing messages are shown only if they failed.
    let ids = Memo::new(move |_| {
        room.chat.pending.with(|pending| {
            let shown = pending
                .iter()
                .filter(|command| is_shown(command))
                .map(|command| command.id.clone());
            shown.collect::<Vec<_>>()
        })
    });
    view! {
        <For each=move || ids.get() key=|id| id.clone() let:id>
            {pending_row(room, id)}
        </For>
    }
    .into_any()
}

fn is_shown(pending: &PendingCommand<ChatCommand>) -> bool {
    let failed = matches!(
        pending.status,
        CommandStatus::Rejected(_) | CommandStatus::RateLimited { .. }
    );
    matches!(pending.command, ChatCommand::Post { .. }) || failed
}

fn pending_row(room: RoomModel, id: CommandId) -> AnyView {
    let i18n = use_i18n();
    let id = StoredValue::new(id);
    let command = Memo::new(move |_| {
        room.chat.pending.with(|pending| {
            let found = id.with_value(|id| pending.iter().find(|command| command.id == *id));
            found.map(|command| (description(i18n.get_locale(), &command.command), command.status.clone()))
        })
    });
    let label =
        dynamic_text(move || command.with(|found| found.as_ref().map(|(label, _)| label.clone()).unwrap_or_default()));
    let keyword = dynamic_text(move || {
        command
            .with(|found| match found {
                Some((_, CommandStatus::Queued)) => "queued",
                Some((_, CommandStatus::RateLimited { .. })) => "held",
                Some((_, CommandStatus::Rejected(_))) => "rejected",
                _ => "sent",
            })
            .to_owned()
    });
    let state = dynamic_text(move || {
        command.with(|found| match found {
            Some((_, CommandStatus::Queued)) => t_string!(i18n, chat.queued).to_owned(),
            Some((_, CommandStatus::RateLimited { retry_after_ms })) => {
                command_text::rate_limited(i18n.get_locale(), *retry_after_ms)
            }
            // The command may have been sent.
            Some((_, CommandStatus::Rejected(rejection @ Rejection::IdTooOld { .. }))) => {
                labels::rejection(i18n.get_locale(), rejection)
            }
            Some((_, CommandStatus::Rejected(rejection))) => fill(
                t_string!(i18n, chat.rejected),
                &[("why", &labels::rejection(i18n.get_locale(), rejection))],
            ),
            _ => t_string!(i18n, chat.sending).to_owned(),
        })
    });
    let buttons =
        dynamic_view(move || (keyword.get() != "sent").then(|| buttons(room, id, keyword.get() == "rejected")));
    view! {
        <article class="message pending" data-own="true" data-status=keyword>
            <span class="avatar" aria-hidden="true">"…"</span>
            <div class="message-content">
                <p class="message-text" dir="auto">{label}</p>
                <p class="command-status" role="status">{state}</p>
                {buttons}
            </div>
        </article>
    }
    .into_any()
}

fn description(locale: Locale, command: &ChatCommand) -> String {
    let labeled = |name: TextKey, text: &str| format!("{} {text}", name(locale)).trim().to_owned();
    match command {
        ChatCommand::Post { text, .. } => text.clone(),
        ChatCommand::Edit { text, .. } => labeled(text_key!(chat.edit), text),
        ChatCommand::Delete { .. } => labeled(text_key!(chat.delete), ""),
        ChatCommand::React { emoji, .. } => emoji.symbol().to_owned(),
    }
}

fn buttons(room: RoomModel, id: StoredValue<CommandId>, rejected: bool) -> AnyView {
    let retry = move |_| id.with_value(|id| room.chat.retry(id));
    let command = move || {
        room.chat.pending.with_untracked(|pending| {
            let found = id.with_value(|id| pending.iter().find(|command| command.id == *id));
            found.map(|command| command.command.clone())
        })
    };
    // A command that can no longer be canceled is still sent, so its text must not return to the draft.
    let cancel = move |_| {
        let canceled = command();
        id.with_value(|id| room.chat.cancel(id));
        if let Some(ChatCommand::Post { text, .. }) = canceled.filter(|_| command().is_none()) {
            restore_draft(room, &text);
        }
    };
    view! {
        <div class="row">
            {rejected.then(|| view! { <button type="button" class="button small" on:click=retry>{t!(chat.retry)}</button> })}
            <button type="button" class="button small" on:click=cancel>{translate(text_key!(chat.take_back))}</button>
        </div>
    }
    .into_any()
}

/// Inserts a canceled text before the current draft, so that no text is lost.
fn restore_draft(room: RoomModel, text: &str) {
    room.draft.update(|draft| {
        *draft = match draft.is_empty() {
            true => text.to_owned(),
            false => format!("{text}\n{draft}"),
        }
    });
    focus_element(super::composer::FIELD_ID);
}
