//! What the simulated market did before anybody looked: weeks in hours, a day in minutes. Pure.

use std::collections::VecDeque;

use super::super::model::chart::{KEPT, add};
use super::super::model::quote_book::{SPARK, SPARK_STEP};
use super::super::wire::{Candle, Entry, Interval, Millis, Tick, Trade};
use super::generator::Generator;
use super::shares::Share;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// Before now, how far back each step of time begins: the candles of no interval are coarser than they can be.
const STEPS: [(Millis, Millis); 4] = [
    (KEPT as Millis * DAY, HOUR),
    (DAY, 5 * MINUTE),
    (2 * HOUR, MINUTE),
    (SPARK as Millis * SPARK_STEP, SPARK_STEP),
];
/// Trades of a share in one step: a candle has a body and wicks.
const MOVES: Millis = 4;

/// A symbol with all that is known of it.
pub struct Past {
    pub entry: Entry,
    pub candles: Vec<(Interval, Vec<Candle>)>,
}

struct Told {
    candles: [VecDeque<Candle>; 5],
    spark: VecDeque<u64>,
    tick: Tick,
}

/// Leaves the generator at `now`.
pub fn tell(market: &mut Generator, shares: &[Share], now: Millis) -> Vec<Past> {
    let mut told: Vec<Told> = shares.iter().map(empty).collect();
    let mut at = now.saturating_sub(STEPS[0].0);
    for (place, (_, step)) in STEPS.iter().enumerate() {
        let end = STEPS
            .get(place + 1)
            .map_or(now, |(before, _)| now.saturating_sub(*before));
        while at + step <= end {
            for part in 1..=MOVES {
                let moment = at + step * part / MOVES;
                market.advance(moment, step / MOVES);
                for (index, told) in told.iter_mut().enumerate() {
                    if let Some(trade) = market.trade(index, moment) {
                        told.hear(trade, *step);
                    }
                }
            }
            at += step;
        }
    }
    shares.iter().zip(told).map(|(share, told)| told.past(share)).collect()
}

fn empty(share: &Share) -> Told {
    Told {
        candles: std::array::from_fn(|_| VecDeque::new()),
        spark: VecDeque::new(),
        tick: Tick {
            symbol: share.symbol.to_owned(),
            last: share.base,
            open: share.base,
            high: share.base,
            low: share.base,
            volume: 0,
            at: 0,
            stale: false,
        },
    }
}

impl Told {
    fn hear(&mut self, trade: Trade, step: Millis) {
        // One move stands for all trades of its time.
        let quantity = trade.quantity * (step / MOVES / 2_000).max(1);
        let trade = Trade { quantity, ..trade };
        for interval in Interval::ALL {
            add(&mut self.candles[interval.index()], interval, trade);
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
        if step == SPARK_STEP && trade.at % SPARK_STEP < SPARK_STEP / MOVES || self.spark.is_empty() {
            self.spark.push_back(trade.price);
            self.spark.drain(..self.spark.len().saturating_sub(SPARK));
        }
    }

    fn past(self, share: &Share) -> Past {
        Past {
            entry: Entry {
                listing: share.listing(),
                tick: self.tick,
                spark: self.spark.into(),
            },
            candles: Interval::ALL.into_iter().zip(self.candles.map(Vec::from)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shares::SHARES;
    use super::*;

    #[test]
    fn the_past_is_whole_and_ends_now() {
        let now = 1_795_387_507_123;
        let mut market = Generator::new(1, &SHARES);
        let past = tell(&mut market, &SHARES, now);
        assert_eq!(past.len(), SHARES.len());
        for Past { entry, candles } in &past {
            for (interval, candles) in candles {
                assert_eq!(candles.len(), KEPT, "{interval:?}");
                let last = candles.last().unwrap();
                assert_eq!(last.close, entry.tick.last);
                assert!(now - last.at < interval.millis() + SPARK_STEP);
                let steady = candles
                    .windows(2)
                    .all(|pair| pair[1].at == pair[0].at + interval.millis());
                assert!(steady, "{interval:?} of {}", entry.listing.symbol);
            }
            assert!(entry.spark.len() >= SPARK - 2 && entry.tick.low <= entry.tick.last);
            assert!(entry.tick.volume > 0);
        }
    }

    #[test]
    fn the_same_seed_and_time_make_the_same_past() {
        let tell = || tell(&mut Generator::new(4, &SHARES[..3]), &SHARES[..3], 1_795_387_507_123);
        let ends = |past: Vec<Past>| {
            past.into_iter()
                .map(|past| (past.entry, past.candles))
                .collect::<Vec<_>>()
        };
        assert_eq!(ends(tell()), ends(tell()));
    }
}
