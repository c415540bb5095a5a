//! `localStorage`, `sessionStorage` and the name cookie. Errors are ignored; nothing is persisted then.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlDocument, Storage};

const YEAR_SECONDS: u32 = 365 * 24 * 60 * 60;

/// The key of the read marks.
pub const READ_MARKS_KEY: &str = "chat.read";
/// The cookie with the visitor's name, which the server reads too.
const NAME_COOKIE: &str = "name";

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

/// All keys with this prefix.
pub fn keys(prefix: &str) -> Vec<String> {
    let Some(storage) = storage() else {
        return Vec::new();
    };
    let count = storage.length().unwrap_or_default();
    let keys = (0..count).filter_map(|at| storage.key(at).ok().flatten());
    keys.filter(|key| key.starts_with(prefix)).collect()
}

fn tab_storage() -> Option<Storage> {
    window().session_storage().ok().flatten()
}

/// Reads from the tab's own storage, which survives reloads until the tab is closed.
pub fn get_in_tab(key: &str) -> Option<String> {
    tab_storage()?.get_item(key).ok().flatten()
}

pub fn set_in_tab(key: &str, value: &str) {
    if let Some(tab) = tab_storage() {
        let _ = tab.set_item(key, value);
    }
}

pub fn store_name(name: &str) {
    if let Some(document) = document().dyn_ref::<HtmlDocument>() {
        let value = String::from(js_sys::encode_uri_component(name));
        let _ = document.set_cookie(&format!(
            "{NAME_COOKIE}={value}; Max-Age={YEAR_SECONDS}; Path=/; SameSite=Lax"
        ));
    }
}
