//! `Generator`: a deterministic market simulation. The same seed and calls produce the same trades. Pure; time is an argument.
//!
//! Prices have the statistical properties of real ones. Returns are unpredictable, but volatility clusters: each factor has its
//! own variance, which jumps and reverts to its mean. Instruments of a sector are correlated, and all with the market. Each day
//! has three sessions that are busier at their start and end. Prices revert to their base price over weeks.
//!
//! Uses only `+ - * /` and `sqrt`, whose results are the same on every machine.

use super::super::wire::{Millis, Sector, Trade};
use super::instruments::Instrument;

const MINUTE: f64 = 60_000.0;
/// Length of a trading session; the three of a day stand for Asia, Europe and America.
const SESSION: Millis = 8 * 60 * 60 * 1000;
/// The mean of [`activity`] over a session.
const MEAN_ACTIVITY: f64 = 0.6 + 1.6 / 3.0;
/// Time constant, in minutes, of a variance's reversion to its mean.
const VARIANCE_DECAY: f64 = 20.0;
/// The effect of a shock on a variance.
const VARIANCE_SHOCK: f64 = 0.7;
const VARIANCES: std::ops::RangeInclusive<f64> = 0.15..=9.0;
/// The fraction of its distance from the base price that a price reverts in a minute.
const MEAN_REVERSION: f64 = 2.0e-5;
/// The maximum relative move of one trade.
const MAX_MOVE: f64 = 0.08;

/// SplitMix64: small, fast, and good enough for prices.
#[derive(Debug, Clone)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Approximately normal: the sum of twelve uniform numbers.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A random factor of prices: the market, a sector, or one instrument.
#[derive(Debug, Clone)]
struct Factor {
    /// The mean standard deviation of a one-minute return.
    sigma: f64,
    /// The current variance, relative to its mean of 1.
    variance: f64,
    /// The sum of the returns.
    level: f64,
}

impl Factor {
    const fn new(sigma: f64) -> Self {
        Self {
            sigma,
            variance: 1.0,
            level: 0.0,
        }
    }

    fn advance(&mut self, minutes: f64, rng: &mut Rng) {
        let z = rng.normal();
        self.level += self.sigma * (minutes * self.variance).sqrt() * z;
        let keep = 1.0 / (1.0 + minutes / VARIANCE_DECAY);
        let shock = VARIANCE_SHOCK * (z * z - 1.0) * self.variance * (1.0 - keep).sqrt();
        let variance = 1.0 + keep * (self.variance - 1.0) + shock;
        self.variance = variance.clamp(*VARIANCES.start(), *VARIANCES.end());
    }
}

/// The random walk of one price.
#[derive(Debug, Clone)]
struct PriceWalk {
    instrument: Instrument,
    price: f64,
    own_factor: Factor,
    /// The levels of the market and the sector at the last move.
    market: f64,
    sector: f64,
    /// [`Generator::market_minutes`] at the last move.
    moved_at: f64,
}

#[derive(Debug, Clone)]
pub struct Generator {
    rng: Rng,
    market: Factor,
    sectors: [Factor; Sector::ALL.len()],
    walks: Vec<PriceWalk>,
    /// Market time in minutes, which runs faster at busy times.
    market_minutes: f64,
    total_trade_weight: u64,
    /// The fraction of a trade carried over to the next call.
    trade_remainder: f64,
}

/// The trading activity at a time, from 0.6 to 2.2.
pub fn activity(at: Millis) -> f64 {
    let position = (at % SESSION) as f64 / SESSION as f64;
    let edge = 2.0 * position - 1.0;
    0.6 + 1.6 * edge * edge
}

impl Generator {
    pub fn new(seed: u64, instruments: &[Instrument]) -> Self {
        let volatility = |instrument: &Instrument| if instrument.sector == Sector::Coins { 2.0 } else { 1.0 };
        let walk = |instrument: &Instrument| PriceWalk {
            instrument: *instrument,
            price: instrument.base_price as f64,
            own_factor: Factor::new(4.0e-4 * volatility(instrument)),
            market: 0.0,
            sector: 0.0,
            moved_at: 0.0,
        };
        Self {
            rng: Rng(seed),
            market: Factor::new(2.5e-4),
            sectors: Sector::ALL.map(|_| Factor::new(3.0e-4)),
            walks: instruments.iter().map(walk).collect(),
            market_minutes: 0.0,
            total_trade_weight: instruments
                .iter()
                .map(|instrument| u64::from(instrument.trade_weight))
                .sum(),
            trade_remainder: 0.0,
        }
    }

    /// Continues from published prices; zero leaves a price unchanged.
    pub fn resume(&mut self, price: impl Fn(&str) -> u64) {
        for walk in &mut self.walks {
            match price(walk.instrument.symbol) {
                0 => {}
                price => walk.price = price as f64,
            }
        }
    }

    /// Advances the market and the sectors by `elapsed` milliseconds, up to `at`.
    pub fn advance(&mut self, at: Millis, elapsed: Millis) {
        let minutes = elapsed as f64 / MINUTE * activity(at) / MEAN_ACTIVITY;
        self.market_minutes += minutes;
        self.market.advance(minutes, &mut self.rng);
        for sector in &mut self.sectors {
            sector.advance(minutes, &mut self.rng);
        }
    }

    /// Generates a trade of one instrument at the current market time.
    pub fn generate_trade(&mut self, index: usize, at: Millis) -> Option<Trade> {
        let walk = self.walks.get_mut(index)?;
        let sector = self.sectors.get(walk.instrument.sector as usize)?;
        let minutes = self.market_minutes - walk.moved_at;
        let before = walk.own_factor.level;
        walk.own_factor.advance(minutes, &mut self.rng);
        let reversion = (walk.instrument.base_price as f64 - walk.price) / walk.price * MEAN_REVERSION * minutes;
        let change = (self.market.level - walk.market)
            + (sector.level - walk.sector)
            + (walk.own_factor.level - before)
            + reversion;
        (walk.market, walk.sector, walk.moved_at) = (self.market.level, sector.level, self.market_minutes);
        walk.price = (walk.price * (1.0 + change.clamp(-MAX_MOVE, MAX_MOVE))).max(1.0);
        // Buyers take the ask, sellers the bid: half a tick on either side.
        let buyer_is_taker = self.rng.uniform() < 0.5;
        let tick_size = walk.instrument.tick_size(walk.price as u64);
        let ticks = walk.price / tick_size as f64;
        let ticks = if buyer_is_taker { ticks + 0.75 } else { ticks + 0.25 } as u64;
        // Small trades are frequent, large ones rare.
        let uniform = self.rng.uniform();
        let quantity = 1 + (40.0 * uniform * uniform * uniform / (1.02 - uniform)) as u64;
        Some(Trade {
            at,
            price: ticks.max(1) * tick_size,
            quantity,
            buyer_is_taker,
        })
    }

    /// Advances by `elapsed` milliseconds up to `at` and returns the trades, on average `rate` per second.
    pub fn advance_and_trade(&mut self, at: Millis, elapsed: Millis, rate: u32) -> Vec<(&'static str, Trade)> {
        self.advance(at, elapsed);
        self.trade_remainder += f64::from(rate) * elapsed as f64 / 1000.0 * activity(at) / MEAN_ACTIVITY;
        let count = self.trade_remainder as usize;
        self.trade_remainder -= count as f64;
        (0..count)
            .filter_map(|_| {
                let index = self.pick_instrument();
                let symbol = self.walks.get(index)?.instrument.symbol;
                Some((symbol, self.generate_trade(index, at)?))
            })
            .collect()
    }

    /// Picks an instrument with a probability proportional to its trade weight.
    fn pick_instrument(&mut self) -> usize {
        let mut position = self.rng.next() % self.total_trade_weight.max(1);
        for (index, walk) in self.walks.iter().enumerate() {
            let weight = u64::from(walk.instrument.trade_weight);
            if position < weight {
                return index;
            }
            position -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::instruments::INSTRUMENTS;
    use super::*;

    const MINUTE: Millis = 60_000;

    /// One-minute returns of each instrument.
    fn returns(seed: u64, minutes: usize) -> Vec<Vec<f64>> {
        let mut market = Generator::new(seed, &INSTRUMENTS);
        let mut before: Vec<f64> = market.walks.iter().map(|walk| walk.price).collect();
        let mut returns = vec![Vec::new(); INSTRUMENTS.len()];
        for minute in 0..minutes as Millis {
            market.advance(minute * MINUTE, MINUTE);
            for index in 0..INSTRUMENTS.len() {
                market.generate_trade(index, minute).unwrap();
                let price = market.walks[index].price;
                returns[index].push(price / before[index] - 1.0);
                before[index] = price;
            }
        }
        returns
    }

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let sum = |values: Vec<f64>| values.into_iter().sum::<f64>();
        let both = sum(a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).collect());
        let spread = |values: &[f64], mean: f64| sum(values.iter().map(|v| (v - mean) * (v - mean)).collect());
        both / (spread(a, mean_a) * spread(b, mean_b)).sqrt()
    }

    fn index_of(symbol: &str) -> usize {
        INSTRUMENTS
            .iter()
            .position(|instrument| instrument.symbol == symbol)
            .unwrap()
    }

    #[test]
    fn the_same_seed_produces_the_same_trades() {
        let run = |seed| {
            let mut market = Generator::new(seed, &INSTRUMENTS);
            (0..50)
                .flat_map(|slot| market.advance_and_trade(slot * 100, 100, 100))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn returns_are_unpredictable_but_volatility_clusters() {
        let returns = returns(3, 4_000);
        let autocorrelation = |index: usize, map: fn(f64) -> f64| {
            let values: Vec<f64> = returns[index].iter().map(|value| map(*value)).collect();
            correlation(&values[1..], &values[..values.len() - 1])
        };
        let mean = |map: fn(f64) -> f64| {
            (0..INSTRUMENTS.len())
                .map(|index| autocorrelation(index, map))
                .sum::<f64>()
                / INSTRUMENTS.len() as f64
        };
        assert!(mean(|value| value).abs() < 0.03, "{}", mean(|value| value));
        assert!(mean(f64::abs) > 0.08, "{}", mean(f64::abs));
    }

    #[test]
    fn instruments_of_a_sector_correlate_more_than_others() {
        let returns = returns(5, 4_000);
        let correlation_of = |a: &str, b: &str| correlation(&returns[index_of(a)], &returns[index_of(b)]);
        let (same, other) = (correlation_of("hnb", "grm"), correlation_of("hnb", "oga"));
        assert!(same > other + 0.1 && other > 0.05, "{same} {other}");
    }

    #[test]
    fn a_session_is_busiest_at_its_start_and_end() {
        assert!(activity(0) > 2.0 && activity(SESSION - 1) > 2.0 && activity(SESSION / 2) < 0.7);
        let mut market = Generator::new(1, &INSTRUMENTS);
        let day = (0..SESSION / 60_000)
            .map(|minute| market.advance_and_trade(minute * 60_000, 60_000, 1).len())
            .sum::<usize>();
        let expected = SESSION as usize / 1000;
        assert!(
            day.abs_diff(expected) < expected / 20,
            "{day} trades, {expected} on average"
        );
    }

    #[test]
    fn a_resumed_market_continues_from_its_prices() {
        let mut market = Generator::new(1, &INSTRUMENTS);
        market.resume(|symbol| if symbol == "hnb" { 90_000 } else { 0 });
        let price = market.generate_trade(index_of("hnb"), 1).unwrap().price;
        assert!(price.abs_diff(90_000) <= 100, "{price}");
        let untouched = market.generate_trade(index_of("grm"), 1).unwrap().price;
        assert!(untouched.abs_diff(168_400) <= 200, "{untouched}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn prices_and_quantities_stay_in_range(seed: u64, steps in prop::collection::vec((0..90_000_000_u64, 0..8_u32), 1..200)) {
            let mut market = Generator::new(seed, &INSTRUMENTS);
            let mut at = 0;
            for (by, rate) in steps {
                at += by;
                market.advance(at, by);
                for (index, instrument) in INSTRUMENTS.iter().enumerate() {
                    let trade = market.generate_trade(index, at).unwrap();
                    prop_assert!(trade.price > 0 && trade.price < instrument.base_price * 1000, "{trade:?} of {instrument:?}");
                    prop_assert!(trade.quantity > 0 && trade.quantity <= 2_001);
                }
                prop_assert!(market.advance_and_trade(at, 100, rate).len() <= 8);
            }
        }
    }
}
