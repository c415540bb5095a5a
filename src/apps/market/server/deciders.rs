//! Who may speak of prices and alerts, and what a command does. Pure.

use super::super::model::alerts::AlertList;
use super::super::model::chart::{Chart, KEPT};
use super::super::model::quote_book::{QuoteBook, SPARK, SPARK_STEP};
use super::super::wire::{
    ALL, Alerts, AlertsCommand, AlertsEvent, Candle, Candles, CandlesEvent, Changed, Entry, Interval, MAX_ALERTS,
    MAX_LISTED, MAX_SCALE, MAX_TICKS, MAX_TRADES, Millis, Quotes, QuotesEvent, Tick, Trade, Watches, check_price,
    is_symbol, why,
};
use super::commands::{AlertsServerCommand, CandlesCommand, QuotesCommand};
use duplex_hub::decider::{Access, Context, Decider, Forward, Makes, NoCommand, Origin, Principal, Retention};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::TopicName;

/// What a ring holds: prices of a minute ago are in the candles.
const EVENTS: u64 = 1_024;

fn too_much() -> Rejection {
    Rejection::refused(why::TOO_MUCH)
}

const fn short() -> Retention {
    Retention {
        events: EVENTS,
        age: None,
    }
}

impl Decider for Quotes {
    type ServerCommand = QuotesCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if topic.rest() == ALL {
            Ok(Access::Read)
        } else {
            Err(Denied::Unknown)
        }
    }

    fn decide(&self, _at: Context<'_>, _board: &QuoteBook, command: NoCommand) -> Result<Vec<QuotesEvent>, Rejection> {
        match command {}
    }

    fn retention(&self) -> Retention {
        short()
    }
}

pub fn listed(entries: Vec<Entry>) -> Result<Vec<QuotesEvent>, Rejection> {
    if entries.len() > MAX_LISTED {
        return Err(too_much());
    }
    for Entry { listing, tick, spark } in &entries {
        if !is_symbol(&listing.symbol) || tick.symbol != listing.symbol {
            return Err(Rejection::refused(why::BAD_SYMBOL));
        }
        check_price(tick.last, listing.scale)?;
        if spark.len() > SPARK || listing.lots > MAX_SCALE {
            return Err(too_much());
        }
    }
    Ok(vec![QuotesEvent::Listed(entries)])
}

/// Each tick is an event, so that whoever keeps up sees all of them. Spark lines grow at the first that come after their time.
pub fn ticked(at: Context<'_>, board: &QuoteBook, ticks: Vec<Tick>) -> Result<Vec<QuotesEvent>, Rejection> {
    if ticks.len() > MAX_TICKS {
        return Err(too_much());
    }
    for tick in &ticks {
        let entry = board.entries.get(&tick.symbol);
        let listing = &entry.ok_or_else(|| Rejection::refused(why::BAD_SYMBOL))?.listing;
        check_price(tick.last, listing.scale)?;
    }
    let due = at.now.saturating_sub(board.sampled) >= SPARK_STEP || at.now < board.sampled;
    let sampled = due.then(|| {
        let last = |symbol: &str| {
            ticks
                .iter()
                .rev()
                .find(|tick| tick.symbol == symbol)
                .map(|tick| tick.last)
        };
        let point = |(symbol, entry): (&String, &Entry)| (symbol.clone(), last(symbol).unwrap_or(entry.tick.last));
        QuotesEvent::Sampled {
            at: at.now,
            points: board.entries.iter().map(point).collect(),
        }
    });
    Ok(ticks.into_iter().map(QuotesEvent::Ticked).chain(sampled).collect())
}

impl Decider for Candles {
    type ServerCommand = CandlesCommand;

    /// Any well-formed symbol: which ones exist is known to the quotes, and the page asks there.
    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if is_symbol(topic.rest()) {
            Ok(Access::Read)
        } else {
            Err(Denied::Unknown)
        }
    }

    fn stands(&self, _topic: &TopicName) -> bool {
        false
    }

    fn decide(&self, _at: Context<'_>, _chart: &Chart, command: NoCommand) -> Result<Vec<CandlesEvent>, Rejection> {
        match command {}
    }

    fn retention(&self) -> Retention {
        short()
    }
}

const fn is_priced(price: u64) -> bool {
    price > 0
}

pub fn seeded(interval: Interval, candles: Vec<Candle>) -> Result<Vec<CandlesEvent>, Rejection> {
    let whole = |candle: &Candle| is_priced(candle.low) && candle.at.is_multiple_of(interval.millis());
    match candles.len() {
        0..=KEPT if candles.iter().all(whole) => Ok(vec![CandlesEvent::Seeded { interval, candles }]),
        0..=KEPT => Err(Rejection::refused(why::BAD_PRICE)),
        _ => Err(too_much()),
    }
}

pub fn traded(at: Context<'_>, chart: &Chart, trades: Vec<Trade>) -> Result<Vec<CandlesEvent>, Rejection> {
    match trades.len() {
        0 => Ok(Vec::new()),
        1..=MAX_TRADES if trades.iter().all(|trade| is_priced(trade.price)) => {
            let traded = std::iter::once(CandlesEvent::Traded(trades));
            Ok(until(chart, at.now).chain(traded).collect())
        }
        1..=MAX_TRADES => Err(Rejection::refused(why::BAD_PRICE)),
        _ => Err(too_much()),
    }
}

/// The candles without those from the future, which a clock that was ahead opened: a trade of now would change nothing behind them.
fn until(chart: &Chart, now: Millis) -> impl Iterator<Item = CandlesEvent> {
    Interval::ALL.into_iter().filter_map(move |interval| {
        let kept = chart.candles(interval);
        let candles: Vec<_> = kept.iter().filter(|candle| candle.at <= now).copied().collect();
        (candles.len() < kept.len()).then_some(CandlesEvent::Seeded { interval, candles })
    })
}

impl Decider for Alerts {
    type ServerCommand = AlertsServerCommand;

    const PRIVATE: bool = true;

    /// One's own, and the server's, who must know when to speak.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if topic.rest() == who.person.id.0 || who.origin == Origin::Server {
            Ok(Access::Write)
        } else {
            Err(Denied::Forbidden)
        }
    }

    fn stands(&self, _topic: &TopicName) -> bool {
        false
    }

    const MAKES: bool = true;

    fn makes(command: &AlertsCommand) -> Option<Makes> {
        matches!(command, AlertsCommand::Set { .. }).then_some(Makes::ForOne)
    }

    fn decide(&self, at: Context<'_>, list: &AlertList, command: AlertsCommand) -> Result<Vec<AlertsEvent>, Rejection> {
        match command {
            AlertsCommand::Set {
                symbol,
                side,
                price,
                scale,
            } => {
                if !is_symbol(&symbol) {
                    return Err(Rejection::refused(why::BAD_SYMBOL));
                }
                check_price(price, scale)?;
                let same = |alert: &&super::super::model::alerts::Alert| {
                    (&alert.symbol, alert.side, alert.price, alert.scale) == (&symbol, side, price, scale)
                };
                if list.waiting().any(|alert| same(&alert)) {
                    return Ok(Vec::new());
                }
                if list.waiting().count() >= MAX_ALERTS {
                    return Err(Rejection::refused(why::ALERTS_FULL));
                }
                Ok(vec![AlertsEvent::Set {
                    symbol,
                    side,
                    price,
                    scale,
                    at: at.now,
                }])
            }
            AlertsCommand::Remove { id } => match list.get(id) {
                Some(_) => Ok(vec![AlertsEvent::Removed { id }]),
                None => Err(Rejection::refused(why::NO_ALERT)),
            },
        }
    }

    /// The watcher asks for this person's alerts; at its start, for all.
    fn forward(&self, topic: &TopicName, _list: &AlertList, _seq: Seq, event: &AlertsEvent) -> Vec<Forward> {
        let changed = !matches!(event, AlertsEvent::Reached { .. });
        let person = topic.rest().to_owned();
        let forward = Forward::server_command::<Watches>(ALL, &Changed { person });
        forward.filter(|_| changed).into_iter().collect()
    }

    fn retention(&self) -> Retention {
        short()
    }
}

/// At that price and scale.
pub fn reached(at: Context<'_>, list: &AlertList, id: Seq, (price, scale): (u64, u8)) -> Vec<AlertsEvent> {
    let waits = list.get(id).is_some_and(|alert| alert.done.is_none());
    let reached = AlertsEvent::Reached {
        id,
        price,
        scale,
        at: at.now,
    };
    waits.then_some(reached).into_iter().collect()
}

impl Decider for Watches {
    type ServerCommand = Changed;

    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        match topic.rest() {
            ALL if who.origin == Origin::Server => Ok(Access::Write),
            ALL => Err(Denied::Forbidden),
            _ => Err(Denied::Unknown),
        }
    }

    fn decide(&self, _at: Context<'_>, _state: &(), command: NoCommand) -> Result<Vec<Changed>, Rejection> {
        match command {}
    }

    fn retention(&self) -> Retention {
        short()
    }
}

#[cfg(test)]
mod tests;
