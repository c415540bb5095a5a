//! What is typed in a room and not yet sent. It stays in its tab, and a copy of it in this browser: for a new tab, should this one not
//! come back. A tab that is there holds a lock, so its copy is nobody else's. Where browsers have no locks, the copy is made when
//! the page goes, and a tab that crashes leaves none.

use std::time::Duration;

use leptos::prelude::*;

use super::{storage, talk::Talk, web_lock};

/// Within it a copy is made once.
const COPY_EVERY: Duration = Duration::from_millis(500);
/// How long a new tab waits for one that is about to go.
const LEAVING: Duration = Duration::from_secs(5);
/// Where a tab keeps its name.
const TAB: &str = "chat.tab";

#[derive(Clone)]
struct Draft {
    talk: Talk,
    /// In the tab's storage; with the tab's name after it, in the browser's.
    key: String,
    tab: String,
    /// A copy was made a moment ago, and the next is due.
    due: StoredValue<bool>,
}

pub fn keep(talk: Talk) {
    Effect::new(move |_| {
        let draft = Draft::begin(talk);
        draft.listen();
        Effect::new(move |before: Option<()>| {
            let is_new = talk.draft.with(|text| before.is_some() || !text.is_empty());
            if is_new {
                draft.keep();
            }
        });
    });
}

impl Draft {
    fn begin(talk: Talk) -> Self {
        let draft = Self {
            talk,
            key: talk.room.with_value(|room| format!("chat.draft.{room}")),
            tab: tab(),
            due: StoredValue::new(false),
        };
        draft.forget_copy_without_lock();
        if talk.draft.with_untracked(String::is_empty) {
            match storage::get_in_tab(&draft.key) {
                Some(kept) => talk.draft.set(kept),
                None => draft.look_for_left(),
            }
        }
        draft
    }

    fn copy_key(&self) -> String {
        format!("{}.{}", self.key, self.tab)
    }

    /// What was typed in a tab that is gone, the last one first.
    fn look_for_left(&self) {
        let prefix = format!("{}.", self.key);
        let mut left = storage::names(&prefix);
        left.sort_unstable();
        for copy in left.into_iter().rev() {
            let lock = copy.strip_prefix(&prefix).map(lock).unwrap_or_default();
            let draft = self.clone();
            web_lock::when_free(&lock, LEAVING, move || draft.take(&copy));
        }
    }

    /// Unless something was typed or sent meanwhile.
    fn take(&self, copy: &str) {
        let wanted = self.talk.draft.try_with_untracked(String::is_empty) == Some(true);
        if !wanted || storage::get_in_tab(&self.key).is_some() {
            return;
        }
        if let Some(text) = storage::get(copy) {
            storage::remove(copy);
            self.talk.draft.set(text);
        }
    }

    /// An empty text is kept too, once there was another: this tab has sent its own, and takes no other tab's.
    fn keep(&self) {
        self.talk.draft.with_untracked(|text| {
            if !text.is_empty() || storage::get_in_tab(&self.key).is_some() {
                storage::set_in_tab(&self.key, text);
            }
        });
        if self.due.get_value() {
            return;
        }
        self.copy_if_locked();
        self.due.set_value(true);
        let draft = self.clone();
        let again = move || {
            let is_gone = draft.due.try_set_value(false).is_some();
            if !is_gone {
                draft.copy_if_locked();
            }
        };
        set_timeout(again, COPY_EVERY);
    }

    fn copy_if_locked(&self) {
        if web_lock::is_held() {
            self.copy();
        }
    }

    fn copy(&self) {
        let _ = self.talk.draft.try_with_untracked(|text| match text.as_str() {
            "" => storage::remove(&self.copy_key()),
            text => storage::set(&self.copy_key(), text),
        });
    }

    /// While this tab is there, others would take it.
    fn forget_copy_without_lock(&self) {
        if !web_lock::is_supported() {
            storage::remove(&self.copy_key());
        }
    }

    fn listen(&self) {
        let (leaving, returning, gone) = (self.clone(), self.clone(), self.clone());
        let leaves = window_event_listener_untyped("pagehide", move |_| leaving.copy());
        // A page that comes back as it was has its draft still.
        let returns = window_event_listener_untyped("pageshow", move |_| returning.forget_copy_without_lock());
        on_cleanup(move || {
            gone.copy();
            leaves.remove();
            returns.remove();
        });
    }
}

/// This tab's name: later tabs have greater ones. Its lock is held from here on.
fn tab() -> String {
    let tab = storage::get_in_tab(TAB).unwrap_or_else(|| {
        let (now, random) = (js_sys::Date::now() as u64, js_sys::Math::random() * f64::from(u32::MAX));
        let tab = format!("{now:013}-{:08x}", random as u32);
        storage::set_in_tab(TAB, &tab);
        tab
    });
    web_lock::hold(lock(&tab));
    tab
}

fn lock(tab: &str) -> String {
    format!("{TAB}.{tab}")
}
