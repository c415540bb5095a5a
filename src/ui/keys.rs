//! Keys, for every handler of them. While an input method composes, each key belongs to it: Enter, Escape and arrows choose among its
//! candidates.

use leptos::ev::KeyboardEvent;

/// What Safari reports for the key that ended a composition, after the composition's end.
const IN_COMPOSITION: u32 = 229;

/// The key, unless an input method has it.
pub fn key(event: &KeyboardEvent) -> Option<String> {
    (!composes(event)).then(|| event.key())
}

/// The place of the key on the keyboard, unless an input method has it.
pub fn code(event: &KeyboardEvent) -> Option<String> {
    (!composes(event)).then(|| event.code())
}

pub fn is(event: &KeyboardEvent, name: &str) -> bool {
    key(event).as_deref() == Some(name)
}

/// Enter alone sends; with Shift it starts a line.
pub fn sends(event: &KeyboardEvent) -> bool {
    is(event, "Enter") && !event.shift_key()
}

fn composes(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == IN_COMPOSITION
}
