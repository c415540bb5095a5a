//! How one symbol's price came to be: candles of each interval, and the last trades.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::wire::{Candle, Candles, CandlesEvent, Interval, Trade};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

/// Candles of each interval: what a chart has room for. The state travels whole.
pub const KEPT: usize = 90;
/// Trades that are kept.
pub const TRADES: usize = 24;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chart {
    /// In the order of [`Interval::ALL`], each by time and at most [`KEPT`].
    candles: [VecDeque<Candle>; 5],
    /// The newest last, at most [`TRADES`].
    pub trades: VecDeque<Trade>,
    /// How many there ever were.
    pub count: u64,
}

impl Chart {
    pub const fn candles(&self, interval: Interval) -> &VecDeque<Candle> {
        &self.candles[interval.index()]
    }

    fn trade(&mut self, trade: Trade) {
        for interval in Interval::ALL {
            add(&mut self.candles[interval.index()], interval, trade);
        }
        self.count = self.count.saturating_add(1);
        self.trades.push_back(trade);
        if self.trades.len() > TRADES {
            self.trades.pop_front();
        }
    }

    fn seed(&mut self, interval: Interval, candles: &[Candle]) {
        let mut kept: VecDeque<Candle> = VecDeque::new();
        for candle in candles {
            if is_whole(candle) && kept.back().is_none_or(|last| last.at < candle.at) {
                kept.push_back(*candle);
            }
        }
        kept.drain(..kept.len().saturating_sub(KEPT));
        self.candles[interval.index()] = kept;
    }
}

const fn is_whole(candle: &Candle) -> bool {
    candle.low <= candle.open && candle.low <= candle.close && candle.high >= candle.open && candle.high >= candle.close
}

/// Puts a trade where its time says; one from before all candles that are kept changes nothing.
pub fn add(candles: &mut VecDeque<Candle>, interval: Interval, trade: Trade) {
    let at = trade.at - trade.at % interval.millis();
    let price = trade.price;
    match candles.iter().rposition(|candle| candle.at <= at) {
        Some(place) if candles[place].at == at => {
            let newest = place + 1 == candles.len();
            let candle = &mut candles[place];
            candle.high = candle.high.max(price);
            candle.low = candle.low.min(price);
            candle.volume = candle.volume.saturating_add(trade.quantity);
            // What comes late is not the last price.
            if newest {
                candle.close = price;
            }
        }
        place if place.map_or(candles.is_empty(), |place| place + 1 == candles.len()) => {
            candles.push_back(Candle {
                at,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: trade.quantity,
            });
            if candles.len() > KEPT {
                candles.pop_front();
            }
        }
        _ => {}
    }
}

/// The newest candle as it is with a price that was heard of elsewhere: the quotes are faster than the trades.
pub fn with_price(candle: &Candle, price: u64) -> Candle {
    Candle {
        high: candle.high.max(price),
        low: candle.low.min(price),
        close: price,
        ..*candle
    }
}

impl Topic for Candles {
    const KIND: &'static str = "candles";
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = CandlesEvent;
    type State = Chart;

    fn apply(chart: &mut Chart, _seq: Seq, event: &CandlesEvent) {
        match event {
            CandlesEvent::Seeded { interval, candles } => chart.seed(*interval, candles),
            CandlesEvent::Traded(trades) => trades.iter().for_each(|trade| chart.trade(*trade)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trade(at: u64, price: u64, quantity: u64) -> Trade {
        Trade {
            at,
            price,
            quantity,
            bought: true,
        }
    }

    #[test]
    fn a_candle_is_opened_moved_and_closed() {
        let mut chart = Chart::default();
        for (at, price) in [(60_000, 10), (61_000, 14), (62_000, 8), (119_999, 9), (120_000, 11)] {
            chart.trade(trade(at, price, 2));
        }
        let minutes: Vec<_> = chart.candles(Interval::Minute).iter().copied().collect();
        assert_eq!(
            minutes,
            [
                Candle::from((60_000, 10, 14, 8, 9, 8)),
                Candle::from((120_000, 11, 11, 11, 11, 2))
            ]
        );
        assert_eq!(chart.candles(Interval::Day).len(), 1);
    }

    #[test]
    fn what_comes_late_widens_its_candle_and_moves_no_close() {
        let mut candles = VecDeque::new();
        for (at, price) in [(60_000, 10), (180_000, 12), (61_000, 20), (120_500, 99), (1_000, 1)] {
            add(&mut candles, Interval::Minute, trade(at, price, 1));
        }
        let seen: Vec<_> = candles.iter().map(|c| (c.at, c.high, c.close)).collect();
        assert_eq!(seen, [(60_000, 20, 10), (180_000, 12, 12)]);
    }

    #[test]
    fn a_seed_that_is_not_in_order_or_not_whole_is_left_out() {
        let mut chart = Chart::default();
        let candles = [
            Candle::from((2, 5, 6, 4, 5, 1)),
            Candle::from((1, 5, 6, 4, 5, 1)),
            Candle::from((3, 9, 6, 4, 5, 1)),
            Candle::from((4, 5, 6, 4, 5, 1)),
        ];
        chart.seed(Interval::Hour, &candles);
        let times: Vec<_> = chart.candles(Interval::Hour).iter().map(|candle| candle.at).collect();
        assert_eq!(times, [2, 4]);
    }

    proptest! {
        #[test]
        fn candles_are_whole_in_order_and_few(trades in prop::collection::vec((0..20_000_000_u64, 1..500_u64, 0..9_u64), 0..400)) {
            let mut chart = Chart::default();
            for (at, price, quantity) in &trades {
                chart.trade(trade(*at, *price, *quantity));
            }
            for interval in Interval::ALL {
                let candles = chart.candles(interval);
                prop_assert!(candles.len() <= KEPT);
                prop_assert!(candles.iter().all(|candle| is_whole(candle) && candle.at % interval.millis() == 0));
                prop_assert!(candles.iter().zip(candles.iter().skip(1)).all(|(a, b)| a.at < b.at));
            }
            // All of it lies within one day: nothing is lost there.
            let traded: u64 = trades.iter().map(|(_, _, quantity)| quantity).sum();
            let days: u64 = chart.candles(Interval::Day).iter().map(|candle| candle.volume).sum();
            prop_assert_eq!(days, traded);
            prop_assert_eq!(chart.trades.len(), trades.len().min(TRADES));
        }
    }
}
