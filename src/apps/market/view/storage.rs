//! The watch list in the browser's local storage. Unavailable storage is treated as empty.

use std::collections::BTreeSet;

use leptos::prelude::*;

use super::super::wire::{MAX_SYMBOLS, is_symbol};

pub const KEY: &str = "market.watch";

pub fn load() -> BTreeSet<String> {
    let storage = window().local_storage().ok().flatten();
    let text = storage
        .and_then(|storage| storage.get_item(KEY).ok().flatten())
        .unwrap_or_default();
    let symbols = text.split(' ').filter(|symbol| is_symbol(symbol));
    symbols.take(MAX_SYMBOLS).map(str::to_owned).collect()
}

pub fn save(symbols: &BTreeSet<String>) {
    let text = symbols.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    if let Some(storage) = window().local_storage().ok().flatten() {
        let _ = storage.set_item(KEY, &text);
    }
}
