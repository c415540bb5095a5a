//! The quote book: all symbols with their latest prices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::wire::{Entry, FeedState, MAX_SYMBOLS, Millis, Quotes, QuotesEvent, Source};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{Delivery, NoCommand, Topic};

/// Maximum points of a sparkline.
pub const SPARK_POINTS: usize = 48;
/// Milliseconds between two points.
pub const SPARKLINE_INTERVAL: Millis = 10_000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteBook {
    pub source: Source,
    pub feed: FeedState,
    /// By symbol; at most [`MAX_SYMBOLS`], each with at most [`SPARK_POINTS`] points.
    pub entries: BTreeMap<String, Entry>,
    /// When a point was last added to the sparklines.
    #[serde(rename = "sampled")]
    pub sampled_at: Millis,
}

impl Topic for Quotes {
    const KIND: &'static str = "quotes";
    const DELIVERY: Delivery = Delivery::Latest;
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = QuotesEvent;
    type State = QuoteBook;

    fn apply(book: &mut QuoteBook, _seq: Seq, event: &QuotesEvent) {
        match event {
            QuotesEvent::Opened(source) => {
                if book.source != *source {
                    book.entries.clear();
                }
                book.source = source.clone();
            }
            QuotesEvent::Listed(entries) => entries.iter().for_each(|entry| insert(book, entry)),
            QuotesEvent::Ticked(tick) => {
                if let Some(entry) = book.entries.get_mut(&tick.symbol) {
                    entry.tick = tick.clone();
                }
            }
            QuotesEvent::Sampled { at, points } => {
                book.sampled_at = *at;
                for (symbol, price) in points {
                    if let Some(entry) = book.entries.get_mut(symbol) {
                        entry.spark.push(*price);
                        trim_spark(&mut entry.spark);
                    }
                }
            }
            QuotesEvent::Feed(feed) => book.feed = *feed,
        }
    }

    /// Listings and samples have no key, so they are never skipped: every reader needs them for the same sparklines.
    fn key(event: &QuotesEvent) -> Option<String> {
        match event {
            QuotesEvent::Ticked(tick) => Some(tick.symbol.clone()),
            QuotesEvent::Feed(_) => Some("#feed".to_owned()),
            QuotesEvent::Opened(_) | QuotesEvent::Listed(_) | QuotesEvent::Sampled { .. } => None,
        }
    }
}

fn insert(book: &mut QuoteBook, entry: &Entry) {
    let symbol = &entry.listing.symbol;
    if book.entries.len() < MAX_SYMBOLS || book.entries.contains_key(symbol) {
        let mut entry = entry.clone();
        trim_spark(&mut entry.spark);
        book.entries.insert(symbol.clone(), entry);
    }
}

fn trim_spark(spark: &mut Vec<u64>) {
    spark.drain(..spark.len().saturating_sub(SPARK_POINTS));
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::super::wire::{FeedStatus, Listing, Sector, Tick};
    use super::*;

    pub fn tick(symbol: &str, last: u64) -> Tick {
        Tick {
            symbol: symbol.to_owned(),
            last,
            open: 100,
            high: last.max(100),
            low: last.min(100),
            volume: last,
            at: last,
            stale: false,
        }
    }

    pub fn entry(symbol: &str) -> Entry {
        Entry {
            listing: Listing {
                symbol: symbol.to_owned(),
                names: (symbol.to_owned(), symbol.to_owned()),
                sector: Sector::Chips,
                scale: 2,
                min_decimals: 2,
                volume_scale: 0,
            },
            tick: tick(symbol, 100),
            spark: vec![100; 3],
        }
    }

    fn events() -> impl Strategy<Value = QuotesEvent> {
        let source = (0..2_u8).prop_map(|number| Source {
            name: number.to_string(),
            simulated: true,
        });
        let listed = prop::collection::vec("[a-d]", 0..4);
        prop_oneof![
            1 => source.prop_map(QuotesEvent::Opened),
            1 => listed.prop_map(|symbols| QuotesEvent::Listed(symbols.iter().map(|s| entry(s)).collect())),
            12 => ("[a-f]", 1..999_u64).prop_map(|(symbol, last)| QuotesEvent::Ticked(tick(&symbol, last))),
            2 => (any::<u64>(), prop::collection::vec(("[a-f]", any::<u64>()), 0..4))
                .prop_map(|(at, points)| QuotesEvent::Sampled { at, points }),
            1 => any::<u64>().prop_map(|skipped| QuotesEvent::Feed(FeedState { status: FeedStatus::Live, since: 1, skipped })),
        ]
    }

    fn fold<'a>(events: impl IntoIterator<Item = &'a QuotesEvent>) -> QuoteBook {
        let mut book = QuoteBook::default();
        events.into_iter().for_each(|event| Quotes::apply(&mut book, 1, event));
        book
    }

    #[test]
    fn another_source_clears_the_book() {
        let source = |name: &str| {
            QuotesEvent::Opened(Source {
                name: name.to_owned(),
                simulated: false,
            })
        };
        let listed = QuotesEvent::Listed(vec![entry("a")]);
        assert_eq!(fold([&source("x"), &listed, &source("x")]).entries.len(), 1);
        assert_eq!(fold([&source("x"), &listed, &source("y")]).entries.len(), 0);
    }

    #[test]
    fn the_number_of_symbols_is_limited() {
        let many: Vec<_> = (0..MAX_SYMBOLS + 5).map(|number| entry(&number.to_string())).collect();
        assert_eq!(fold([&QuotesEvent::Listed(many)]).entries.len(), MAX_SYMBOLS);
    }

    proptest! {
        /// A slow reader, which gets the newest event of each key, ends with the same state as a fast one.
        #[test]
        fn the_newest_event_of_each_key_is_enough(events in prop::collection::vec(events(), 0..80), from in 0..80_usize) {
            let (seen, rest) = events.split_at(from.min(events.len()));
            let newest: HashMap<String, usize> =
                rest.iter().enumerate().filter_map(|(index, event)| Some((Quotes::key(event)?, index))).collect();
            let needed = rest
                .iter()
                .enumerate()
                .filter(|(index, event)| Quotes::key(event).is_none_or(|key| newest[&key] == *index))
                .map(|(_, event)| event);
            let (full, conflated) = (fold(&events), fold(seen.iter().chain(needed)));
            // A symbol that was listed again after its last tick starts from its listing in both cases.
            prop_assert_eq!(full.source, conflated.source);
            prop_assert_eq!(full.feed, conflated.feed);
            prop_assert_eq!(full.entries, conflated.entries);
        }

        #[test]
        fn any_events_leave_a_consistent_book(events in prop::collection::vec(events(), 0..200)) {
            let book = fold(&events);
            prop_assert!(book.entries.iter().all(|(symbol, entry)| *symbol == entry.listing.symbol && entry.spark.len() <= SPARK_POINTS));
        }
    }
}
