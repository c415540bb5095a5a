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

/// The names of everything that is kept whose name begins so.
pub fn names(prefix: &str) -> Vec<String> {
    let Some(storage) = storage() else {
        return Vec::new();
    };
    let count = storage.length().unwrap_or_default();
    let names = (0..count).filter_map(|at| storage.key(at).ok().flatten());
    names.filter(|name| name.starts_with(prefix)).collect()
}

fn tab_storage() -> Option<Storage> {
    window().session_storage().ok().flatten()
}

/// What this tab alone keeps, through reloads and until it is closed.
pub fn get_in_tab(key: &str) -> Option<String> {
    tab_storage()?.get_item(key).ok().flatten()
}

pub fn set_in_tab(key: &str, value: &str) {
    if let Some(tab) = tab_storage() {
        let _ = tab.set_item(key, value);
    }
}

pub fn keep_name(name: &str) {
    if let Some(document) = document().dyn_ref::<HtmlDocument>() {
        let value = String::from(js_sys::encode_uri_component(name));
        let _ = document.set_cookie(&format!("{NAME}={value}; Max-Age={YEAR_SECONDS}; Path=/; SameSite=Lax"));
    }
}
