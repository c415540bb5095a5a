//! The quotes as signals, one for each symbol, so that a tick updates only the cells of its symbol. No markup.

use std::collections::{BTreeMap, BTreeSet};

use leptos::prelude::*;

use super::super::{
    model::quote_book::QuoteBook,
    wire::{Entry, Quotes},
};
use super::storage;
use duplex_leptos::topic::UseTopic;

#[derive(Clone, Copy)]
pub struct QuoteStore {
    pub quotes: UseTopic<Quotes>,
    entries: StoredValue<BTreeMap<String, ArcRwSignal<Entry>>>,
    /// Notifies when symbols are added or removed. Changes of one symbol notify its own signal.
    listed: RwSignal<u32>,
    /// True once the page may use the visitor's time zone; before hydration it shows UTC, as rendered by the server.
    pub use_local_time: RwSignal<bool>,
    pub watch_list: WatchList,
}

impl QuoteStore {
    /// Creates the store in the calling component's owner. Call it after the quotes have loaded.
    pub fn start(quotes: UseTopic<Quotes>) -> Self {
        let store = Self {
            quotes,
            entries: StoredValue::new(BTreeMap::new()),
            listed: RwSignal::new(0),
            use_local_time: RwSignal::new(false),
            watch_list: WatchList::default(),
        };
        quotes.state.with_untracked(|book| store.sync(book));
        // Runs once per batch of events.
        Effect::new(move |_| {
            if quotes.state.with(|book| store.sync(book)) {
                store.listed.update(|count| *count = count.wrapping_add(1));
            }
        });
        Effect::new(move |_| {
            store.use_local_time.set(true);
            store.watch_list.load();
            // Another tab of this browser may change the watch list.
            let listener = window_event_listener_untyped("storage", move |_| store.watch_list.load());
            on_cleanup(move || listener.remove());
        });
        store
    }

    /// Applies the quote book; returns true if symbols were added or removed.
    fn sync(&self, book: &QuoteBook) -> bool {
        let mut changed = false;
        self.entries.update_value(|entries| {
            for (symbol, entry) in &book.entries {
                match entries.get(symbol) {
                    Some(current) if current.with_untracked(|current| current == entry) => {}
                    Some(current) => current.set(entry.clone()),
                    None => {
                        entries.insert(symbol.clone(), ArcRwSignal::new(entry.clone()));
                        changed = true;
                    }
                }
            }
            if entries.len() > book.entries.len() {
                entries.retain(|symbol, _| book.entries.contains_key(symbol));
                changed = true;
            }
        });
        changed
    }

    /// The signal of a symbol. Tracks whether the symbol is listed.
    pub fn entry(&self, symbol: &str) -> Option<ArcRwSignal<Entry>> {
        self.listed.track();
        self.entries.with_value(|entries| entries.get(symbol).cloned())
    }

    /// The current entries of all symbols. Tracks only which symbols are listed.
    pub fn all(&self) -> Vec<Entry> {
        self.listed.track();
        self.entries
            .with_value(|entries| entries.values().map(|entry| entry.get_untracked()).collect())
    }
}

/// The symbols on this browser's watch list.
#[derive(Clone, Copy, Default)]
pub struct WatchList {
    /// `None` until the browser's storage was read.
    symbols: RwSignal<Option<BTreeSet<String>>>,
}

impl WatchList {
    fn load(&self) {
        self.symbols.set(Some(storage::load()));
    }

    pub fn contains(&self, symbol: &str) -> bool {
        self.symbols
            .with(|symbols| symbols.as_ref().is_some_and(|symbols| symbols.contains(symbol)))
    }

    pub fn count(&self) -> usize {
        self.symbols.with(|symbols| symbols.as_ref().map_or(0, BTreeSet::len))
    }

    pub fn toggle(&self, symbol: &str) {
        let mut symbols = storage::load();
        if !symbols.remove(symbol) {
            symbols.insert(symbol.to_owned());
        }
        storage::save(&symbols);
        self.symbols.set(Some(symbols));
    }
}
