//! The quotes as a page has them: a signal for each symbol, so that a tick touches the cells of its own symbol and no others.
//! Knows no markup.

use std::collections::{BTreeMap, BTreeSet};

use leptos::prelude::*;

use super::super::{
    model::quote_book::QuoteBook,
    wire::{Entry, Quotes},
};
use super::storage;
use duplex_leptos::topic::UseTopic;

#[derive(Clone, Copy)]
pub struct Floor {
    pub quotes: UseTopic<Quotes>,
    entries: StoredValue<BTreeMap<String, ArcRwSignal<Entry>>>,
    /// Told when symbols come or go; what happens to one is told by itself.
    listed: RwSignal<u32>,
    /// The page knows the visitor's zone; until then it says what the server said.
    pub local: RwSignal<bool>,
    pub watched: WatchList,
}

impl Floor {
    /// Belongs to the component that calls it; the quotes are there.
    pub fn start(quotes: UseTopic<Quotes>) -> Self {
        let floor = Self {
            quotes,
            entries: StoredValue::new(BTreeMap::new()),
            listed: RwSignal::new(0),
            local: RwSignal::new(false),
            watched: WatchList::default(),
        };
        quotes.state.with_untracked(|board| floor.agree_with(board));
        // Events of one moment are one run of this.
        Effect::new(move |_| {
            if quotes.state.with(|board| floor.agree_with(board)) {
                floor.listed.update(|count| *count = count.wrapping_add(1));
            }
        });
        Effect::new(move |_| {
            floor.local.set(true);
            floor.watched.read();
            // Another tab of this browser watches too.
            let others = window_event_listener_untyped("storage", move |_| floor.watched.read());
            on_cleanup(move || others.remove());
        });
        floor
    }

    /// Says whether symbols came or went.
    fn agree_with(&self, board: &QuoteBook) -> bool {
        let mut changed = false;
        self.entries.update_value(|entries| {
            for (symbol, entry) in &board.entries {
                match entries.get(symbol) {
                    Some(held) if held.with_untracked(|held| held == entry) => {}
                    Some(held) => held.set(entry.clone()),
                    None => {
                        entries.insert(symbol.clone(), ArcRwSignal::new(entry.clone()));
                        changed = true;
                    }
                }
            }
            if entries.len() > board.entries.len() {
                entries.retain(|symbol, _| board.entries.contains_key(symbol));
                changed = true;
            }
        });
        changed
    }

    /// Follows whether it is listed; what it says is a signal of its own.
    pub fn entry(&self, symbol: &str) -> Option<ArcRwSignal<Entry>> {
        self.listed.track();
        self.entries.with_value(|entries| entries.get(symbol).cloned())
    }

    /// All that are listed, as they are now. Follows only what is listed.
    pub fn all(&self) -> Vec<Entry> {
        self.listed.track();
        self.entries
            .with_value(|entries| entries.values().map(|entry| entry.get_untracked()).collect())
    }
}

/// The symbols that this browser watches.
#[derive(Clone, Copy, Default)]
pub struct WatchList {
    /// None until the browser was asked.
    symbols: RwSignal<Option<BTreeSet<String>>>,
}

impl WatchList {
    fn read(&self) {
        self.symbols.set(Some(storage::watched()));
    }

    pub fn has(&self, symbol: &str) -> bool {
        self.symbols
            .with(|symbols| symbols.as_ref().is_some_and(|symbols| symbols.contains(symbol)))
    }

    pub fn count(&self) -> usize {
        self.symbols.with(|symbols| symbols.as_ref().map_or(0, BTreeSet::len))
    }

    pub fn toggle(&self, symbol: &str) {
        let mut symbols = storage::watched();
        if !symbols.remove(symbol) {
            symbols.insert(symbol.to_owned());
        }
        storage::watch(&symbols);
        self.symbols.set(Some(symbols));
    }
}
