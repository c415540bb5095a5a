//! `QuoteConflater`: converts trades to ticks and buffers ticks and trades until they are published; a full buffer keeps only the
//! newest tick per symbol. Pure.

use std::collections::BTreeMap;

use super::super::wire::{Entry, Listing, MAX_SYMBOLS, MAX_TICKS, MAX_TRADES, Millis, Tick, Trade};

/// Maximum pending ticks. Beyond it only the newest tick of each symbol is kept, so a burst from the source stays bounded.
const MAX_PENDING_TICKS: usize = 4 * MAX_TICKS;

/// A source's statistics of a symbol's day. `None` means that the field was invalid; the previous value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayStats {
    pub last: u64,
    pub open: Option<u64>,
    pub high: Option<u64>,
    pub low: Option<u64>,
    pub volume: Option<u64>,
}

impl DayStats {
    pub fn is_complete(&self) -> bool {
        [self.open, self.high, self.low, self.volume]
            .iter()
            .all(Option::is_some)
    }
}

#[derive(Debug, Default)]
pub struct QuoteConflater {
    entries: BTreeMap<String, Entry>,
    /// Symbols that are not yet published.
    new_symbols: Vec<String>,
    ticks: Vec<Tick>,
    trades: BTreeMap<String, Vec<Trade>>,
}

impl QuoteConflater {
    pub fn new(entries: BTreeMap<String, Entry>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    pub fn contains(&self, symbol: &str) -> bool {
        self.entries.contains_key(symbol)
    }

    /// Adds an unknown symbol with its first price. Ignored beyond [`MAX_SYMBOLS`].
    pub fn list(&mut self, listing: Listing, price: u64, at: Millis) {
        if self.contains(&listing.symbol) || self.entries.len() >= MAX_SYMBOLS {
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
        self.new_symbols.push(symbol.clone());
        let spark = Vec::new();
        self.entries.insert(symbol, Entry { listing, tick, spark });
    }

    pub fn add_trade(&mut self, symbol: &str, trade: Trade) {
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
        self.push_tick(tick);
        let trades = self.trades.entry(symbol.to_owned()).or_default();
        if trades.len() < MAX_TRADES {
            trades.push(trade);
        }
    }

    /// Applies the source's statistics. The last price is kept if a newer trade set it.
    pub fn apply_day_stats(&mut self, symbol: &str, day: DayStats, at: Millis) {
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
            self.push_tick(tick);
        }
    }

    /// Starts a new day: the current prices become the reference prices.
    pub fn start_day(&mut self) {
        let ticks: Vec<_> = self
            .entries
            .values_mut()
            .map(|Entry { tick, .. }| {
                (tick.open, tick.high, tick.low, tick.volume) = (tick.last, tick.last, tick.last, 0);
                tick.clone()
            })
            .collect();
        ticks.into_iter().for_each(|tick| self.push_tick(tick));
    }

    /// Clamps times after `now`, which come from a clock that is ahead.
    pub fn clamp_times(&mut self, now: Millis) {
        for Entry { tick, .. } in self.entries.values_mut() {
            tick.at = tick.at.min(now);
        }
    }

    /// Marks symbols whose last trade is older than `older_than` as stale.
    pub fn mark_stale(&mut self, older_than: Millis) {
        let old = |entry: &&mut Entry| !entry.tick.stale && entry.tick.at < older_than;
        let ticks: Vec<_> = self
            .entries
            .values_mut()
            .filter(old)
            .map(|entry| {
                entry.tick.stale = true;
                entry.tick.clone()
            })
            .collect();
        ticks.into_iter().for_each(|tick| self.push_tick(tick));
    }

    fn push_tick(&mut self, tick: Tick) {
        if self.ticks.len() >= MAX_PENDING_TICKS {
            let newest: BTreeMap<String, Tick> = self.ticks.drain(..).map(|tick| (tick.symbol.clone(), tick)).collect();
            self.ticks = newest.into_values().collect();
        }
        self.ticks.push(tick);
    }

    pub fn take_new_entries(&mut self) -> Vec<Entry> {
        let symbols = std::mem::take(&mut self.new_symbols);
        symbols
            .iter()
            .filter_map(|symbol| self.entries.get(symbol).cloned())
            .collect()
    }

    pub fn take_ticks(&mut self) -> Vec<Tick> {
        std::mem::take(&mut self.ticks)
    }

    /// The number of pending trades of each symbol.
    pub fn pending_trades(&self) -> impl Iterator<Item = (&String, usize)> {
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

    fn conflater() -> QuoteConflater {
        QuoteConflater::new(["a", "b"].map(|symbol| (symbol.to_owned(), entry(symbol))).into())
    }

    fn trade(at: Millis, price: u64) -> Trade {
        Trade {
            at,
            price,
            quantity: 3,
            buyer_is_taker: true,
        }
    }

    #[test]
    fn each_trade_emits_a_tick_and_updates_the_day() {
        let mut conflater = conflater();
        conflater.add_trade("a", trade(200, 120));
        conflater.add_trade("a", trade(300, 80));
        conflater.add_trade("z", trade(300, 80));
        let ticks = conflater.take_ticks();
        let seen: Vec<_> = ticks.iter().map(|t| (t.last, t.high, t.low, t.volume, t.at)).collect();
        assert_eq!(seen, [(120, 120, 100, 103, 200), (80, 120, 80, 106, 300)]);
        assert_eq!(
            conflater
                .pending_trades()
                .map(|(symbol, count)| (symbol.as_str(), count))
                .collect::<Vec<_>>(),
            [("a", 2)]
        );
        assert_eq!(conflater.take_trades("a").len(), 2);
        assert!(conflater.take_ticks().is_empty() && conflater.take_trades("a").is_empty());
    }

    #[test]
    fn a_price_from_the_future_is_clamped_and_superseded() {
        let mut conflater = conflater();
        conflater.add_trade("a", trade(1_000_000, 120));
        conflater.clamp_times(5_000);
        let day = DayStats {
            last: 90,
            open: Some(100),
            high: Some(125),
            low: Some(70),
            volume: Some(1_000),
        };
        conflater.apply_day_stats("a", day, 6_000);
        assert_eq!(
            conflater.take_ticks().last().map(|tick| (tick.last, tick.at)),
            Some((90, 6_000))
        );
        conflater.mark_stale(7_000);
        assert!(
            conflater
                .take_ticks()
                .iter()
                .any(|tick| tick.symbol == "a" && tick.stale)
        );
    }

    #[test]
    fn day_statistics_apply_but_an_older_price_does_not() {
        let mut conflater = conflater();
        conflater.add_trade("a", trade(500, 120));
        let day = DayStats {
            last: 90,
            open: Some(95),
            high: Some(100),
            low: Some(90),
            volume: Some(7),
        };
        conflater.apply_day_stats("a", day, 400);
        let last = conflater.take_ticks().pop().unwrap();
        assert_eq!((last.last, last.open, last.high, last.volume), (120, 95, 120, 7));
        conflater.apply_day_stats("a", day, 600);
        assert_eq!(conflater.take_ticks()[0].last, 90);
        conflater.apply_day_stats("a", day, 600);
        assert!(conflater.take_ticks().is_empty(), "an unchanged tick is not published");
        let partial = DayStats {
            last: 130,
            volume: None,
            high: None,
            ..day
        };
        conflater.apply_day_stats("a", partial, 700);
        let tick = conflater.take_ticks().pop().unwrap();
        assert_eq!(
            (tick.last, tick.high, tick.volume),
            (130, 130, 7),
            "missing fields keep their values"
        );
    }

    #[test]
    fn a_symbol_is_marked_stale_once_until_its_next_trade() {
        let mut conflater = conflater();
        conflater.mark_stale(1_000);
        assert!(conflater.take_ticks().iter().all(|tick| tick.stale));
        conflater.mark_stale(2_000);
        assert!(conflater.take_ticks().is_empty());
        conflater.add_trade("a", trade(2_000, 5));
        assert!(!conflater.take_ticks()[0].stale);
    }

    #[test]
    fn a_burst_keeps_the_newest_tick_of_each_symbol() {
        let mut conflater = conflater();
        for price in 1..=MAX_PENDING_TICKS as u64 + 10 {
            conflater.add_trade("a", trade(price, price));
        }
        let ticks = conflater.take_ticks();
        assert!(ticks.len() <= MAX_PENDING_TICKS);
        assert_eq!(ticks.last().unwrap().last, MAX_PENDING_TICKS as u64 + 10);
        assert_eq!(conflater.take_trades("a").len(), MAX_TRADES);
    }

    #[test]
    fn a_new_symbol_is_listed_once() {
        let mut conflater = conflater();
        conflater.list(entry("c").listing, 7, 1);
        conflater.list(entry("c").listing, 9, 2);
        let entries = conflater.take_new_entries();
        assert_eq!((entries.len(), entries[0].tick.last), (1, 7));
        assert!(conflater.take_new_entries().is_empty());
    }
}
