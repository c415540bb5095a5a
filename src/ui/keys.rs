//! Keyboard helpers that ignore events during IME composition, in which Enter, Escape and the arrow keys select candidates.

use leptos::ev::KeyboardEvent;

/// Safari's key code for the keydown that ended a composition, which it dispatches after `compositionend`.
const COMPOSITION_KEY_CODE: u32 = 229;

/// The event's `key`, unless it belongs to an input method.
pub fn key(event: &KeyboardEvent) -> Option<String> {
    (!is_composing(event)).then(|| event.key())
}

/// The event's `code`, the physical key, unless it belongs to an input method.
pub fn code(event: &KeyboardEvent) -> Option<String> {
    (!is_composing(event)).then(|| event.code())
}

pub fn is_key(event: &KeyboardEvent, name: &str) -> bool {
    key(event).as_deref() == Some(name)
}

/// Enter sends; Shift and Enter insert a line break.
pub fn is_submit(event: &KeyboardEvent) -> bool {
    is_key(event, "Enter") && !event.shift_key()
}

fn is_composing(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == COMPOSITION_KEY_CODE
}
