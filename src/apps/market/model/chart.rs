//! A symbol's chart: candles of each interval, and the newest trades.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::wire::{Candle, Candles, CandlesEvent, Interval, Trade};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

/// Maximum candles of each interval: as many as a chart shows. The state is sent as a whole.
pub const MAX_CANDLES: usize = 90;
/// Maximum trades that are kept.
pub const MAX_RECENT_TRADES: usize = 24;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandleChart {
    /// In the order of [`Interval::ALL`]; each sorted by time, at most [`MAX_CANDLES`].
    candles: [VecDeque<Candle>; 5],
    /// The newest last, at most [`MAX_RECENT_TRADES`].
    pub trades: VecDeque<Trade>,
    /// Number of trades since the topic began.
    #[serde(rename = "count")]
    pub trade_count: u64,
}

impl CandleChart {
    pub const fn candles(&self, interval: Interval) -> &VecDeque<Candle> {
        &self.candles[interval.index()]
    }

    fn add_trade(&mut self, trade: Trade) {
        for interval in Interval::ALL {
            update_candles(&mut self.candles[interval.index()], interval, trade);
        }
        self.trade_count = self.trade_count.saturating_add(1);
        self.trades.push_back(trade);
        if self.trades.len() > MAX_RECENT_TRADES {
            self.trades.pop_front();
        }
    }

    fn replace_candles(&mut self, interval: Interval, candles: &[Candle]) {
        let mut kept: VecDeque<Candle> = VecDeque::new();
        for candle in candles {
            if is_consistent(candle) && kept.back().is_none_or(|last| last.at < candle.at) {
                kept.push_back(*candle);
            }
        }
        kept.drain(..kept.len().saturating_sub(MAX_CANDLES));
        self.candles[interval.index()] = kept;
    }
}

const fn is_consistent(candle: &Candle) -> bool {
    candle.low <= candle.open && candle.low <= candle.close && candle.high >= candle.open && candle.high >= candle.close
}

/// Adds a trade to the candle of its time. A trade older than all kept candles is ignored.
pub fn update_candles(candles: &mut VecDeque<Candle>, interval: Interval, trade: Trade) {
    let at = trade.at - trade.at % interval.millis();
    let price = trade.price;
    match candles.iter().rposition(|candle| candle.at <= at) {
        Some(index) if candles[index].at == at => {
            let newest = index + 1 == candles.len();
            let candle = &mut candles[index];
            candle.high = candle.high.max(price);
            candle.low = candle.low.min(price);
            candle.volume = candle.volume.saturating_add(trade.quantity);
            // A late trade does not change the close.
            if newest {
                candle.close = price;
            }
        }
        // A trade after the newest candle opens a new one.
        index if index.map_or(candles.is_empty(), |index| index + 1 == candles.len()) => {
            candles.push_back(Candle {
                at,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: trade.quantity,
            });
            if candles.len() > MAX_CANDLES {
                candles.pop_front();
            }
        }
        _ => {}
    }
}

/// Returns the candle updated with a quote's price, because quotes are published before their trades.
pub fn with_last_price(candle: &Candle, price: u64) -> Candle {
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
    type State = CandleChart;

    fn apply(chart: &mut CandleChart, _seq: Seq, event: &CandlesEvent) {
        match event {
            CandlesEvent::CandlesReplaced { interval, candles } => chart.replace_candles(*interval, candles),
            CandlesEvent::Traded(trades) => trades.iter().for_each(|trade| chart.add_trade(*trade)),
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
            buyer_is_taker: true,
        }
    }

    #[test]
    fn trades_open_update_and_close_candles() {
        let mut chart = CandleChart::default();
        for (at, price) in [(60_000, 10), (61_000, 14), (62_000, 8), (119_999, 9), (120_000, 11)] {
            chart.add_trade(trade(at, price, 2));
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
    fn a_late_trade_widens_its_candle_and_keeps_the_close() {
        let mut candles = VecDeque::new();
        for (at, price) in [(60_000, 10), (180_000, 12), (61_000, 20), (120_500, 99), (1_000, 1)] {
            update_candles(&mut candles, Interval::Minute, trade(at, price, 1));
        }
        let seen: Vec<_> = candles.iter().map(|c| (c.at, c.high, c.close)).collect();
        assert_eq!(seen, [(60_000, 20, 10), (180_000, 12, 12)]);
    }

    #[test]
    fn replaced_candles_out_of_order_or_inconsistent_are_skipped() {
        let mut chart = CandleChart::default();
        let candles = [
            Candle::from((2, 5, 6, 4, 5, 1)),
            Candle::from((1, 5, 6, 4, 5, 1)),
            Candle::from((3, 9, 6, 4, 5, 1)),
            Candle::from((4, 5, 6, 4, 5, 1)),
        ];
        chart.replace_candles(Interval::Hour, &candles);
        let times: Vec<_> = chart.candles(Interval::Hour).iter().map(|candle| candle.at).collect();
        assert_eq!(times, [2, 4]);
    }

    proptest! {
        #[test]
        fn candles_are_consistent_ordered_and_limited(trades in prop::collection::vec((0..20_000_000_u64, 1..500_u64, 0..9_u64), 0..400)) {
            let mut chart = CandleChart::default();
            for (at, price, quantity) in &trades {
                chart.add_trade(trade(*at, *price, *quantity));
            }
            for interval in Interval::ALL {
                let candles = chart.candles(interval);
                prop_assert!(candles.len() <= MAX_CANDLES);
                prop_assert!(candles.iter().all(|candle| is_consistent(candle) && candle.at % interval.millis() == 0));
                prop_assert!(candles.iter().zip(candles.iter().skip(1)).all(|(a, b)| a.at < b.at));
            }
            // All trades lie within one day, so the day candle contains all of them.
            let traded: u64 = trades.iter().map(|(_, _, quantity)| quantity).sum();
            let days: u64 = chart.candles(Interval::Day).iter().map(|candle| candle.volume).sum();
            prop_assert_eq!(days, traded);
            prop_assert_eq!(chart.trades.len(), trades.len().min(MAX_RECENT_TRADES));
        }
    }
}
