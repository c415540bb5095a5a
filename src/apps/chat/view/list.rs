//! The scrollable message list. With `flex-direction: column-reverse` it starts at the end without scripts, stays there, and does
//! not shift when older rows are prepended. Other changes keep the visible rows in place.

use std::collections::HashSet;

use leptos::{
    ev::{self, KeyboardEvent},
    html,
    leptos_dom::helpers::request_animation_frame,
    prelude::*,
    task::spawn_local,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, FocusOptions, HtmlElement};

use super::{
    pending::PendingRows,
    room_model::{RoomModel, Row},
    roving_tabindex,
    row::row,
};
use crate::{
    i18n::*,
    ui::{
        hydration_queue::after_hydration,
        keys,
        text::{dynamic_text, dynamic_view, fill, t, text_key, translate},
    },
};
use duplex_protocol::cursor::Seq;

/// The distance from the end, in pixels, within which the list follows the end.
const NEAR_END: i32 = 48;
/// The distance from either end of the rows, in pixels, at which more are rendered.
const LOAD_MARGIN: i32 = 900;
/// The distance to the first row, in pixels, up to which cached rows are then rendered.
const FILL_MARGIN: i32 = 3000;
/// Maximum number of history pages loaded to jump to a message: a reply is rarely far from its message.
const MAX_JUMP_PAGES: usize = 5;

/// The scrolling box and its position.
#[derive(Clone, Copy)]
pub struct ScrollState {
    room: RoomModel,
    viewport: NodeRef<html::Div>,
    rows: NodeRef<html::Div>,
    pub at_end: RwSignal<bool>,
    /// Whether the rows are taller than the viewport.
    overflows: RwSignal<bool>,
    /// Whether the next frame renders more rows before the first.
    is_filling: StoredValue<bool>,
}

impl ScrollState {
    pub fn new(room: RoomModel) -> Self {
        Self {
            room,
            viewport: NodeRef::new(),
            rows: NodeRef::new(),
            at_end: RwSignal::new(true),
            overflows: RwSignal::new(true),
            is_filling: StoredValue::new(false),
        }
    }

    /// Updates `overflows` after the rows have changed.
    fn update_overflow(self) {
        request_animation_frame(move || {
            if let Some(viewport) = self.viewport.try_get_untracked().flatten() {
                self.overflows
                    .try_set(viewport.scroll_height() > viewport.client_height());
            }
        });
    }

    fn on_scroll(self) {
        let Some(viewport) = self.viewport.get_untracked() else {
            return;
        };
        let from_end = -viewport.scroll_top();
        let at_end = from_end < NEAR_END;
        if at_end {
            self.room.follow_newest();
        } else {
            self.room.pin_window();
        }
        if self.at_end.get_untracked() != at_end {
            self.at_end.set(at_end);
        }
        if from_start(&viewport) < LOAD_MARGIN {
            self.show_older();
        } else if from_end < LOAD_MARGIN && self.room.window.get_untracked().end.is_some() {
            self.keep_scroll_position(move || self.room.show_newer());
        }
    }

    /// Renders more rows before the first: from the cache, else from the log.
    pub fn show_older(self) {
        if self.room.loading.get_untracked() || self.is_filling.get_value() {
            return;
        }
        if self.room.has_older() {
            self.add_older_rows();
            return;
        }
        spawn_local(async move {
            if self.room.load_older().await {
                self.add_older_rows();
            }
        });
    }

    fn add_older_rows(self) {
        self.keep_scroll_position(move || self.room.show_older());
        self.fill_margin();
    }

    /// Renders rows before the first one, a few in each frame, until they reach beyond the margin.
    fn fill_margin(self) {
        self.is_filling.set_value(true);
        request_animation_frame(move || {
            self.is_filling.try_set_value(false);
            let Some(viewport) = self.viewport.try_get_untracked().flatten() else {
                return;
            };
            let margin = match self.room.has_older() {
                true => FILL_MARGIN,
                false => LOAD_MARGIN,
            };
            if from_start(&viewport) < margin {
                self.show_older();
            }
        });
    }

    /// Changes the rows and restores the first visible row's position before the next paint; the end stays visible by itself. Rows
    /// that move are detached from the document for a moment and lose the focus, so it is restored too.
    fn keep_scroll_position(self, change: impl FnOnce()) {
        let viewport = self.viewport.get_untracked();
        let is_at_end = viewport.is_some_and(|viewport| viewport.scroll_top() == 0);
        let anchor = if is_at_end { None } else { self.first_visible() };
        let focused = self.focused();
        change();
        request_animation_frame(move || {
            if let Some(focused) = focused {
                restore_focus(&focused);
            }
            let Some((id, top)) = anchor else { return };
            let row = document().get_element_by_id(&id);
            if let (Some(viewport), Some(row)) = (self.viewport.try_get_untracked().flatten(), row) {
                let moved = (row.get_bounding_client_rect().top() - top).round() as i32;
                if moved != 0 {
                    viewport.set_scroll_top(viewport.scroll_top() + moved);
                }
            }
        });
    }

    /// The focused element among the rows.
    fn focused(self) -> Option<HtmlElement> {
        let (rows, focused) = (self.rows.get_untracked()?, document().active_element()?);
        let focused = focused.dyn_into::<HtmlElement>().ok()?;
        rows.contains(Some(&focused)).then_some(focused)
    }

    fn first_visible(&self) -> Option<(String, f64)> {
        let edge = self.viewport.get_untracked()?.get_bounding_client_rect().top();
        let mut row = self.rows.get_untracked()?.first_element_child();
        while let Some(element) = row {
            let rect = element.get_bounding_client_rect();
            // A day separator moves to the first message of that day, so only messages serve as anchors.
            if rect.bottom() > edge && element.tag_name() == "ARTICLE" && !element.id().is_empty() {
                return Some((element.id(), rect.top()));
            }
            row = element.next_element_sibling();
        }
        None
    }

    pub fn scroll_to_newest(self) {
        self.scroll_to_end();
        // A pending scroll event may have pinned the window or restored an older position.
        request_animation_frame(move || self.scroll_to_end());
    }

    /// Scrolls before the rows change: the old position could be at the start of the new rows and load older ones.
    fn scroll_to_end(self) {
        if let Some(viewport) = self.viewport.try_get_untracked().flatten() {
            viewport.set_scroll_top(0);
            self.room.show_newest();
        }
    }
}

/// The distance from the first row to the first visible pixel.
fn from_start(viewport: &Element) -> i32 {
    viewport.scroll_height() - viewport.client_height() + viewport.scroll_top()
}

/// Jumps to a message; loads history until it is found.
pub fn jump_to(room: RoomModel, seq: Seq) {
    spawn_local(async move {
        for _ in 0..MAX_JUMP_PAGES {
            if room.message(seq).is_some() || !room.load_older().await {
                break;
            }
        }
        if room.show_message(seq) {
            room.target.set(Some(seq));
            request_animation_frame(move || {
                if let Some(row) = document().get_element_by_id(&row_id(seq)) {
                    row.scroll_into_view();
                    focus_element(&row_id(seq));
                    // The rows that have become visible may be higher than was estimated.
                    request_animation_frame(move || row.scroll_into_view());
                }
            });
        }
    });
}

pub fn row_id(seq: Seq) -> String {
    format!("m{seq}")
}

pub fn focus_element(id: &str) {
    let element = document().get_element_by_id(id);
    if let Some(element) = element.as_ref().and_then(|element| element.dyn_ref::<HtmlElement>()) {
        let _ = element.focus();
    }
}

/// Focuses the element again, unless the visitor has focused another one.
fn restore_focus(element: &HtmlElement) {
    let active = document().active_element();
    let is_lost = active.is_none_or(|active| active.local_name() == "body");
    if is_lost && element.is_connected() {
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        let _ = element.focus_with_options(&options);
    }
}

#[component]
pub fn MessageList(room: RoomModel, scroll: ScrollState) -> impl IntoView {
    let rows = Memo::new(move |_| room.rows());
    let group_starts =
        Memo::new(move |_| rows.with(|rows| rows.iter().filter_map(Row::group_start).collect::<HashSet<Seq>>()));
    Effect::new(move |_| {
        rows.track();
        scroll.update_overflow();
        let resized = window_event_listener(ev::resize, move |_| scroll.update_overflow());
        on_cleanup(move || resized.remove());
    });
    let close_menu = move |event: Event| {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let inside = target.is_some_and(|target| target.closest(".menu, .menu-button").ok().flatten().is_some());
        if !inside && room.menu.get_untracked().is_some() {
            room.menu.set(None);
        }
    };
    // With scripts, the messages are one tab stop.
    Effect::new(move |_| {
        after_hydration(move || {
            room.focused.try_set(Some(None));
        });
        if room.has_older() {
            scroll.fill_margin();
        }
    });
    let on_key = move |event: KeyboardEvent| {
        if roving_tabindex::on_key(scroll, &event) {
            return event.prevent_default();
        }
        if keys::is_key(&event, "Escape")
            && let Some(seq) = room.menu.get_untracked()
        {
            room.menu.set(None);
            focus_element(&super::menu::button_id(seq));
        }
    };
    view! {
        <div class="messages-container">
            <div
                class="messages"
                role="log"
                tabindex="0"
                aria-label=t!(chat.messages)
                data-scrollable=dynamic_text(move || scroll.overflows.get().to_string())
                aria-busy=dynamic_text(move || room.loading.get().to_string())
                node_ref=scroll.viewport
                on:scroll=move |_| scroll.on_scroll()
                on:click=move |event| close_menu(event.into())
                on:keydown=on_key
                on:focusin=move |event| roving_tabindex::on_focus_in(room, &event)
                on:focusout=move |event| roving_tabindex::on_focus_out(room, &event)
            >
                <div class="messages-rows" node_ref=scroll.rows>
                    <HistoryStart room scroll/>
                    <For each=move || rows.get() key=Row::id let:item>
                        {row(room, item, group_starts)}
                    </For>
                    <PendingRows room/>
                </div>
            </div>
            <JumpToEnd room scroll/>
        </div>
    }
    .into_any()
}

/// The line before the first row: the start of the room, or a button that loads older messages.
#[component]
fn HistoryStart(room: RoomModel, scroll: ScrollState) -> impl IntoView {
    let complete = Memo::new(move |_| room.is_complete());
    let empty = Memo::new(move |_| room.rows().is_empty());
    let note = dynamic_view(move || {
        let key = match (complete.get(), empty.get()) {
            (_, true) => text_key!(chat.nothing_yet),
            (true, false) => text_key!(chat.beginning),
            (false, false) => return Some(older_button(room, scroll)),
        };
        Some(view! { <p class="history-start">{translate(key)}</p> }.into_any())
    });
    view! { <div class="messages-start">{note}</div> }.into_any()
}

fn older_button(room: RoomModel, scroll: ScrollState) -> AnyView {
    let i18n = use_i18n();
    let name = dynamic_text(move || {
        let name = match (room.loading.get(), room.failed.get()) {
            (true, _) => t_string!(i18n, chat.loading),
            (false, true) => t_string!(i18n, chat.history_failed),
            (false, false) => t_string!(i18n, chat.older),
        };
        name.to_owned()
    });
    view! { <button type="button" class="button small script-only" on:click=move |_| scroll.show_older()>{name}</button> }
        .into_any()
}

/// The button that jumps to the end, with the number of new messages.
#[component]
fn JumpToEnd(room: RoomModel, scroll: ScrollState) -> impl IntoView {
    let i18n = use_i18n();
    let new_below = Memo::new(move |_| room.count_below());
    let hidden = dynamic_text(move || (scroll.at_end.get() && new_below.get() == 0).to_string());
    let name = dynamic_text(move || match new_below.get() {
        0 => t_string!(i18n, chat.to_end).to_owned(),
        count => fill(t_string!(i18n, chat.new_below), &[("count", &count.to_string())]),
    });
    view! {
        <button type="button" class="button small jump-to-end script-only" data-hidden=hidden on:click=move |_| scroll.scroll_to_newest()>
            <span aria-hidden="true">"↓ "</span>{name}
        </button>
    }
    .into_any()
}

/// Element ids of rows.
impl Row {
    pub fn id(&self) -> String {
        match self {
            Self::Day(day) => format!("day{day}"),
            Self::New => "new".to_owned(),
            Self::Message { seq, .. } => row_id(*seq),
        }
    }

    /// The message, if it shows its author's name.
    fn group_start(&self) -> Option<Seq> {
        match self {
            Self::Message { seq, group_start: true } => Some(*seq),
            _ => None,
        }
    }
}
