//! Where trades become ticks: each symbol as it is now, and what is still to be told. Pure; knows no clock and no topic.

use std::collections::BTreeMap;

use super::super::wire::{Entry, Listing, MAX_SYMBOLS, MAX_TICKS, MAX_TRADES, Millis, Tick, Trade};

/// Ticks that wait, beyond which only the newest of each symbol does: whatever a source says in one go, little is held.
const WAITING: usize = 4 * MAX_TICKS;

/// What a source says of a symbol's day. What is none says nothing that can be used: what was known stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    pub last: u64,
    pub open: Option<u64>,
    pub high: Option<u64>,
    pub low: Option<u64>,
    pub volume: Option<u64>,
}

impl Day {
    pub fn is_whole(&self) -> bool {
        [self.open, self.high, self.low, self.volume]
            .iter()
            .all(Option::is_some)
    }
}

#[derive(Debug, Default)]
pub struct Desk {
    entries: BTreeMap<String, Entry>,
    /// Symbols that nobody was told of yet.
    fresh: Vec<String>,
    ticks: Vec<Tick>,
    trades: BTreeMap<String, Vec<Trade>>,
}

impl Desk {
    pub fn new(entries: BTreeMap<String, Entry>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    pub fn has(&self, symbol: &str) -> bool {
        self.entries.contains_key(symbol)
    }

    /// A symbol that was not there, with its first price. Beyond the bound of the market it is left out.
    pub fn list(&mut self, listing: Listing, price: u64, at: Millis) {
        if self.has(&listing.symbol) || self.entries.len() >= MAX_SYMBOLS {
            return;
        }
        let symbol = listing.symbol.clone();
        let tick = Tick {
            symbol: symbol.clone(),
            last: price,
            open: price,
            high: price,
            low: price,
            volume: 0,
            at,
            stale: false,
        };
        self.fresh.push(symbol.clone());
        let spark = Vec::new();
        self.entries.insert(symbol, Entry { listing, tick, spark });
    }

    pub fn trade(&mut self, symbol: &str, trade: Trade) {
        let Some(entry) = self.entries.get_mut(symbol) else {
            return;
        };
        let tick = &mut entry.tick;
        tick.last = trade.price;
        tick.high = tick.high.max(trade.price);
        tick.low = tick.low.min(trade.price);
        tick.volume = tick.volume.saturating_add(trade.quantity);
        tick.at = tick.at.max(trade.at);
        tick.stale = false;
        let tick = tick.clone();
        self.tell(tick);
        let trades = self.trades.entry(symbol.to_owned()).or_default();
        if trades.len() < MAX_TRADES {
            trades.push(trade);
        }
    }

    /// What the source counts is right; the price stays that of the last trade, if there was one.
    pub fn day(&mut self, symbol: &str, day: Day, at: Millis) {
        let Some(entry) = self.entries.get_mut(symbol) else {
            return;
        };
        let before = entry.tick.clone();
        let tick = &mut entry.tick;
        if at > tick.at || tick.stale {
            (tick.last, tick.at, tick.stale) = (day.last, at.max(tick.at), false);
        }
        tick.open = day.open.unwrap_or(tick.open);
        tick.high = day.high.unwrap_or(tick.high).max(tick.last);
        tick.low = day.low.unwrap_or(tick.low).min(tick.last);
        tick.volume = day.volume.unwrap_or(tick.volume);
        let tick = tick.clone();
        if tick != before {
            self.tell(tick);
        }
    }

    /// Changes are counted from here on.
    pub fn new_day(&mut self) {
        let ticks: Vec<_> = self
            .entries
            .values_mut()
            .map(|Entry { tick, .. }| {
                (tick.open, tick.high, tick.low, tick.volume) = (tick.last, tick.last, tick.last, 0);
                tick.clone()
            })
            .collect();
        ticks.into_iter().for_each(|tick| self.tell(tick));
    }

    /// Nothing was traded after `now`: what says so was stamped by a clock that was ahead.
    pub fn not_after(&mut self, now: Millis) {
        for Entry { tick, .. } in self.entries.values_mut() {
            tick.at = tick.at.min(now);
        }
    }

    /// Marks what was not traded since then.
    pub fn mark_stale(&mut self, since: Millis) {
        let old = |entry: &&mut Entry| !entry.tick.stale && entry.tick.at < since;
        let ticks: Vec<_> = self
            .entries
            .values_mut()
            .filter(old)
            .map(|entry| {
                entry.tick.stale = true;
                entry.tick.clone()
            })
            .collect();
        ticks.into_iter().for_each(|tick| self.tell(tick));
    }

    fn tell(&mut self, tick: Tick) {
        if self.ticks.len() >= WAITING {
            let newest: BTreeMap<String, Tick> = self.ticks.drain(..).map(|tick| (tick.symbol.clone(), tick)).collect();
            self.ticks = newest.into_values().collect();
        }
        self.ticks.push(tick);
    }

    pub fn take_fresh(&mut self) -> Vec<Entry> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh
            .iter()
            .filter_map(|symbol| self.entries.get(symbol).cloned())
            .collect()
    }

    pub fn take_ticks(&mut self) -> Vec<Tick> {
        std::mem::take(&mut self.ticks)
    }

    /// How many trades of each symbol wait.
    pub fn waiting(&self) -> impl Iterator<Item = (&String, usize)> {
        self.trades.iter().map(|(symbol, trades)| (symbol, trades.len()))
    }

    pub fn take_trades(&mut self, symbol: &str) -> Vec<Trade> {
        self.trades.remove(symbol).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::quote_book::tests::entry;
    use super::*;

    fn desk() -> Desk {
        Desk::new(["a", "b"].map(|symbol| (symbol.to_owned(), entry(symbol))).into())
    }

    fn trade(at: Millis, price: u64) -> Trade {
        Trade {
            at,
            price,
            quantity: 3,
            bought: true,
        }
    }

    #[test]
    fn each_trade_is_a_tick_and_moves_the_day() {
        let mut desk = desk();
        desk.trade("a", trade(200, 120));
        desk.trade("a", trade(300, 80));
        desk.trade("z", trade(300, 80));
        let ticks = desk.take_ticks();
        let seen: Vec<_> = ticks.iter().map(|t| (t.last, t.high, t.low, t.volume, t.at)).collect();
        assert_eq!(seen, [(120, 120, 100, 103, 200), (80, 120, 80, 106, 300)]);
        assert_eq!(
            desk.waiting()
                .map(|(symbol, count)| (symbol.as_str(), count))
                .collect::<Vec<_>>(),
            [("a", 2)]
        );
        assert_eq!(desk.take_trades("a").len(), 2);
        assert!(desk.take_ticks().is_empty() && desk.take_trades("a").is_empty());
    }

    #[test]
    fn a_price_from_the_future_is_old_one_day_and_gives_way() {
        let mut desk = desk();
        desk.trade("a", trade(1_000_000, 120));
        desk.not_after(5_000);
        let day = Day {
            last: 90,
            open: Some(100),
            high: Some(125),
            low: Some(70),
            volume: Some(1_000),
        };
        desk.day("a", day, 6_000);
        assert_eq!(
            desk.take_ticks().last().map(|tick| (tick.last, tick.at)),
            Some((90, 6_000))
        );
        desk.mark_stale(7_000);
        assert!(desk.take_ticks().iter().any(|tick| tick.symbol == "a" && tick.stale));
    }

    #[test]
    fn the_sources_day_counts_but_an_older_price_does_not() {
        let mut desk = desk();
        desk.trade("a", trade(500, 120));
        let day = Day {
            last: 90,
            open: Some(95),
            high: Some(100),
            low: Some(90),
            volume: Some(7),
        };
        desk.day("a", day, 400);
        let last = desk.take_ticks().pop().unwrap();
        assert_eq!((last.last, last.open, last.high, last.volume), (120, 95, 120, 7));
        desk.day("a", day, 600);
        assert_eq!(desk.take_ticks()[0].last, 90);
        desk.day("a", day, 600);
        assert!(desk.take_ticks().is_empty(), "what is no news is not told");
        let unknown = Day {
            last: 130,
            volume: None,
            high: None,
            ..day
        };
        desk.day("a", unknown, 700);
        let tick = desk.take_ticks().pop().unwrap();
        assert_eq!((tick.last, tick.high, tick.volume), (130, 130, 7), "the quote goes on");
    }

    #[test]
    fn what_is_silent_is_marked_once_until_it_speaks() {
        let mut desk = desk();
        desk.mark_stale(1_000);
        assert!(desk.take_ticks().iter().all(|tick| tick.stale));
        desk.mark_stale(2_000);
        assert!(desk.take_ticks().is_empty());
        desk.trade("a", trade(2_000, 5));
        assert!(!desk.take_ticks()[0].stale);
    }

    #[test]
    fn a_flood_leaves_the_newest_of_each_symbol() {
        let mut desk = desk();
        for price in 1..=WAITING as u64 + 10 {
            desk.trade("a", trade(price, price));
        }
        let ticks = desk.take_ticks();
        assert!(ticks.len() <= WAITING);
        assert_eq!(ticks.last().unwrap().last, WAITING as u64 + 10);
        assert_eq!(desk.take_trades("a").len(), MAX_TRADES);
    }

    #[test]
    fn a_new_symbol_is_listed_once() {
        let mut desk = desk();
        desk.list(entry("c").listing, 7, 1);
        desk.list(entry("c").listing, 9, 2);
        let fresh = desk.take_fresh();
        assert_eq!((fresh.len(), fresh[0].tick.last), (1, 7));
        assert!(desk.take_fresh().is_empty());
    }
}
