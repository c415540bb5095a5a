//! The alerts that wait, by symbol and by price: a new price looks at those that it reaches, and at no other. Pure: the time
//! comes in.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::super::model::alerts::Alert;
use super::super::wire::{MAX_SCALE, Side};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;

#[derive(Debug, Default)]
pub struct WatchList {
    symbols: HashMap<String, Levels>,
    /// Where the alerts of each person are.
    people: HashMap<PersonId, Vec<(String, Side, Level)>>,
}

/// Of one symbol.
#[derive(Debug, Default)]
struct Levels {
    above: BTreeMap<Level, Waiting>,
    below: BTreeMap<Level, Waiting>,
}

/// A price in units of the finest scale, then whose alert it is, and which.
type Level = (u128, PersonId, Seq);

#[derive(Debug)]
struct Waiting {
    alert: Alert,
    /// It could not be told, and is not tried again before.
    not_before: Option<Instant>,
}

impl WatchList {
    /// One person's alerts, instead of those that were known.
    pub fn replace<'a>(&mut self, person: &PersonId, alerts: impl Iterator<Item = &'a Alert>) {
        for (symbol, side, level) in self.people.remove(person).into_iter().flatten() {
            self.take(&symbol, side, &level);
        }
        let mut places = Vec::new();
        for alert in alerts {
            let level = (units(alert.price, alert.scale), person.clone(), alert.id);
            let waiting = Waiting {
                alert: alert.clone(),
                not_before: None,
            };
            let levels = self.symbols.entry(alert.symbol.clone()).or_default();
            levels.side(alert.side).insert(level.clone(), waiting);
            places.push((alert.symbol.clone(), alert.side, level));
        }
        if !places.is_empty() {
            self.people.insert(person.clone(), places);
        }
    }

    /// The alerts that this price has reached and that may be told now.
    pub fn reached(&self, symbol: &str, price: u64, scale: u8, now: Instant) -> Vec<(PersonId, Alert)> {
        let Some(levels) = self.symbols.get(symbol) else {
            return Vec::new();
        };
        let price = units(price, scale);
        let least = (price, PersonId(String::new()), 0);
        let most = (price + 1, PersonId(String::new()), 0);
        let reached = levels.above.range(..most).chain(levels.below.range(least..));
        let due = reached.filter(|(_, waiting)| waiting.not_before.is_none_or(|at| at <= now));
        due.map(|((_, person, _), waiting)| (person.clone(), waiting.alert.clone()))
            .collect()
    }

    pub fn done(&mut self, person: &PersonId, alert: &Alert) {
        let level = (units(alert.price, alert.scale), person.clone(), alert.id);
        self.take(&alert.symbol, alert.side, &level);
        if let Some(places) = self.people.get_mut(person) {
            places.retain(|(_, _, place)| *place != level);
            if places.is_empty() {
                self.people.remove(person);
            }
        }
    }

    pub fn later(&mut self, person: &PersonId, alert: &Alert, not_before: Instant) {
        let level = (units(alert.price, alert.scale), person.clone(), alert.id);
        let levels = self.symbols.get_mut(&alert.symbol);
        if let Some(waiting) = levels.and_then(|levels| levels.side(alert.side).get_mut(&level)) {
            waiting.not_before = Some(not_before);
        }
    }

    pub fn symbols_of(&self, person: &PersonId) -> Vec<String> {
        let places = self.people.get(person).into_iter().flatten();
        let mut symbols: Vec<_> = places.map(|(symbol, ..)| symbol.clone()).collect();
        symbols.dedup();
        symbols
    }

    fn take(&mut self, symbol: &str, side: Side, level: &Level) {
        if let Some(levels) = self.symbols.get_mut(symbol) {
            levels.side(side).remove(level);
            if levels.above.is_empty() && levels.below.is_empty() {
                self.symbols.remove(symbol);
            }
        }
    }
}

impl Levels {
    const fn side(&mut self, side: Side) -> &mut BTreeMap<Level, Waiting> {
        match side {
            Side::Above => &mut self.above,
            Side::Below => &mut self.below,
        }
    }
}

/// Prices of all scales, comparable. A scale beyond the finest is none of ours.
fn units(price: u64, scale: u8) -> u128 {
    u128::from(price) * 10_u128.pow(u32::from(MAX_SCALE.saturating_sub(scale)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn person(number: u8) -> PersonId {
        PersonId(format!("{number:016x}"))
    }

    fn alert(id: Seq, symbol: u8, side: Side, price: u64, scale: u8) -> Alert {
        Alert {
            id,
            symbol: symbol.to_string(),
            side,
            price,
            scale,
            at: 0,
            done: None,
        }
    }

    #[test]
    fn an_alert_that_could_not_be_told_waits_and_one_that_was_is_gone() {
        let (mut list, now, me) = (WatchList::default(), Instant::now(), person(1));
        let alert = alert(1, 1, Side::Above, 150, 2);
        list.replace(&me, [&alert].into_iter());
        assert_eq!(list.reached("1", 15, 1, now), [(me.clone(), alert.clone())]);
        let later = now + Duration::from_secs(5);
        list.later(&me, &alert, later);
        assert_eq!(list.reached("1", 15, 1, now), []);
        assert_eq!(list.reached("1", 15, 1, later).len(), 1);
        list.done(&me, &alert);
        assert_eq!(list.reached("1", 15, 1, later), []);
        assert!(
            list.symbols.is_empty() && list.people.is_empty(),
            "nothing is left of it"
        );
    }

    proptest! {
        /// Against the plainest account: each alert is asked.
        #[test]
        fn a_price_finds_the_alerts_that_it_reaches_and_no_other(
            steps in prop::collection::vec((0_u8..4, prop::collection::vec((0_u8..3, any::<bool>(), 1_u64..30, 0_u8..3), 0..6)), 0..12),
            symbol in 0_u8..3, price in 1_u64..300, scale in 0_u8..3,
        ) {
            let (mut list, now) = (WatchList::default(), Instant::now());
            let mut model: BTreeMap<PersonId, Vec<Alert>> = BTreeMap::new();
            let mut id = 0;
            for (who, wanted) in steps {
                let alerts: Vec<_> = wanted.into_iter().map(|(symbol, above, price, scale)| {
                    id += 1;
                    alert(id, symbol, if above { Side::Above } else { Side::Below }, price, scale)
                }).collect();
                list.replace(&person(who), alerts.iter());
                model.insert(person(who), alerts);
            }
            let mut found = list.reached(&symbol.to_string(), price, scale, now);
            let mut expected: Vec<_> = model.iter()
                .flat_map(|(person, alerts)| alerts.iter().map(move |alert| (person.clone(), alert.clone())))
                .filter(|(_, alert)| alert.symbol == symbol.to_string() && alert.is_reached(price, scale))
                .collect();
            found.sort_by_key(|(_, alert)| alert.id);
            expected.sort_by_key(|(_, alert)| alert.id);
            prop_assert_eq!(found, expected);
        }
    }
}
