//! Who may speak of prices and alerts, and what a command does. Pure.

use super::super::model::alerts::AlertList;
use super::super::model::board::{Board, SPARK, SPARK_STEP};
use super::super::model::chart::{Chart, KEPT};
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

    fn decide(&self, _at: Context<'_>, _board: &Board, command: NoCommand) -> Result<Vec<QuotesEvent>, Rejection> {
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
pub fn ticked(at: Context<'_>, board: &Board, ticks: Vec<Tick>) -> Result<Vec<QuotesEvent>, Rejection> {
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
mod tests {
    use proptest::prelude::*;

    use super::super::super::model::board::tests::{entry, tick};
    use super::super::super::wire::{MAX_DONE, Side, Source};
    use super::*;
    use duplex_hub::testing::DeciderHarness as Place;
    use duplex_protocol::person::{Person, PersonId};

    fn person(id: u8) -> Person {
        Person {
            id: PersonId(format!("{id:016x}")),
            name: String::new(),
        }
    }

    fn refused<T>(why: &str) -> Result<T, Rejection> {
        Err(Rejection::refused(why))
    }

    #[test]
    fn only_the_server_speaks_of_prices() {
        let mut quotes = Place::new(Quotes, ALL);
        let open = QuotesCommand::Open(Source {
            name: "x".to_owned(),
            simulated: true,
        });
        assert_eq!(quotes.made_by_server(open.clone()), Ok(1));
        assert_eq!(quotes.made_by_server(open), Ok(0));
        let mut candles = Place::new(Candles, "a");
        let trade = Trade {
            at: 1,
            price: 1,
            quantity: 1,
            bought: true,
        };
        assert_eq!(candles.made_by_server(CandlesCommand::Trade(vec![trade])), Ok(1));
        for who in [Principal::visitor(&person(1)), Principal::server()] {
            assert_eq!(Quotes.admit(who, &quotes.topic), Ok(Access::Read));
            assert_eq!(Candles.admit(who, &candles.topic), Ok(Access::Read));
        }
    }

    #[test]
    fn every_tick_is_told_and_spark_lines_grow_in_their_time() {
        let mut quotes = Place::new(Quotes, ALL);
        assert_eq!(
            quotes.made_by_server(QuotesCommand::List(vec![entry("a"), entry("b")])),
            Ok(1)
        );
        let ticks = |last| QuotesCommand::Tick(vec![tick("a", last), tick("a", last + 1)]);
        assert_eq!(quotes.made_by_server(ticks(7)), Ok(3));
        assert_eq!(quotes.state.entries["a"].spark, [100, 100, 100, 8]);
        assert_eq!(quotes.state.entries["b"].spark, [100, 100, 100, 100]);
        quotes.now += SPARK_STEP - 1;
        assert_eq!(quotes.made_by_server(ticks(9)), Ok(2));
        quotes.now += 1;
        assert_eq!(quotes.made_by_server(ticks(9)), Ok(3));
        assert_eq!(
            quotes.made_by_server(QuotesCommand::Tick(vec![tick("z", 1)])),
            refused(why::BAD_SYMBOL)
        );
        assert_eq!(
            quotes.made_by_server(QuotesCommand::Tick(vec![tick("a", 0)])),
            refused(why::BAD_PRICE)
        );
        assert_eq!(
            quotes.made_by_server(QuotesCommand::Tick(vec![tick("a", 1); MAX_TICKS + 1])),
            refused(why::TOO_MUCH)
        );
    }

    #[test]
    fn candles_move_after_a_clock_that_was_ahead() {
        const DAY: u64 = 24 * 3_600_000;
        let trade = |at, price| {
            CandlesCommand::Trade(vec![Trade {
                at,
                price,
                quantity: 1,
                bought: true,
            }])
        };
        for ahead in [120_000, 3_600_000, 3 * DAY] {
            let mut candles = Place::new(Candles, "a");
            let now = 400 * DAY + 3_600_000;
            candles.now = now;
            assert_eq!(candles.made_by_server(trade(now, 5)), Ok(1));
            candles.now = now + ahead;
            assert_eq!(candles.made_by_server(trade(now + ahead, 7)), Ok(1));
            candles.now = now + 1_000;
            candles.made_by_server(trade(now + 1_000, 9)).unwrap();
            for interval in Interval::ALL {
                let newest = *candles.state.candles(interval).back().unwrap();
                assert_eq!((newest.close, newest.at <= now + 1_000), (9, true), "{interval:?}");
            }
            assert_eq!(candles.made_by_server(trade(now + 2_000, 8)), Ok(1), "once");
        }
    }

    #[test]
    fn candles_are_seeded_in_their_places() {
        let mut candles = Place::new(Candles, "a");
        let seed = |at, low| CandlesCommand::Seed {
            interval: Interval::Minute,
            candles: vec![Candle::from((at, 5, 6, low, 5, 1))],
        };
        assert_eq!(candles.made_by_server(seed(60_000, 4)), Ok(1));
        assert_eq!(candles.made_by_server(seed(60_001, 4)), refused(why::BAD_PRICE));
        assert_eq!(candles.made_by_server(seed(60_000, 0)), refused(why::BAD_PRICE));
        assert_eq!(candles.state.candles(Interval::Minute).len(), 1);
    }

    fn set(symbol: &str, side: Side, price: u64) -> AlertsCommand {
        AlertsCommand::Set {
            symbol: symbol.to_owned(),
            side,
            price,
            scale: 2,
        }
    }

    #[test]
    fn alerts_are_their_owners_and_the_servers() {
        let topic = TopicName::of::<Alerts>(&person(1).id.0).unwrap();
        assert_eq!(Alerts.admit(Principal::visitor(&person(1)), &topic), Ok(Access::Write));
        assert_eq!(Alerts.admit(Principal::server(), &topic), Ok(Access::Write));
        assert_eq!(
            Alerts.admit(Principal::visitor(&person(2)), &topic),
            Err(Denied::Forbidden)
        );
        let watches = TopicName::of::<Watches>(ALL).unwrap();
        assert_eq!(
            Watches.admit(Principal::visitor(&person(1)), &watches),
            Err(Denied::Forbidden)
        );
        assert_eq!(Watches.admit(Principal::server(), &watches), Ok(Access::Write));
    }

    #[test]
    fn an_alert_is_set_once_and_reached_once() {
        let mut alerts = Place::new(Alerts, &person(1).id.0);
        let me = person(1);
        assert_eq!(alerts.made(&me, set("a", Side::Above, 150)), Ok(1));
        assert_eq!(alerts.made(&me, set("a", Side::Above, 150)), Ok(0));
        assert_eq!(alerts.made(&me, set("A", Side::Above, 150)), refused(why::BAD_SYMBOL));
        assert_eq!(alerts.made(&me, set("a", Side::Above, 0)), refused(why::BAD_PRICE));
        let reach = AlertsServerCommand::Reach {
            id: 1,
            price: 151,
            scale: 2,
        };
        assert_eq!(alerts.made_by_server(reach.clone()), Ok(1));
        assert_eq!(alerts.made_by_server(reach.clone()), Ok(0));
        assert_eq!(alerts.state.alerts[0].done, Some((1_000_000, 151, 2)));
        assert_eq!(alerts.made(&me, AlertsCommand::Remove { id: 1 }), Ok(1));
        assert_eq!(
            alerts.made(&me, AlertsCommand::Remove { id: 1 }),
            refused(why::NO_ALERT)
        );
        assert_eq!(alerts.made_by_server(reach), Ok(0), "who removed it is not told of it");
    }

    #[test]
    fn a_price_reaches_from_its_side() {
        let mut alerts = Place::new(Alerts, &person(1).id.0);
        alerts.made(&person(1), set("a", Side::Above, 150)).unwrap();
        alerts.made(&person(1), set("a", Side::Below, 150)).unwrap();
        let reached = |price, scale| {
            alerts
                .state
                .alerts
                .iter()
                .map(|one| one.is_reached(price, scale))
                .collect::<Vec<_>>()
        };
        assert_eq!(reached(151, 2), [true, false]);
        assert_eq!(reached(150, 2), [true, true]);
        assert_eq!(reached(149, 2), [false, true]);
        assert_eq!(reached(15, 1), [true, true]);
        assert_eq!(reached(2, 0), [true, false]);
    }

    #[test]
    fn the_watcher_hears_of_what_was_set_and_removed() {
        let topic = TopicName::of::<Alerts>(&person(1).id.0).unwrap();
        let told = Alerts.forward(&topic, &AlertList::default(), 1, &AlertsEvent::Removed { id: 1 });
        assert_eq!(told[0].command().topic().as_str(), "watches/all");
        let changed: Changed = serde_json::from_str(told[0].command().json()).unwrap();
        assert_eq!(changed.person, person(1).id.0);
        assert_eq!(Place::new(Watches, ALL).made_by_server(changed), Ok(1));
    }

    /// The owner's command, or the server's.
    fn alert_commands() -> impl Strategy<Value = Result<AlertsCommand, AlertsServerCommand>> {
        let side = prop_oneof![Just(Side::Above), Just(Side::Below)];
        prop_oneof![
            4 => ("[a-c]", side, 0..90_u64).prop_map(|(symbol, side, price)| Ok(set(&symbol, side, price))),
            1 => (0..120_u64).prop_map(|id| Ok(AlertsCommand::Remove { id })),
            3 => (0..120_u64, 1..90_u64).prop_map(|(id, price)| Err(AlertsServerCommand::Reach { id, price, scale: 2 })),
        ]
    }

    proptest! {
        #[test]
        fn alerts_keep_their_bounds_and_what_is_done_stays_done(commands in prop::collection::vec(alert_commands(), 0..200)) {
            let mut alerts = Place::new(Alerts, &person(1).id.0);
            for command in commands {
                let before = alerts.state.clone();
                let _ = match command {
                    Ok(command) => alerts.made(&person(1), command),
                    Err(command) => alerts.made_by_server(command),
                };
                prop_assert!(alerts.state.waiting().count() <= MAX_ALERTS);
                prop_assert!(alerts.state.alerts.len() <= MAX_ALERTS + MAX_DONE);
                for alert in before.alerts.iter().filter(|alert| alert.done.is_some()) {
                    let now = alerts.state.get(alert.id);
                    prop_assert!(now.is_none() || now == Some(alert));
                }
            }
        }
    }
}
