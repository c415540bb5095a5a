//! The card with a switch for each group that the visitor may follow.

use leptos::prelude::*;

use super::super::wire::{GROUPS, InboxCommand};
use super::{inbox_model::InboxModel, labels};
use crate::ui::{
    card::Card,
    text::{t, text_key, translate},
};

pub fn follow_card(model: InboxModel) -> AnyView {
    let switches: Vec<_> = GROUPS.into_iter().map(|group| switch(model, group)).collect();
    view! {
        <Card id="follow" title=text_key!(notifications.follow) class="script-only">
            <p class="hint">{t!(notifications.follow_hint)}</p>
            <div class="follow-switches">{switches}</div>
        </Card>
    }
    .into_any()
}

fn switch(model: InboxModel, group: &'static str) -> AnyView {
    let on = Memo::new(move |_| model.optimistic.with(|inbox| inbox.follows.contains(group)));
    let on_change = move |_| {
        model.inbox.send(InboxCommand::Follow {
            group: group.to_owned(),
            on: !on.get_untracked(),
            head: untrack(|| model.head(group)),
        });
    };
    view! {
        <label class="switch">
            <input type="checkbox" role="switch" name=group autocomplete="off" prop:checked=move || on.get() on:change=on_change/>
            <span>
                <span class="switch-name">{translate(labels::source(group))}</span>
                <span class="hint">{translate(labels::group_description(group))}</span>
            </span>
        </label>
    }
    .into_any()
}
