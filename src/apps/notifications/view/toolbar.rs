//! The toolbar above the list: the number of unread notices, the filters, and the button that marks all as read, which works
//! without scripts.

use leptos::{ev::SubmitEvent, prelude::*};

use super::super::wire::{GROUPS, InboxCommand, OWN_INBOX, PAGE_PATH, format_heads};
use super::{inbox_model::InboxModel, labels, list::Filter};
use crate::{
    i18n::*,
    ui::text::{TextKey, dynamic_text, fill, optional_text, t, text_key, translate},
    wire::notice::EVERYONE,
};

pub fn toolbar(model: InboxModel, visitor: String, filter: Filter) -> AnyView {
    view! {
        <div class="notices-toolbar">
            <MarkAll model visitor/>
            <div class="filters script-only" role="group" aria-label=t!(notifications.filters)>
                <div class="segmented-control">
                    {choice(filter.unread, false, text_key!(notifications.all))}
                    {choice(filter.unread, true, text_key!(notifications.unread))}
                </div>
                <LevelChoice filter/>
                <SourceChoice model filter/>
            </div>
        </div>
    }
    .into_any()
}

fn choice(unread: RwSignal<bool>, value: bool, name: TextKey) -> AnyView {
    let pressed = dynamic_text(move || (unread.get() == value).to_string());
    view! { <button type="button" aria-pressed=pressed on:click=move |_| unread.set(value)>{translate(name)}</button> }
        .into_any()
}

#[component]
fn MarkAll(model: InboxModel, visitor: String) -> impl IntoView {
    let i18n = use_i18n();
    let count = Memo::new(move |_| model.unread_count());
    let summary = dynamic_text(move || match count.get() {
        0 => t_string!(i18n, notifications.nothing_unread).to_owned(),
        count => fill(
            t_string!(i18n, notifications.unread_count),
            &[("count", &count.to_string())],
        ),
    });
    let heads = dynamic_text(move || format_heads(&model.heads()));
    let mark_all = move |event: SubmitEvent| {
        event.prevent_default();
        if count.get_untracked() > 0 {
            let heads = untrack(|| model.heads());
            model.inbox.send(InboxCommand::ReadAll { heads });
        }
    };
    let is_empty = Memo::new(move |_| count.get() == 0);
    view! {
        <form class="mark-all-read" method="post" action=PAGE_PATH on:submit=mark_all>
            <input type="hidden" name="inbox" value=visitor/>
            <input type="hidden" name="heads" value=heads/>
            <p class="unread-count" role="status">{summary}</p>
            <button class="button small" type="submit" disabled=move || is_empty.get()>{t!(notifications.read_all)}</button>
        </form>
    }
    .into_any()
}

#[component]
fn LevelChoice(filter: Filter) -> impl IntoView {
    let options = labels::LEVELS.map(|level| {
        let (value, name, _) = labels::level(level);
        view! { <option value=value>{translate(name)}</option> }
    });
    let choose = move |value: String| {
        let chosen = labels::LEVELS
            .into_iter()
            .find(|level| labels::level(*level).0 == value);
        filter.level.set(chosen);
    };
    view! {
        <label class="field">
            <span>{t!(notifications.level)}</span>
            <select name="level" autocomplete="off" on:change=move |event| choose(event_target_value(&event))>
                <option value="">{t!(notifications.any_level)}</option>
                {options.into_iter().collect_view()}
            </select>
        </label>
    }
    .into_any()
}

#[component]
fn SourceChoice(model: InboxModel, filter: Filter) -> impl IntoView {
    let option = move |source: &'static str| {
        // A group that is not followed has no notices to filter.
        let is_disabled = move || !model.sources().contains(&source);
        view! { <option value=source disabled=is_disabled>{translate(labels::source(source))}</option> }
    };
    let options: Vec<_> = [OWN_INBOX, EVERYONE].into_iter().chain(GROUPS).map(option).collect();
    let choose = move |value: String| {
        let mut all = [OWN_INBOX, EVERYONE].into_iter().chain(GROUPS);
        filter.source.set(all.find(|source| *source == value));
    };
    view! {
        <label class="field">
            <span>{t!(notifications.source)}</span>
            <select name="source" autocomplete="off" on:change=move |event| choose(event_target_value(&event))>
                <option value="">{t!(notifications.any_source)}</option>
                {options}
            </select>
        </label>
    }
    .into_any()
}

/// Why the visitor's last command had no effect.
pub fn problem(model: InboxModel) -> AnyView {
    use crate::ui::command_text;
    let i18n = use_i18n();
    let message = optional_text(move || {
        model.inbox.pending.with(|pending| {
            let locale = i18n.get_locale();
            pending.iter().rev().find_map(|command| {
                command.status.error_text(
                    |wait| command_text::rate_limited(locale, wait),
                    |rejection| labels::rejection(rejection)(locale).to_owned(),
                )
            })
        })
    });
    view! { <p class="problem" role="alert">{message}</p> }.into_any()
}
