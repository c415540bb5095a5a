//! An index of pending alerts by symbol and price: a price lookup visits only the alerts that it reaches. Pure; time is an
//! argument.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::super::model::alerts::Alert;
use super::super::wire::{AlertCondition, MAX_SCALE};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;

#[derive(Debug, Default)]
pub struct AlertIndex {
    symbols: HashMap<String, SymbolAlerts>,
    /// The keys of each person's alerts.
    keys_by_person: HashMap<PersonId, Vec<(String, AlertCondition, AlertKey)>>,
}

/// The alerts of one symbol by price.
#[derive(Debug, Default)]
struct SymbolAlerts {
    above: BTreeMap<AlertKey, PendingAlert>,
    below: BTreeMap<AlertKey, PendingAlert>,
}

/// The price in units of the finest scale, the owner, and the alert's id.
type AlertKey = (u128, PersonId, Seq);

#[derive(Debug)]
struct PendingAlert {
    alert: Alert,
    /// The time before which a failed notice is not retried.
    retry_at: Option<Instant>,
}

impl AlertIndex {
    /// Replaces all alerts of one person.
    pub fn replace<'a>(&mut self, person: &PersonId, alerts: impl Iterator<Item = &'a Alert>) {
        for (symbol, condition, key) in self.keys_by_person.remove(person).into_iter().flatten() {
            self.remove_key(&symbol, condition, &key);
        }
        let mut keys = Vec::new();
        for alert in alerts {
            let key = (to_finest_scale(alert.price, alert.scale), person.clone(), alert.id);
            let pending = PendingAlert {
                alert: alert.clone(),
                retry_at: None,
            };
            let levels = self.symbols.entry(alert.symbol.clone()).or_default();
            levels.alerts_for(alert.condition).insert(key.clone(), pending);
            keys.push((alert.symbol.clone(), alert.condition, key));
        }
        if !keys.is_empty() {
            self.keys_by_person.insert(person.clone(), keys);
        }
    }

    /// The alerts that this price reaches and that are not postponed.
    pub fn reached(&self, symbol: &str, price: u64, scale: u8, now: Instant) -> Vec<(PersonId, Alert)> {
        let Some(levels) = self.symbols.get(symbol) else {
            return Vec::new();
        };
        let price = to_finest_scale(price, scale);
        let lowest = (price, PersonId(String::new()), 0);
        let highest = (price + 1, PersonId(String::new()), 0);
        let reached = levels.above.range(..highest).chain(levels.below.range(lowest..));
        let due = reached.filter(|(_, pending)| pending.retry_at.is_none_or(|at| at <= now));
        due.map(|((_, person, _), pending)| (person.clone(), pending.alert.clone()))
            .collect()
    }

    pub fn remove(&mut self, person: &PersonId, alert: &Alert) {
        let key = (to_finest_scale(alert.price, alert.scale), person.clone(), alert.id);
        self.remove_key(&alert.symbol, alert.condition, &key);
        if let Some(keys) = self.keys_by_person.get_mut(person) {
            keys.retain(|(_, _, other)| *other != key);
            if keys.is_empty() {
                self.keys_by_person.remove(person);
            }
        }
    }

    pub fn postpone(&mut self, person: &PersonId, alert: &Alert, retry_at: Instant) {
        let key = (to_finest_scale(alert.price, alert.scale), person.clone(), alert.id);
        let levels = self.symbols.get_mut(&alert.symbol);
        if let Some(pending) = levels.and_then(|levels| levels.alerts_for(alert.condition).get_mut(&key)) {
            pending.retry_at = Some(retry_at);
        }
    }

    pub fn symbols_of(&self, person: &PersonId) -> Vec<String> {
        let keys = self.keys_by_person.get(person).into_iter().flatten();
        let mut symbols: Vec<_> = keys.map(|(symbol, ..)| symbol.clone()).collect();
        symbols.dedup();
        symbols
    }

    fn remove_key(&mut self, symbol: &str, condition: AlertCondition, key: &AlertKey) {
        if let Some(levels) = self.symbols.get_mut(symbol) {
            levels.alerts_for(condition).remove(key);
            if levels.above.is_empty() && levels.below.is_empty() {
                self.symbols.remove(symbol);
            }
        }
    }
}

impl SymbolAlerts {
    const fn alerts_for(&mut self, condition: AlertCondition) -> &mut BTreeMap<AlertKey, PendingAlert> {
        match condition {
            AlertCondition::Above => &mut self.above,
            AlertCondition::Below => &mut self.below,
        }
    }
}

/// The price in units of the finest scale, [`MAX_SCALE`], so that prices of all scales compare.
fn to_finest_scale(price: u64, scale: u8) -> u128 {
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

    fn alert(id: Seq, symbol: u8, condition: AlertCondition, price: u64, scale: u8) -> Alert {
        Alert {
            id,
            symbol: symbol.to_string(),
            condition,
            price,
            scale,
            at: 0,
            reached: None,
        }
    }

    #[test]
    fn a_postponed_alert_is_found_later_and_a_removed_one_is_gone() {
        let (mut index, now, me) = (AlertIndex::default(), Instant::now(), person(1));
        let alert = alert(1, 1, AlertCondition::Above, 150, 2);
        index.replace(&me, [&alert].into_iter());
        assert_eq!(index.reached("1", 15, 1, now), [(me.clone(), alert.clone())]);
        let later = now + Duration::from_secs(5);
        index.postpone(&me, &alert, later);
        assert_eq!(index.reached("1", 15, 1, now), []);
        assert_eq!(index.reached("1", 15, 1, later).len(), 1);
        index.remove(&me, &alert);
        assert_eq!(index.reached("1", 15, 1, later), []);
        assert!(
            index.symbols.is_empty() && index.keys_by_person.is_empty(),
            "the index is empty again"
        );
    }

    proptest! {
        /// Compares with a linear scan over all alerts.
        #[test]
        fn a_price_finds_exactly_the_alerts_that_it_reaches(
            steps in prop::collection::vec((0_u8..4, prop::collection::vec((0_u8..3, any::<bool>(), 1_u64..30, 0_u8..3), 0..6)), 0..12),
            symbol in 0_u8..3, price in 1_u64..300, scale in 0_u8..3,
        ) {
            let (mut index, now) = (AlertIndex::default(), Instant::now());
            let mut model: BTreeMap<PersonId, Vec<Alert>> = BTreeMap::new();
            let mut id = 0;
            for (owner, alerts) in steps {
                let alerts: Vec<_> = alerts.into_iter().map(|(symbol, above, price, scale)| {
                    id += 1;
                    alert(id, symbol, if above { AlertCondition::Above } else { AlertCondition::Below }, price, scale)
                }).collect();
                index.replace(&person(owner), alerts.iter());
                model.insert(person(owner), alerts);
            }
            let mut found = index.reached(&symbol.to_string(), price, scale, now);
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
