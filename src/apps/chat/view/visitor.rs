//! The visitor's state that all rooms share: the time zone, the tab's visibility and the read marks. Contains no view code.

use leptos::prelude::*;

use super::super::read_marks::ReadMarks;
use super::storage;
use crate::ui::hydration_queue::after_hydration;

#[derive(Clone, Copy)]
pub struct VisitorState {
    /// Whether times are shown in the visitor's time zone; false until hydration, because the server renders UTC.
    pub local_time: RwSignal<bool>,
    /// Whether the tab is hidden.
    pub hidden: RwSignal<bool>,
    /// `None` until they are loaded from the browser's storage.
    pub read_marks: RwSignal<Option<ReadMarks>>,
}

impl VisitorState {
    /// Creates the state, owned by the calling component.
    pub fn new() -> Self {
        let visitor = Self {
            local_time: RwSignal::new(false),
            hidden: RwSignal::new(false),
            read_marks: RwSignal::new(None),
        };
        Effect::new(move |_| {
            after_hydration(move || {
                visitor.local_time.try_set(true);
                visitor.read_marks.try_set(Some(visitor.load_marks()));
            });
            let update_hidden = move || visitor.hidden.set(document().hidden());
            update_hidden();
            // Other tabs of this browser mark rooms as read too.
            let reload_marks = move |_| visitor.read_marks.set(Some(visitor.load_marks()));
            let listeners = [
                window_event_listener_untyped("visibilitychange", move |_| update_hidden()),
                window_event_listener_untyped("storage", reload_marks),
            ];
            on_cleanup(move || listeners.into_iter().for_each(WindowListenerHandle::remove));
        });
        visitor
    }

    fn load_marks(&self) -> ReadMarks {
        ReadMarks::parse(&storage::get(storage::READ_MARKS_KEY).unwrap_or_default())
    }

    /// Marks a room as read to its end. Call it only from effects.
    pub fn mark_read(&self, room: &str, count: u64) {
        let mut marks = self.load_marks();
        if marks.mark_read(room, count) {
            storage::set(storage::READ_MARKS_KEY, &marks.to_string());
        }
        if self.read_marks.with_untracked(|known| known.as_ref() != Some(&marks)) {
            self.read_marks.set(Some(marks));
        }
    }

    pub fn unread(&self, room: &str, count: u64) -> u64 {
        self.read_marks
            .with(|marks| marks.as_ref().map_or(0, |marks| marks.unread(room, count)))
    }
}
