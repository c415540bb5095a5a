//! Which groups the visitor follows: a switch for each.

use leptos::prelude::*;

use super::super::wire::{GROUPS, InboxCommand};
use super::{desk::Desk, words};
use crate::ui::{
    card::Card,
    text::{t, text_key, translate},
};

pub fn follow(desk: Desk) -> AnyView {
    let switches: Vec<_> = GROUPS.into_iter().map(|group| switch(desk, group)).collect();
    view! {
        <Card id="follow" title=text_key!(notifications.follow) class="script">
            <p class="hint">{t!(notifications.follow_hint)}</p>
            <div class="follow-switches">{switches}</div>
        </Card>
    }
    .into_any()
}

fn switch(desk: Desk, group: &'static str) -> AnyView {
    let on = Memo::new(move |_| desk.seen.with(|seen| seen.follows.contains(group)));
    let change = move |_| {
        desk.inbox.send(InboxCommand::Follow {
            group: group.to_owned(),
            on: !on.get_untracked(),
            head: untrack(|| desk.head(group)),
        });
    };
    view! {
        <label class="switch">
            <input type="checkbox" role="switch" name=group autocomplete="off" prop:checked=move || on.get() on:change=change/>
            <span>
                <span class="switch-name">{translate(words::source(group))}</span>
                <span class="hint">{translate(words::about(group))}</span>
            </span>
        </label>
    }
    .into_any()
}
