//! Drafts: a room's unsent text. Saved in `sessionStorage`, with a copy in `localStorage` that a new tab restores if this tab is
//! gone. An open tab holds a Web Lock, so no other tab restores its copy. Without the Web Locks API the copy is made on
//! `pagehide`, so a crashed tab leaves none.

use std::time::Duration;

use leptos::prelude::*;

use super::{room_model::RoomModel, storage, web_lock};

/// The time between two copies.
const COPY_INTERVAL: Duration = Duration::from_millis(500);
/// The time for which a new tab waits for one that is closing.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The storage key of the tab's id.
const TAB_KEY: &str = "chat.tab";

#[derive(Clone)]
struct Draft {
    room: RoomModel,
    /// The key in the tab's storage; the browser's storage uses it with the tab's id appended.
    key: String,
    tab: String,
    /// A copy was made, and the next one is scheduled.
    copy_scheduled: StoredValue<bool>,
}

pub fn persist(room: RoomModel) {
    Effect::new(move |_| {
        let draft = Draft::new(room);
        draft.listen();
        Effect::new(move |before: Option<()>| {
            let is_new = room.draft.with(|text| before.is_some() || !text.is_empty());
            if is_new {
                draft.save();
            }
        });
    });
}

impl Draft {
    fn new(room: RoomModel) -> Self {
        let draft = Self {
            room,
            key: room.name.with_value(|room| format!("chat.draft.{room}")),
            tab: tab_id(),
            copy_scheduled: StoredValue::new(false),
        };
        draft.remove_copy_without_locks();
        if room.draft.with_untracked(String::is_empty) {
            match storage::get_in_tab(&draft.key) {
                Some(saved) => room.draft.set(saved),
                None => draft.restore_orphan(),
            }
        }
        draft
    }

    fn copy_key(&self) -> String {
        format!("{}.{}", self.key, self.tab)
    }

    /// Restores the draft of a closed tab, the newest first.
    fn restore_orphan(&self) {
        let prefix = format!("{}.", self.key);
        let mut orphans = storage::keys(&prefix);
        orphans.sort_unstable();
        for copy in orphans.into_iter().rev() {
            let lock = copy.strip_prefix(&prefix).map(lock_name).unwrap_or_default();
            let draft = self.clone();
            web_lock::when_free(&lock, CLOSE_TIMEOUT, move || draft.restore(&copy));
        }
    }

    /// Restores a copy, unless something was typed or sent meanwhile.
    fn restore(&self, copy: &str) {
        let is_empty = self.room.draft.try_with_untracked(String::is_empty) == Some(true);
        if !is_empty || storage::get_in_tab(&self.key).is_some() {
            return;
        }
        if let Some(text) = storage::get(copy) {
            storage::remove(copy);
            self.room.draft.set(text);
        }
    }

    /// Saves the text. An empty text is saved if the tab had a draft before, so that it does not restore another tab's.
    fn save(&self) {
        self.room.draft.with_untracked(|text| {
            if !text.is_empty() || storage::get_in_tab(&self.key).is_some() {
                storage::set_in_tab(&self.key, text);
            }
        });
        if self.copy_scheduled.get_value() {
            return;
        }
        self.copy_if_locked();
        self.copy_scheduled.set_value(true);
        let draft = self.clone();
        let copy_again = move || {
            let is_disposed = draft.copy_scheduled.try_set_value(false).is_some();
            if !is_disposed {
                draft.copy_if_locked();
            }
        };
        set_timeout(copy_again, COPY_INTERVAL);
    }

    fn copy_if_locked(&self) {
        if web_lock::is_held() {
            self.copy();
        }
    }

    fn copy(&self) {
        let _ = self.room.draft.try_with_untracked(|text| match text.as_str() {
            "" => storage::remove(&self.copy_key()),
            text => storage::set(&self.copy_key(), text),
        });
    }

    /// Removes this tab's copy in browsers without locks: other tabs would restore it while this one is open.
    fn remove_copy_without_locks(&self) {
        if !web_lock::is_supported() {
            storage::remove(&self.copy_key());
        }
    }

    fn listen(&self) {
        let (on_hide, on_show, on_dispose) = (self.clone(), self.clone(), self.clone());
        let pagehide = window_event_listener_untyped("pagehide", move |_| on_hide.copy());
        // A page restored from the back/forward cache still has its draft.
        let pageshow = window_event_listener_untyped("pageshow", move |_| on_show.remove_copy_without_locks());
        on_cleanup(move || {
            on_dispose.copy();
            pagehide.remove();
            pageshow.remove();
        });
    }
}

/// This tab's id, which sorts by creation time. Its lock is held from here on.
fn tab_id() -> String {
    let tab = storage::get_in_tab(TAB_KEY).unwrap_or_else(|| {
        let (now, random) = (js_sys::Date::now() as u64, js_sys::Math::random() * f64::from(u32::MAX));
        let tab = format!("{now:013}-{:08x}", random as u32);
        storage::set_in_tab(TAB_KEY, &tab);
        tab
    });
    web_lock::hold(lock_name(&tab));
    tab
}

fn lock_name(tab: &str) -> String {
    format!("{TAB_KEY}.{tab}")
}
