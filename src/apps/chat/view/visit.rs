//! What the visitor brings to every room: their place and time, their eyes, and up to where they have read.
//! Knows no markup.

use leptos::prelude::*;

use super::super::read_marks::ReadMarks;
use super::storage;

#[derive(Clone, Copy)]
pub struct Visit {
    /// The page knows the visitor's zone; until then it says what the server said.
    pub local: RwSignal<bool>,
    /// The visitor looks at another tab.
    pub hidden: RwSignal<bool>,
    /// None until the browser was asked.
    pub read: RwSignal<Option<ReadMarks>>,
}

impl Visit {
    /// Belongs to the component that calls it.
    pub fn start() -> Self {
        let visit = Self {
            local: RwSignal::new(false),
            hidden: RwSignal::new(false),
            read: RwSignal::new(None),
        };
        Effect::new(move |_| {
            visit.local.set(true);
            visit.read.set(Some(visit.kept()));
            let look = move || visit.hidden.set(document().hidden());
            look();
            // Another tab of this browser reads rooms too.
            let others = move |_| visit.read.set(Some(visit.kept()));
            let listeners = [
                window_event_listener_untyped("visibilitychange", move |_| look()),
                window_event_listener_untyped("storage", others),
            ];
            on_cleanup(move || listeners.into_iter().for_each(WindowListenerHandle::remove));
        });
        visit
    }

    fn kept(&self) -> ReadMarks {
        ReadMarks::parse(&storage::get(storage::READ).unwrap_or_default())
    }

    /// A room was read to its end. Only from effects.
    pub fn mark(&self, room: &str, count: u64) {
        let mut marks = self.kept();
        if marks.read(room, count) {
            storage::set(storage::READ, &marks.to_string());
        }
        if self.read.with_untracked(|known| known.as_ref() != Some(&marks)) {
            self.read.set(Some(marks));
        }
    }

    pub fn unread(&self, room: &str, count: u64) -> u64 {
        self.read
            .with(|marks| marks.as_ref().map_or(0, |marks| marks.unread(room, count)))
    }
}
