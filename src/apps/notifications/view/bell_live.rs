//! Runs the bell once the app has loaded: subscribes to the visitor's sources, counts unread notices, and shows new ones as toasts.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::wasm_split::wasm_split;

use super::super::{
    bell::BellState,
    model::NoticeEvent,
    wire::{Notices, OWN_INBOX},
};
use super::{
    inbox_model::InboxModel,
    toasts::{Toast, Toasts},
};
use crate::{ui::island::IslandHandle, wire::notice::EVERYONE};
use duplex_leptos::topic::{TopicStatus, UseTopic, use_topic};
use duplex_protocol::topic::Topic;

/// Runs for as long as `owner` lives.
#[wasm_split(app, wasm_split_path = leptos::wasm_split)]
pub fn run_bell(owner: Owner, bell: BellState) {
    owner.with(|| {
        let all = use_topic::<Notices>(EVERYONE);
        let me = Memo::new(move |_| all.me.with(|me| me.as_ref().map(|me| me.id.0.clone())));
        let owner = owner.clone();
        // Runs once: the visitor of a page never changes.
        Effect::new(move |started: Option<bool>| {
            let me = me.get();
            match (started, me) {
                (Some(true), _) => true,
                (_, Some(me)) => {
                    owner.with(|| untrack(|| start(bell, &me, all)));
                    true
                }
                _ => false,
            }
        });
    });
}

fn start(bell: BellState, visitor: &str, all: UseTopic<Notices>) {
    let toasts = Toasts::new();
    provide_context(toasts);
    let model = InboxModel::with_followed_groups(visitor, all, |model, source, topic| {
        if let Some(toasts) = use_context::<Toasts>() {
            toast_unread(toasts, model, source, topic);
            topic.on_event(move |seq, event| toasts.push(model, source, event.entry(seq)));
        }
    });
    toast_unread(toasts, model, EVERYONE, all);
    all.on_event(move |seq, event| toasts.push(model, EVERYONE, event.entry(seq)));
    toast_unread(toasts, model, OWN_INBOX, model.inbox);
    model
        .inbox
        .on_event(move |seq, event| toasts.push(model, OWN_INBOX, event.entry(seq)));
    Effect::new(move |_| {
        let unread_count = if model.is_loaded() { model.unread_count() } else { 0 };
        if bell.unread_count.get_untracked() != unread_count {
            bell.unread_count.set(unread_count);
        }
    });
    bell.toasts.set(Some(Arc::new(move || toasts.view(model))));
}

/// If an unread hint loaded the app, shows all unread notices as toasts, because they were sent after the page was rendered.
fn toast_unread<T: Topic>(toasts: Toasts, model: InboxModel, source: &'static str, topic: UseTopic<T>) {
    if !use_context::<IslandHandle>().is_some_and(|island| island.woken_by_unread.get()) {
        return;
    }
    Effect::new(move |done: Option<bool>| {
        let is_done = done == Some(true);
        if is_done || !model.is_loaded() || topic.status.with(|status| *status == TopicStatus::Loading) {
            return is_done;
        }
        let mut notices = Vec::new();
        untrack(|| model.with_list(source, &mut |list| notices.extend(list.notices.iter().cloned())));
        for entry in notices {
            toasts.push(model, source, Some(entry));
        }
        true
    });
}

impl Toast {
    /// Tag of the browser notification. Tabs use the same tag, so the browser shows only one of them.
    pub fn tag(&self) -> String {
        format!("duplex-{}-{}", self.source, self.entry.seq)
    }
}
