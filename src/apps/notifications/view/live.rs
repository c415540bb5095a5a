//! The live part of the bell: follows what reaches the visitor, counts what is unread, and shows what comes.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::wasm_split::wasm_split;

use super::super::{
    bell::Bell,
    model::Carries,
    wire::{ME, Notices},
};
use super::{
    desk::Desk,
    toasts::{Toast, Tray},
};
use crate::{
    client::use_topic::{UseTopic, use_topic},
    wire::notice::EVERYONE,
};

/// For as long as `owner` lives. It and all that it needs come with it, and not with the page.
#[wasm_split(live, wasm_split_path = leptos::wasm_split)]
pub fn live(owner: Owner, bell: Bell) {
    owner.with(|| {
        let all = use_topic::<Notices>(EVERYONE);
        let me = Memo::new(move |_| all.me.with(|me| me.as_ref().map(|me| me.id.0.clone())));
        let owner = owner.clone();
        // Once: a visitor does not become another one while the page stands.
        Effect::new(move |opened: Option<bool>| {
            let me = me.get();
            match (opened, me) {
                (Some(true), _) => true,
                (_, Some(me)) => {
                    owner.with(|| untrack(|| open(bell, &me, all)));
                    true
                }
                _ => false,
            }
        });
    });
}

fn open(bell: Bell, visitor: &str, all: UseTopic<Notices>) {
    let tray = Tray::new();
    provide_context(tray);
    let desk = Desk::following(visitor, all, |desk, source, topic| {
        if let Some(tray) = use_context::<Tray>() {
            topic.on_event(move |seq, event| tray.hear(desk, source, event.sent(seq)));
        }
    });
    all.on_event(move |seq, event| tray.hear(desk, EVERYONE, event.sent(seq)));
    desk.inbox
        .on_event(move |seq, event| tray.hear(desk, ME, event.sent(seq)));
    Effect::new(move |_| {
        let unread = if desk.is_known() { desk.unread() } else { 0 };
        if bell.unread.get_untracked() != unread {
            bell.unread.set(unread);
        }
    });
    bell.toasts.set(Some(Arc::new(move || tray.view(desk))));
}

impl Toast {
    /// Tabs that are out of sight show one notification for all of them.
    pub fn tag(&self) -> String {
        format!("duplex-{}-{}", self.source, self.sent.seq)
    }
}
