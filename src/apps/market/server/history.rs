//! The generated history of the simulated market: 90 days in hourly steps, the last day in minutes. Pure.

use std::collections::VecDeque;

use super::super::model::chart::{MAX_CANDLES, update_candles};
use super::super::model::quote_book::{SPARK_POINTS, SPARKLINE_INTERVAL};
use super::super::wire::{Candle, Entry, Interval, Millis, Tick, Trade};
use super::generator::Generator;
use super::instruments::Instrument;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// (age at which the step size applies, step size). Steps are at least as fine as the shortest candle interval at that age.
const STEPS: [(Millis, Millis); 4] = [
    (MAX_CANDLES as Millis * DAY, HOUR),
    (DAY, 5 * MINUTE),
    (2 * HOUR, MINUTE),
    (SPARK_POINTS as Millis * SPARKLINE_INTERVAL, SPARKLINE_INTERVAL),
];
/// Trades generated per instrument and step; several, so that candles have bodies and wicks.
const TRADES_PER_STEP: Millis = 4;

/// The generated history of a symbol.
pub struct SymbolHistory {
    pub entry: Entry,
    pub candles: Vec<(Interval, Vec<Candle>)>,
}

struct HistoryBuilder {
    candles: [VecDeque<Candle>; 5],
    spark: VecDeque<u64>,
    tick: Tick,
}

/// Generates the histories and advances the generator to `now`.
pub fn generate(generator: &mut Generator, instruments: &[Instrument], now: Millis) -> Vec<SymbolHistory> {
    let mut builders: Vec<HistoryBuilder> = instruments.iter().map(HistoryBuilder::new).collect();
    let mut at = now.saturating_sub(STEPS[0].0);
    for (index, (_, step)) in STEPS.iter().enumerate() {
        let end = STEPS
            .get(index + 1)
            .map_or(now, |(before, _)| now.saturating_sub(*before));
        while at + step <= end {
            for part in 1..=TRADES_PER_STEP {
                let time = at + step * part / TRADES_PER_STEP;
                generator.advance(time, step / TRADES_PER_STEP);
                for (index, builder) in builders.iter_mut().enumerate() {
                    if let Some(trade) = generator.generate_trade(index, time) {
                        builder.add_trade(trade, *step);
                    }
                }
            }
            at += step;
        }
    }
    instruments
        .iter()
        .zip(builders)
        .map(|(instrument, builder)| builder.build(instrument))
        .collect()
}

impl HistoryBuilder {
    fn new(instrument: &Instrument) -> Self {
        Self {
            candles: std::array::from_fn(|_| VecDeque::new()),
            spark: VecDeque::new(),
            tick: Tick {
                symbol: instrument.symbol.to_owned(),
                last: instrument.base_price,
                open: instrument.base_price,
                high: instrument.base_price,
                low: instrument.base_price,
                volume: 0,
                at: 0,
                stale: false,
            },
        }
    }

    fn add_trade(&mut self, trade: Trade, step: Millis) {
        // Scale the quantity: one trade stands for all trades of its period.
        let quantity = trade.quantity * (step / TRADES_PER_STEP / 2_000).max(1);
        let trade = Trade { quantity, ..trade };
        for interval in Interval::ALL {
            update_candles(&mut self.candles[interval.index()], interval, trade);
        }
        let tick = &mut self.tick;
        if tick.at / DAY != trade.at / DAY {
            (tick.open, tick.high, tick.low, tick.volume) = (tick.last, tick.last, tick.last, 0);
        }
        tick.last = trade.price;
        tick.high = tick.high.max(trade.price);
        tick.low = tick.low.min(trade.price);
        tick.volume += quantity;
        tick.at = trade.at;
        if step == SPARKLINE_INTERVAL && trade.at % SPARKLINE_INTERVAL < SPARKLINE_INTERVAL / TRADES_PER_STEP
            || self.spark.is_empty()
        {
            self.spark.push_back(trade.price);
            self.spark.drain(..self.spark.len().saturating_sub(SPARK_POINTS));
        }
    }

    fn build(self, instrument: &Instrument) -> SymbolHistory {
        SymbolHistory {
            entry: Entry {
                listing: instrument.listing(),
                tick: self.tick,
                spark: self.spark.into(),
            },
            candles: Interval::ALL.into_iter().zip(self.candles.map(Vec::from)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruments::INSTRUMENTS;
    use super::*;

    #[test]
    fn the_history_is_complete_and_ends_now() {
        let now = 1_795_387_507_123;
        let mut market = Generator::new(1, &INSTRUMENTS);
        let histories = generate(&mut market, &INSTRUMENTS, now);
        assert_eq!(histories.len(), INSTRUMENTS.len());
        for SymbolHistory { entry, candles } in &histories {
            for (interval, candles) in candles {
                assert_eq!(candles.len(), MAX_CANDLES, "{interval:?}");
                let last = candles.last().unwrap();
                assert_eq!(last.close, entry.tick.last);
                assert!(now - last.at < interval.millis() + SPARKLINE_INTERVAL);
                let steady = candles
                    .windows(2)
                    .all(|pair| pair[1].at == pair[0].at + interval.millis());
                assert!(steady, "{interval:?} of {}", entry.listing.symbol);
            }
            assert!(entry.spark.len() >= SPARK_POINTS - 2 && entry.tick.low <= entry.tick.last);
            assert!(entry.tick.volume > 0);
        }
    }

    #[test]
    fn the_same_seed_and_time_generate_the_same_history() {
        let generate = || {
            generate(
                &mut Generator::new(4, &INSTRUMENTS[..3]),
                &INSTRUMENTS[..3],
                1_795_387_507_123,
            )
        };
        let parts = |histories: Vec<SymbolHistory>| {
            histories
                .into_iter()
                .map(|history| (history.entry, history.candles))
                .collect::<Vec<_>>()
        };
        assert_eq!(parts(generate()), parts(generate()));
    }
}
