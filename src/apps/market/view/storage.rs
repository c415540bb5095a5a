//! The watch list, in this browser. It is a habit of whoever sits here, not a fact of the market: it needs no server, works
//! without a connection, and is nobody else's business. A browser that keeps nothing is no error.

use std::collections::BTreeSet;

use leptos::prelude::*;

use super::super::wire::{MAX_SYMBOLS, is_symbol};

pub const KEY: &str = "market.watch";

pub fn watched() -> BTreeSet<String> {
    let kept = window().local_storage().ok().flatten();
    let text = kept
        .and_then(|storage| storage.get_item(KEY).ok().flatten())
        .unwrap_or_default();
    let symbols = text.split(' ').filter(|symbol| is_symbol(symbol));
    symbols.take(MAX_SYMBOLS).map(str::to_owned).collect()
}

pub fn watch(symbols: &BTreeSet<String>) {
    let text = symbols.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    if let Some(storage) = window().local_storage().ok().flatten() {
        let _ = storage.set_item(KEY, &text);
    }
}
