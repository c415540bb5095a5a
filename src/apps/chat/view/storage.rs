//! What this browser keeps for its visitor. A browser that keeps nothing is no error.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlDocument, Storage};

const YEAR_SECONDS: u32 = 365 * 24 * 60 * 60;

/// Up to where rooms were read.
pub const READ: &str = "chat.read";
/// The cookie with the visitor's name, which the server reads too.
const NAME: &str = "name";

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

pub fn get(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

pub fn set(key: &str, value: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(key, value);
    }
}

pub fn remove(key: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(key);
    }
}

fn tab_storage() -> Option<Storage> {
    window().session_storage().ok().flatten()
}

/// The text that was typed in this tab; in a new tab the one that the last closed tab left. The browser's copy is taken from it:
/// two tabs never have the same text.
pub fn take_draft(key: &str) -> Option<String> {
    let own = tab_storage().and_then(|tab| tab.get_item(key).ok().flatten());
    let left = get(key);
    if own.is_none() || own == left {
        remove(key);
    }
    own.or(left)
}

/// An empty text is kept too: this tab has sent its own, and takes no other tab's.
pub fn keep_draft(key: &str, draft: &str) {
    if let Some(tab) = tab_storage() {
        let _ = tab.set_item(key, draft);
    }
}

/// For the next tab, should this one not come back.
pub fn leave_draft(key: &str, draft: &str) {
    if !draft.is_empty() {
        set(key, draft);
    }
}

/// Where the text is kept that was typed in a room and not yet sent.
pub fn draft(room: &str) -> String {
    format!("chat.draft.{room}")
}

pub fn keep_name(name: &str) {
    if let Some(document) = document().dyn_ref::<HtmlDocument>() {
        let value = String::from(js_sys::encode_uri_component(name));
        let _ = document.set_cookie(&format!("{NAME}={value}; Max-Age={YEAR_SECONDS}; Path=/; SameSite=Lax"));
    }
}
