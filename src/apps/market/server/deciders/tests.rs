//! Tests of the deciders without a hub.

use proptest::prelude::*;

use super::super::super::model::quote_book::tests::{entry, tick};
use super::super::super::wire::{AlertCondition, MAX_REACHED, Source};
use super::*;
use duplex_hub::testing::DeciderHarness;
use duplex_protocol::person::{Person, PersonId};

fn person(id: u8) -> Person {
    Person {
        id: PersonId(format!("{id:016x}")),
        name: String::new(),
    }
}

fn rejected<T>(code: &str) -> Result<T, Rejection> {
    Err(Rejection::custom(code))
}

#[test]
fn only_the_server_publishes_prices() {
    let mut quotes = DeciderHarness::new(Quotes, ALL);
    let open = QuotesCommand::Open(Source {
        name: "x".to_owned(),
        simulated: true,
    });
    assert_eq!(quotes.execute_as_server(open.clone()), Ok(1));
    assert_eq!(quotes.execute_as_server(open), Ok(0));
    let mut candles = DeciderHarness::new(Candles, "a");
    let trade = Trade {
        at: 1,
        price: 1,
        quantity: 1,
        buyer_is_taker: true,
    };
    assert_eq!(candles.execute_as_server(CandlesCommand::Trade(vec![trade])), Ok(1));
    for who in [Principal::visitor(&person(1)), Principal::server()] {
        assert_eq!(Quotes.admit(who, &quotes.topic), Ok(Access::Read));
        assert_eq!(Candles.admit(who, &candles.topic), Ok(Access::Read));
    }
}

#[test]
fn every_tick_is_an_event_and_spark_lines_grow_at_each_step() {
    let mut quotes = DeciderHarness::new(Quotes, ALL);
    assert_eq!(
        quotes.execute_as_server(QuotesCommand::List(vec![entry("a"), entry("b")])),
        Ok(1)
    );
    let ticks = |last| QuotesCommand::Tick(vec![tick("a", last), tick("a", last + 1)]);
    assert_eq!(quotes.execute_as_server(ticks(7)), Ok(3));
    assert_eq!(quotes.state.entries["a"].spark, [100, 100, 100, 8]);
    assert_eq!(quotes.state.entries["b"].spark, [100, 100, 100, 100]);
    quotes.now += SPARKLINE_INTERVAL - 1;
    assert_eq!(quotes.execute_as_server(ticks(9)), Ok(2));
    quotes.now += 1;
    assert_eq!(quotes.execute_as_server(ticks(9)), Ok(3));
    assert_eq!(
        quotes.execute_as_server(QuotesCommand::Tick(vec![tick("z", 1)])),
        rejected(reason_code::BAD_SYMBOL)
    );
    assert_eq!(
        quotes.execute_as_server(QuotesCommand::Tick(vec![tick("a", 0)])),
        rejected(reason_code::BAD_PRICE)
    );
    assert_eq!(
        quotes.execute_as_server(QuotesCommand::Tick(vec![tick("a", 1); MAX_TICKS + 1])),
        rejected(reason_code::LIMIT_EXCEEDED)
    );
}

#[test]
fn candles_recover_from_a_clock_that_was_ahead() {
    const DAY: u64 = 24 * 3_600_000;
    let trade = |at, price| {
        CandlesCommand::Trade(vec![Trade {
            at,
            price,
            quantity: 1,
            buyer_is_taker: true,
        }])
    };
    for ahead in [120_000, 3_600_000, 3 * DAY] {
        let mut candles = DeciderHarness::new(Candles, "a");
        let now = 400 * DAY + 3_600_000;
        candles.now = now;
        assert_eq!(candles.execute_as_server(trade(now, 5)), Ok(1));
        candles.now = now + ahead;
        assert_eq!(candles.execute_as_server(trade(now + ahead, 7)), Ok(1));
        candles.now = now + 1_000;
        candles.execute_as_server(trade(now + 1_000, 9)).unwrap();
        for interval in Interval::ALL {
            let newest = *candles.state.candles(interval).back().unwrap();
            assert_eq!((newest.close, newest.at <= now + 1_000), (9, true), "{interval:?}");
        }
        assert_eq!(
            candles.execute_as_server(trade(now + 2_000, 8)),
            Ok(1),
            "the future candles are removed only once"
        );
    }
}

#[test]
fn replaced_candles_must_be_aligned_and_priced() {
    let mut candles = DeciderHarness::new(Candles, "a");
    let replace = |at, low| CandlesCommand::ReplaceCandles {
        interval: Interval::Minute,
        candles: vec![Candle::from((at, 5, 6, low, 5, 1))],
    };
    assert_eq!(candles.execute_as_server(replace(60_000, 4)), Ok(1));
    assert_eq!(
        candles.execute_as_server(replace(60_001, 4)),
        rejected(reason_code::BAD_PRICE)
    );
    assert_eq!(
        candles.execute_as_server(replace(60_000, 0)),
        rejected(reason_code::BAD_PRICE)
    );
    assert_eq!(candles.state.candles(Interval::Minute).len(), 1);
}

fn set(symbol: &str, condition: AlertCondition, price: u64) -> AlertsCommand {
    AlertsCommand::Set {
        symbol: symbol.to_owned(),
        condition,
        price,
        scale: 2,
    }
}

#[test]
fn alerts_are_accessible_to_their_owner_and_the_server() {
    let topic = TopicName::of::<Alerts>(&person(1).id.0).unwrap();
    assert_eq!(Alerts.admit(Principal::visitor(&person(1)), &topic), Ok(Access::Write));
    assert_eq!(Alerts.admit(Principal::server(), &topic), Ok(Access::Write));
    assert_eq!(
        Alerts.admit(Principal::visitor(&person(2)), &topic),
        Err(Denial::Forbidden)
    );
    let watches = TopicName::of::<AlertChanges>(ALL).unwrap();
    assert_eq!(
        AlertChanges.admit(Principal::visitor(&person(1)), &watches),
        Err(Denial::Forbidden)
    );
    assert_eq!(AlertChanges.admit(Principal::server(), &watches), Ok(Access::Write));
}

#[test]
fn an_alert_is_set_and_reached_once() {
    let mut alerts = DeciderHarness::new(Alerts, &person(1).id.0);
    let me = person(1);
    assert_eq!(alerts.execute(&me, set("a", AlertCondition::Above, 150)), Ok(1));
    assert_eq!(alerts.execute(&me, set("a", AlertCondition::Above, 150)), Ok(0));
    assert_eq!(
        alerts.execute(&me, set("A", AlertCondition::Above, 150)),
        rejected(reason_code::BAD_SYMBOL)
    );
    assert_eq!(
        alerts.execute(&me, set("a", AlertCondition::Above, 0)),
        rejected(reason_code::BAD_PRICE)
    );
    let reach = AlertsServerCommand::Reach {
        id: 1,
        price: 151,
        scale: 2,
    };
    assert_eq!(alerts.execute_as_server(reach.clone()), Ok(1));
    assert_eq!(alerts.execute_as_server(reach.clone()), Ok(0));
    assert_eq!(alerts.state.alerts[0].reached, Some((1_000_000, 151, 2)));
    assert_eq!(alerts.execute(&me, AlertsCommand::Remove { id: 1 }), Ok(1));
    assert_eq!(
        alerts.execute(&me, AlertsCommand::Remove { id: 1 }),
        rejected(reason_code::NO_ALERT)
    );
    assert_eq!(alerts.execute_as_server(reach), Ok(0), "a removed alert is not reached");
}

#[test]
fn a_price_reaches_alerts_of_its_side() {
    let mut alerts = DeciderHarness::new(Alerts, &person(1).id.0);
    alerts
        .execute(&person(1), set("a", AlertCondition::Above, 150))
        .unwrap();
    alerts
        .execute(&person(1), set("a", AlertCondition::Below, 150))
        .unwrap();
    let reached = |price, scale| {
        alerts
            .state
            .alerts
            .iter()
            .map(|alert| alert.is_reached(price, scale))
            .collect::<Vec<_>>()
    };
    assert_eq!(reached(151, 2), [true, false]);
    assert_eq!(reached(150, 2), [true, true]);
    assert_eq!(reached(149, 2), [false, true]);
    assert_eq!(reached(15, 1), [true, true]);
    assert_eq!(reached(2, 0), [true, false]);
}

#[test]
fn changed_alerts_are_forwarded_to_the_watcher() {
    let topic = TopicName::of::<Alerts>(&person(1).id.0).unwrap();
    let forwards = Alerts.forward(&topic, &AlertList::default(), 1, &AlertsEvent::Removed { id: 1 });
    assert_eq!(forwards[0].command().topic().as_str(), "watches/all");
    let changed: AlertsChanged = serde_json::from_str(forwards[0].command().json()).unwrap();
    assert_eq!(changed.person, person(1).id.0);
    assert_eq!(DeciderHarness::new(AlertChanges, ALL).execute_as_server(changed), Ok(1));
}

/// A command of the owner (`Ok`) or of the server (`Err`).
fn alert_commands() -> impl Strategy<Value = Result<AlertsCommand, AlertsServerCommand>> {
    let condition = prop_oneof![Just(AlertCondition::Above), Just(AlertCondition::Below)];
    prop_oneof![
        4 => ("[a-c]", condition, 0..90_u64).prop_map(|(symbol, condition, price)| Ok(set(&symbol, condition, price))),
        1 => (0..120_u64).prop_map(|id| Ok(AlertsCommand::Remove { id })),
        3 => (0..120_u64, 1..90_u64).prop_map(|(id, price)| Err(AlertsServerCommand::Reach { id, price, scale: 2 })),
    ]
}

proptest! {
    #[test]
    fn alerts_stay_limited_and_reached_ones_do_not_change(commands in prop::collection::vec(alert_commands(), 0..200)) {
        let mut alerts = DeciderHarness::new(Alerts, &person(1).id.0);
        for command in commands {
            let before = alerts.state.clone();
            let _ = match command {
                Ok(command) => alerts.execute(&person(1), command),
                Err(command) => alerts.execute_as_server(command),
            };
            prop_assert!(alerts.state.pending().count() <= MAX_ALERTS);
            prop_assert!(alerts.state.alerts.len() <= MAX_ALERTS + MAX_REACHED);
            for alert in before.alerts.iter().filter(|alert| alert.reached.is_some()) {
                let now = alerts.state.get(alert.id);
                prop_assert!(now.is_none() || now == Some(alert));
            }
        }
    }
}
