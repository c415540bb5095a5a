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
