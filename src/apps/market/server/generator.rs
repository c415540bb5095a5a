//! A market that is invented: the same seed and the same calls, the same trades. Pure; knows no clock.
//!
//! What prices have in life, they have here. Returns are not predictable, but their size is: a wild minute follows a wild
//! minute, since each source of movement has a variance of its own that jumps and comes back. Shares of a sector move
//! together, and all of them with the market. Each day has three sessions that begin and end busier than their middles are.
//! And no price wanders off for ever: each is drawn back to where it began, over weeks.
//!
//! Only `+ - * /` and `sqrt`, whose results are the same on every machine.

use super::super::wire::{Millis, Sector, Trade};
use super::shares::Share;

const MINUTE: f64 = 60_000.0;
/// Milliseconds of a session: Asia's, Europe's, America's.
const SESSION: Millis = 8 * 60 * 60 * 1000;
/// The mean of [`activity`] over a session.
const MEAN_ACTIVITY: f64 = 0.6 + 1.6 / 3.0;
/// Minutes within which a variance comes back, and how far one surprise moves it.
const CALM: f64 = 20.0;
const SURPRISE: f64 = 0.7;
const VARIANCES: std::ops::RangeInclusive<f64> = 0.15..=9.0;
/// The part of its distance that a price is drawn back in a minute.
const PULL: f64 = 2.0e-5;
/// The most that one trade moves a price.
const MOST: f64 = 0.08;

/// splitmix64: small, fast, and good enough for prices.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn even(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal: twelve even throws.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

/// One source of movement.
#[derive(Debug, Clone)]
struct Factor {
    /// Deviation of a return within a minute, on the average.
    sigma: f64,
    /// How wild it is now; 1 on the average.
    variance: f64,
    /// The sum of its returns.
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

    fn advance(&mut self, minutes: f64, dice: &mut Dice) {
        let z = dice.normal();
        self.level += self.sigma * (minutes * self.variance).sqrt() * z;
        let keep = 1.0 / (1.0 + minutes / CALM);
        let surprise = SURPRISE * (z * z - 1.0) * self.variance * (1.0 - keep).sqrt();
        let variance = 1.0 + keep * (self.variance - 1.0) + surprise;
        self.variance = variance.clamp(*VARIANCES.start(), *VARIANCES.end());
    }
}

#[derive(Debug, Clone)]
struct Walk {
    share: Share,
    price: f64,
    own: Factor,
    /// The levels of the market and of its sector when it last moved.
    market: f64,
    sector: f64,
    /// Minutes of the market's time when it last moved.
    moved: f64,
}

#[derive(Debug, Clone)]
pub struct Generator {
    dice: Dice,
    market: Factor,
    sectors: [Factor; Sector::ALL.len()],
    walks: Vec<Walk>,
    /// Minutes since the beginning, in which more happens at busy times.
    minutes: f64,
    liquidity: u64,
    /// What is left of a trade.
    owed: f64,
}

/// How busy it is at that time, between 0.6 and 2.2.
pub fn activity(at: Millis) -> f64 {
    let place = (at % SESSION) as f64 / SESSION as f64;
    let edge = 2.0 * place - 1.0;
    0.6 + 1.6 * edge * edge
}

impl Generator {
    pub fn new(seed: u64, shares: &[Share]) -> Self {
        let coins = |share: &Share| if share.sector == Sector::Coins { 2.0 } else { 1.0 };
        let walk = |share: &Share| Walk {
            share: *share,
            price: share.base as f64,
            own: Factor::new(4.0e-4 * coins(share)),
            market: 0.0,
            sector: 0.0,
            moved: 0.0,
        };
        Self {
            dice: Dice(seed),
            market: Factor::new(2.5e-4),
            sectors: Sector::ALL.map(|_| Factor::new(3.0e-4)),
            walks: shares.iter().map(walk).collect(),
            minutes: 0.0,
            liquidity: shares.iter().map(|share| u64::from(share.liquidity)).sum(),
            owed: 0.0,
        }
    }

    /// Goes on from prices that were published; zero leaves a price as it is.
    pub fn resume(&mut self, price: impl Fn(&str) -> u64) {
        for walk in &mut self.walks {
            match price(walk.share.symbol) {
                0 => {}
                price => walk.price = price as f64,
            }
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, at: Millis, by: Millis) {
        let minutes = by as f64 / MINUTE * activity(at) / MEAN_ACTIVITY;
        self.minutes += minutes;
        self.market.advance(minutes, &mut self.dice);
        for sector in &mut self.sectors {
            sector.advance(minutes, &mut self.dice);
        }
    }

    /// A trade of one share at the time that it is now.
    pub fn trade(&mut self, index: usize, at: Millis) -> Option<Trade> {
        let walk = self.walks.get_mut(index)?;
        let sector = self.sectors.get(walk.share.sector as usize)?;
        let minutes = self.minutes - walk.moved;
        let before = walk.own.level;
        walk.own.advance(minutes, &mut self.dice);
        let pull = (walk.share.base as f64 - walk.price) / walk.price * PULL * minutes;
        let moved = (self.market.level - walk.market) + (sector.level - walk.sector) + (walk.own.level - before) + pull;
        (walk.market, walk.sector, walk.moved) = (self.market.level, sector.level, self.minutes);
        walk.price = (walk.price * (1.0 + moved.clamp(-MOST, MOST))).max(1.0);
        // Buyers take the offer, sellers the bid: half a step on either side.
        let bought = self.dice.even() < 0.5;
        let step = walk.share.step(walk.price as u64);
        let steps = walk.price / step as f64;
        let steps = if bought { steps + 0.75 } else { steps + 0.25 } as u64;
        // Small trades are many, large ones few.
        let even = self.dice.even();
        let quantity = 1 + (40.0 * even * even * even / (1.02 - even)) as u64;
        Some(Trade {
            at,
            price: steps.max(1) * step,
            quantity,
            bought,
        })
    }

    /// The trades of a short time that ends at `at`, `rate` in a second on the average.
    pub fn live(&mut self, at: Millis, by: Millis, rate: u32) -> Vec<(&'static str, Trade)> {
        self.advance(at, by);
        self.owed += f64::from(rate) * by as f64 / 1000.0 * activity(at) / MEAN_ACTIVITY;
        let count = self.owed as usize;
        self.owed -= count as f64;
        (0..count)
            .filter_map(|_| {
                let index = self.pick();
                let symbol = self.walks.get(index)?.share.symbol;
                Some((symbol, self.trade(index, at)?))
            })
            .collect()
    }

    /// A share, the more liquid the more often.
    fn pick(&mut self) -> usize {
        let mut place = self.dice.next() % self.liquidity.max(1);
        for (index, walk) in self.walks.iter().enumerate() {
            let liquidity = u64::from(walk.share.liquidity);
            if place < liquidity {
                return index;
            }
            place -= liquidity;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::shares::SHARES;
    use super::*;

    const MINUTE: Millis = 60_000;

    /// Returns of each share, minute by minute.
    fn returns(seed: u64, minutes: usize) -> Vec<Vec<f64>> {
        let mut market = Generator::new(seed, &SHARES);
        let mut before: Vec<f64> = market.walks.iter().map(|walk| walk.price).collect();
        let mut returns = vec![Vec::new(); SHARES.len()];
        for minute in 0..minutes as Millis {
            market.advance(minute * MINUTE, MINUTE);
            for index in 0..SHARES.len() {
                market.trade(index, minute).unwrap();
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

    fn place(symbol: &str) -> usize {
        SHARES.iter().position(|share| share.symbol == symbol).unwrap()
    }

    #[test]
    fn the_same_seed_makes_the_same_market() {
        let run = |seed| {
            let mut market = Generator::new(seed, &SHARES);
            (0..50)
                .flat_map(|slot| market.live(slot * 100, 100, 100))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn returns_cannot_be_told_but_their_size_can() {
        let returns = returns(3, 4_000);
        let of = |index: usize, act: fn(f64) -> f64| {
            let values: Vec<f64> = returns[index].iter().map(|value| act(*value)).collect();
            correlation(&values[1..], &values[..values.len() - 1])
        };
        let mean =
            |act: fn(f64) -> f64| (0..SHARES.len()).map(|index| of(index, act)).sum::<f64>() / SHARES.len() as f64;
        assert!(mean(|value| value).abs() < 0.03, "{}", mean(|value| value));
        assert!(mean(f64::abs) > 0.08, "{}", mean(f64::abs));
    }

    #[test]
    fn neighbours_move_together_and_all_a_little() {
        let returns = returns(5, 4_000);
        let of = |a: &str, b: &str| correlation(&returns[place(a)], &returns[place(b)]);
        let (near, far) = (of("hnb", "grm"), of("hnb", "oga"));
        assert!(near > far + 0.1 && far > 0.05, "{near} {far}");
    }

    #[test]
    fn a_session_begins_and_ends_busy() {
        assert!(activity(0) > 2.0 && activity(SESSION - 1) > 2.0 && activity(SESSION / 2) < 0.7);
        let mut market = Generator::new(1, &SHARES);
        let day = (0..SESSION / 60_000)
            .map(|minute| market.live(minute * 60_000, 60_000, 1).len())
            .sum::<usize>();
        let expected = SESSION as usize / 1000;
        assert!(
            day.abs_diff(expected) < expected / 20,
            "{day} trades, {expected} on the average"
        );
    }

    #[test]
    fn a_market_that_was_stopped_goes_on_where_it_was() {
        let mut market = Generator::new(1, &SHARES);
        market.resume(|symbol| if symbol == "hnb" { 90_000 } else { 0 });
        let price = market.trade(place("hnb"), 1).unwrap().price;
        assert!(price.abs_diff(90_000) <= 100, "{price}");
        let untouched = market.trade(place("grm"), 1).unwrap().price;
        assert!(untouched.abs_diff(168_400) <= 200, "{untouched}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn prices_stay_prices(seed: u64, steps in prop::collection::vec((0..90_000_000_u64, 0..8_u32), 1..200)) {
            let mut market = Generator::new(seed, &SHARES);
            let mut at = 0;
            for (by, rate) in steps {
                at += by;
                market.advance(at, by);
                for (index, share) in SHARES.iter().enumerate() {
                    let trade = market.trade(index, at).unwrap();
                    prop_assert!(trade.price > 0 && trade.price < share.base * 1000, "{trade:?} of {share:?}");
                    prop_assert!(trade.quantity > 0 && trade.quantity <= 2_001);
                }
                prop_assert!(market.live(at, 100, rate).len() <= 8);
            }
        }
    }
}
