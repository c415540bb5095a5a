//! The messages as one tab stop: arrow keys, Home and End move the focus from message to message, and Tab goes on to the controls of
//! the one that has it. Without scripts every link is a tab stop of its own.

use leptos::{
    ev::{FocusEvent, KeyboardEvent},
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement};

use super::{
    list::{Scroll, row_id},
    talk::Talk,
};
use crate::ui::{keys, text::optional_text};
use duplex_protocol::cursor::Seq;

const ROW: &str = "article";

/// The `tabindex` of what can be done with a message.
pub fn tab_stop(talk: Talk, seq: Seq) -> Signal<Option<String>> {
    optional_text(move || {
        let index = if talk.focused.get()? == Some(seq) { "0" } else { "-1" };
        Some(index.to_owned())
    })
}

pub fn focus_in(talk: Talk, event: &FocusEvent) {
    let seq = event
        .target()
        .and_then(row_of)
        .and_then(|row| row.id()[1..].parse().ok());
    set(talk, seq);
}

/// Leaving the messages altogether.
pub fn focus_out(talk: Talk, event: &FocusEvent) {
    let to = event.related_target().and_then(|to| to.dyn_into::<Element>().ok());
    let stays = to.is_some_and(|to| to.closest(".messages").ok().flatten().is_some());
    if !stays {
        set(talk, None);
    }
}

fn set(talk: Talk, seq: Option<Seq>) {
    if talk.focused.get_untracked() != Some(seq) {
        talk.focused.set(Some(seq));
    }
}

/// Says whether the key moved the focus.
pub fn move_focus(scroll: Scroll, event: &KeyboardEvent) -> bool {
    let plain = !(event.ctrl_key() || event.alt_key() || event.meta_key() || event.shift_key());
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
        keys::key(event).filter(|_| plain && !on_control),
        event.current_target(),
    ) else {
        return false;
    };
    let Ok(log) = log.dyn_into::<Element>() else {
        return false;
    };
    let at = event.target().and_then(row_of);
    let rows = log.get_elements_by_tag_name(ROW);
    let last = rows.length().checked_sub(1).and_then(|last| rows.item(last));
    let to = match key.as_str() {
        "ArrowUp" => at.map_or(last, |row| neighbour(row, Element::previous_element_sibling)),
        "ArrowDown" => at.map_or_else(
            || first_in_sight(&log),
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
        None if key == "ArrowUp" => scroll.older(),
        None => return false,
    }
    true
}

fn first_in_sight(log: &Element) -> Option<Element> {
    let top = log.get_bounding_client_rect().top();
    let rows = log.get_elements_by_tag_name(ROW);
    let mut rows = (0..rows.length()).filter_map(|at| rows.item(at));
    rows.find(|row| row.get_bounding_client_rect().top() >= top)
}

/// The nearest message on one side; days and marks stand between them.
fn neighbour(row: Element, step: fn(&Element) -> Option<Element>) -> Option<Element> {
    let mut other = step(&row);
    while let Some(element) = other {
        if element.local_name() == ROW {
            return Some(element);
        }
        other = step(&element);
    }
    None
}

fn row_of(target: EventTarget) -> Option<Element> {
    let row = target.dyn_into::<Element>().ok()?.closest(ROW).ok()??;
    row.id().starts_with(&row_id(Seq::default())[..1]).then_some(row)
}
