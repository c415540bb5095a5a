//! The deciders of the market's topics: access and the events of each command. Pure.

use super::super::model::alerts::AlertList;
use super::super::model::chart::{CandleChart, MAX_CANDLES};
use super::super::model::quote_book::{QuoteBook, SPARK_POINTS, SPARKLINE_INTERVAL};
use super::super::wire::{
    ALL, AlertChanges, Alerts, AlertsChanged, AlertsCommand, AlertsEvent, Candle, Candles, CandlesEvent, Entry,
    Interval, MAX_ALERTS, MAX_LISTED, MAX_SCALE, MAX_TICKS, MAX_TRADES, Millis, Quotes, QuotesEvent, Tick, Trade,
    check_price, is_symbol, reason_code,
};
use super::commands::{AlertsServerCommand, CandlesCommand, QuotesCommand};
use duplex_hub::decider::{Access, Context, Creation, Decider, Forward, NoCommand, Principal, Retention, SenderKind};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

/// Retained events: as many as a ring holds. Older prices are in the candles.
const RETAINED_EVENTS: u64 = 1_024;

fn too_many() -> Rejection {
    Rejection::custom(reason_code::LIMIT_EXCEEDED)
}

const fn short_retention() -> Retention {
    Retention {
        events: RETAINED_EVENTS,
        age: None,
    }
}

impl Decider for Quotes {
    type ServerCommand = QuotesCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if topic.rest() == ALL {
            Ok(Access::Read)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn decide(
        &self,
        _context: Context<'_>,
        _book: &QuoteBook,
        command: NoCommand,
    ) -> Result<Vec<QuotesEvent>, Rejection> {
        match command {}
    }

    fn retention(&self) -> Retention {
        short_retention()
    }
}

pub fn list_entries(entries: Vec<Entry>) -> Result<Vec<QuotesEvent>, Rejection> {
    if entries.len() > MAX_LISTED {
        return Err(too_many());
    }
    for Entry { listing, tick, spark } in &entries {
        if !is_symbol(&listing.symbol) || tick.symbol != listing.symbol {
            return Err(Rejection::custom(reason_code::BAD_SYMBOL));
        }
        check_price(tick.last, listing.scale)?;
        if spark.len() > SPARK_POINTS || listing.volume_scale > MAX_SCALE {
            return Err(too_many());
        }
    }
    Ok(vec![QuotesEvent::Listed(entries)])
}

/// Emits one event per tick, so that fast readers receive every tick. At most once per [`SPARKLINE_INTERVAL`], also samples the
/// sparklines.
pub fn apply_ticks(context: Context<'_>, book: &QuoteBook, ticks: Vec<Tick>) -> Result<Vec<QuotesEvent>, Rejection> {
    if ticks.len() > MAX_TICKS {
        return Err(too_many());
    }
    for tick in &ticks {
        let entry = book.entries.get(&tick.symbol);
        let listing = &entry.ok_or_else(|| Rejection::custom(reason_code::BAD_SYMBOL))?.listing;
        check_price(tick.last, listing.scale)?;
    }
    let due = context.now.saturating_sub(book.sampled_at) >= SPARKLINE_INTERVAL || context.now < book.sampled_at;
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
            at: context.now,
            points: book.entries.iter().map(point).collect(),
        }
    });
    Ok(ticks.into_iter().map(QuotesEvent::Ticked).chain(sampled).collect())
}

impl Decider for Candles {
    type ServerCommand = CandlesCommand;

    /// Admits any valid symbol; the page checks the quote book for whether it exists.
    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if is_symbol(topic.rest()) {
            Ok(Access::Read)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn starts_on_read(&self, _topic: &TopicName) -> bool {
        false
    }

    fn decide(
        &self,
        _context: Context<'_>,
        _chart: &CandleChart,
        command: NoCommand,
    ) -> Result<Vec<CandlesEvent>, Rejection> {
        match command {}
    }

    fn retention(&self) -> Retention {
        short_retention()
    }
}

const fn is_valid_price(price: u64) -> bool {
    price > 0
}

pub fn replace_candles(interval: Interval, candles: Vec<Candle>) -> Result<Vec<CandlesEvent>, Rejection> {
    let is_valid = |candle: &Candle| is_valid_price(candle.low) && candle.at.is_multiple_of(interval.millis());
    match candles.len() {
        0..=MAX_CANDLES if candles.iter().all(is_valid) => {
            Ok(vec![CandlesEvent::CandlesReplaced { interval, candles }])
        }
        0..=MAX_CANDLES => Err(Rejection::custom(reason_code::BAD_PRICE)),
        _ => Err(too_many()),
    }
}

pub fn add_trades(
    context: Context<'_>,
    chart: &CandleChart,
    trades: Vec<Trade>,
) -> Result<Vec<CandlesEvent>, Rejection> {
    match trades.len() {
        0 => Ok(Vec::new()),
        1..=MAX_TRADES if trades.iter().all(|trade| is_valid_price(trade.price)) => {
            let traded = std::iter::once(CandlesEvent::Traded(trades));
            Ok(without_future_candles(chart, context.now).chain(traded).collect())
        }
        1..=MAX_TRADES => Err(Rejection::custom(reason_code::BAD_PRICE)),
        _ => Err(too_many()),
    }
}

/// Re-emits intervals without candles later than `now` (opened while the server's clock was ahead), because they would block
/// current trades.
fn without_future_candles(chart: &CandleChart, now: Millis) -> impl Iterator<Item = CandlesEvent> {
    Interval::ALL.into_iter().filter_map(move |interval| {
        let kept = chart.candles(interval);
        let candles: Vec<_> = kept.iter().filter(|candle| candle.at <= now).copied().collect();
        (candles.len() < kept.len()).then_some(CandlesEvent::CandlesReplaced { interval, candles })
    })
}

impl Decider for Alerts {
    type ServerCommand = AlertsServerCommand;

    const PRIVATE: bool = true;

    /// Admits the owner, and the server's alert watcher.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if topic.rest() == who.person.id.0 || who.sender_kind == SenderKind::Server {
            Ok(Access::Write)
        } else {
            Err(Denial::Forbidden)
        }
    }

    fn starts_on_read(&self, _topic: &TopicName) -> bool {
        false
    }

    const CREATES: bool = true;

    fn creates(command: &AlertsCommand) -> Option<Creation> {
        matches!(command, AlertsCommand::Set { .. }).then_some(Creation::Personal)
    }

    fn decide(
        &self,
        context: Context<'_>,
        list: &AlertList,
        command: AlertsCommand,
    ) -> Result<Vec<AlertsEvent>, Rejection> {
        match command {
            AlertsCommand::Set {
                symbol,
                condition,
                price,
                scale,
            } => {
                if !is_symbol(&symbol) {
                    return Err(Rejection::custom(reason_code::BAD_SYMBOL));
                }
                check_price(price, scale)?;
                let is_same = |alert: &&super::super::model::alerts::Alert| {
                    (&alert.symbol, alert.condition, alert.price, alert.scale) == (&symbol, condition, price, scale)
                };
                if list.pending().any(|alert| is_same(&alert)) {
                    return Ok(Vec::new());
                }
                if list.pending().count() >= MAX_ALERTS {
                    return Err(Rejection::custom(reason_code::ALERTS_FULL));
                }
                Ok(vec![AlertsEvent::Set {
                    symbol,
                    condition,
                    price,
                    scale,
                    at: context.now,
                }])
            }
            AlertsCommand::Remove { id } => match list.get(id) {
                Some(_) => Ok(vec![AlertsEvent::Removed { id }]),
                None => Err(Rejection::custom(reason_code::NO_ALERT)),
            },
        }
    }

    /// Tells the alert watcher to reload this person's alerts.
    fn forward(&self, topic: &TopicName, _list: &AlertList, _seq: Seq, event: &AlertsEvent) -> Vec<Forward> {
        let changed = !matches!(event, AlertsEvent::Reached { .. });
        let person = topic.rest().to_owned();
        let forward = Forward::server_command::<AlertChanges>(ALL, &AlertsChanged { person });
        forward.filter(|_| changed).into_iter().collect()
    }

    fn retention(&self) -> Retention {
        short_retention()
    }
}

/// Marks an alert as reached at a price and its scale.
pub fn mark_reached(context: Context<'_>, list: &AlertList, id: Seq, (price, scale): (u64, u8)) -> Vec<AlertsEvent> {
    let is_pending = list.get(id).is_some_and(|alert| alert.reached.is_none());
    let reached = AlertsEvent::Reached {
        id,
        price,
        scale,
        at: context.now,
    };
    is_pending.then_some(reached).into_iter().collect()
}

impl Decider for AlertChanges {
    type ServerCommand = AlertsChanged;

    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        match topic.rest() {
            ALL if who.sender_kind == SenderKind::Server => Ok(Access::Write),
            ALL => Err(Denial::Forbidden),
            _ => Err(Denial::Unknown),
        }
    }

    fn decide(&self, _context: Context<'_>, _state: &(), command: NoCommand) -> Result<Vec<AlertsChanged>, Rejection> {
        match command {}
    }

    fn retention(&self) -> Retention {
        short_retention()
    }
}

#[cfg(test)]
mod tests;
