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
use crate::{ui::island::MountedIsland, wire::notice::EVERYONE};
use duplex_leptos::topic::{TopicStatus, UseTopic, use_topic};
use duplex_protocol::topic::Topic;

/// For as long as `owner` lives.
#[wasm_split(app, wasm_split_path = leptos::wasm_split)]
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
            catch_up(tray, desk, source, topic);
            topic.on_event(move |seq, event| tray.hear(desk, source, event.sent(seq)));
        }
    });
    catch_up(tray, desk, EVERYONE, all);
    all.on_event(move |seq, event| tray.hear(desk, EVERYONE, event.sent(seq)));
    catch_up(tray, desk, ME, desk.inbox);
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

/// Where the app was called for what came: all that is unread came since the page asked, which was told otherwise.
fn catch_up<T: Topic>(tray: Tray, desk: Desk, source: &'static str, topic: UseTopic<T>) {
    if !use_context::<MountedIsland>().is_some_and(|island| island.woken_by_unread.get()) {
        return;
    }
    Effect::new(move |done: Option<bool>| {
        let is_done = done == Some(true);
        if is_done || !desk.is_known() || topic.status.with(|status| *status == TopicStatus::Loading) {
            return is_done;
        }
        let mut waiting = Vec::new();
        untrack(|| desk.look(source, &mut |board| waiting.extend(board.notices.iter().cloned())));
        for sent in waiting {
            tray.hear(desk, source, Some(sent));
        }
        true
    });
}

impl Toast {
    /// Tabs that are out of sight show one notification for all of them.
    pub fn tag(&self) -> String {
        format!("duplex-{}-{}", self.source, self.sent.seq)
    }
}
