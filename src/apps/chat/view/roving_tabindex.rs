//! Roving tabindex (the ARIA pattern): the messages are one tab stop. Arrow keys, Home and End move the focus between messages, and
//! Tab moves on to the controls of the focused one. Without scripts every link is a tab stop.

use leptos::{
    ev::{FocusEvent, KeyboardEvent},
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement};

use super::{
    list::{ScrollState, row_id},
    room_model::RoomModel,
};
use crate::ui::{keys, text::optional_text};
use duplex_protocol::cursor::Seq;

const ROW_TAG: &str = "article";

/// The `tabindex` of a message's controls.
pub fn control_tabindex(room: RoomModel, seq: Seq) -> Signal<Option<String>> {
    optional_text(move || {
        let index = if room.focused.get()? == Some(seq) { "0" } else { "-1" };
        Some(index.to_owned())
    })
}

pub fn on_focus_in(room: RoomModel, event: &FocusEvent) {
    let seq = event
        .target()
        .and_then(message_row)
        .and_then(|row| row.id()[1..].parse().ok());
    set_focused(room, seq);
}

/// Clears the focused message when the focus leaves the list.
pub fn on_focus_out(room: RoomModel, event: &FocusEvent) {
    let to = event.related_target().and_then(|to| to.dyn_into::<Element>().ok());
    let is_inside = to.is_some_and(|to| to.closest(".messages").ok().flatten().is_some());
    if !is_inside {
        set_focused(room, None);
    }
}

fn set_focused(room: RoomModel, seq: Option<Seq>) {
    if room.focused.get_untracked() != Some(seq) {
        room.focused.set(Some(seq));
    }
}

/// Handles a key; returns whether it moved the focus.
pub fn on_key(scroll: ScrollState, event: &KeyboardEvent) -> bool {
    let unmodified = !(event.ctrl_key() || event.alt_key() || event.meta_key() || event.shift_key());
    let on_control = event.target().is_some_and(|target| {
        let element = target.dyn_into::<Element>().ok();
        element.is_some_and(|element| {
            element
                .closest("textarea, input, select, .menu")
                .ok()
                .flatten()
                .is_some()
        })
    });
    let (Some(key), Some(log)) = (
        keys::key(event).filter(|_| unmodified && !on_control),
        event.current_target(),
    ) else {
        return false;
    };
    let Ok(log) = log.dyn_into::<Element>() else {
        return false;
    };
    let at = event.target().and_then(message_row);
    let rows = log.get_elements_by_tag_name(ROW_TAG);
    let last = rows.length().checked_sub(1).and_then(|last| rows.item(last));
    let to = match key.as_str() {
        "ArrowUp" => at.map_or(last, |row| neighbour(row, Element::previous_element_sibling)),
        "ArrowDown" => at.map_or_else(
            || first_visible(&log),
            |row| neighbour(row, Element::next_element_sibling),
        ),
        "Home" => rows.item(0),
        "End" => last,
        _ => return false,
    };
    match to.and_then(|row| row.dyn_into::<HtmlElement>().ok()) {
        Some(row) => {
            let _ = row.focus();
        }
        None if key == "ArrowUp" => scroll.show_older(),
        None => return false,
    }
    true
}

fn first_visible(log: &Element) -> Option<Element> {
    let top = log.get_bounding_client_rect().top();
    let rows = log.get_elements_by_tag_name(ROW_TAG);
    let mut rows = (0..rows.length()).filter_map(|at| rows.item(at));
    rows.find(|row| row.get_bounding_client_rect().top() >= top)
}

/// The next message in one direction; skips the lines between messages.
fn neighbour(row: Element, step: fn(&Element) -> Option<Element>) -> Option<Element> {
    let mut other = step(&row);
    while let Some(element) = other {
        if element.local_name() == ROW_TAG {
            return Some(element);
        }
        other = step(&element);
    }
    None
}

fn message_row(target: EventTarget) -> Option<Element> {
    let row = target.dyn_into::<Element>().ok()?.closest(ROW_TAG).ok()??;
    row.id().starts_with(&row_id(Seq::default())[..1]).then_some(row)
}
