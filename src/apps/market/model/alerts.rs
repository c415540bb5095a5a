//! The states of `alerts/<person>` and `watches/all`. An alert is pending until the price reaches it (triggered).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::super::wire::{
    AlertChanges, AlertCondition, Alerts, AlertsChanged, AlertsCommand, AlertsEvent, MAX_ALERTS, MAX_REACHED, Millis,
};
use super::decimal;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{Delivery, NoCommand, Topic};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: Seq,
    pub symbol: String,
    #[serde(rename = "side")]
    pub condition: AlertCondition,
    /// In units of `10^-scale`.
    pub price: u64,
    pub scale: u8,
    /// The time at which it was set.
    pub at: Millis,
    /// When it was reached, the price at that time, and the price's scale.
    #[serde(rename = "done")]
    pub reached: Option<(Millis, u64, u8)>,
}

impl Alert {
    pub fn is_reached(&self, price: u64, scale: u8) -> bool {
        self.condition.is_reached((self.price, self.scale), (price, scale))
    }
}

impl AlertCondition {
    /// Whether `price` is at or beyond the price of the alert; both with their scales.
    pub fn is_reached(self, alert: (u64, u8), price: (u64, u8)) -> bool {
        let ordering = decimal::compare(price, alert);
        match self {
            Self::Above => ordering != Ordering::Less,
            Self::Below => ordering != Ordering::Greater,
        }
    }
}

/// Alerts in the order in which they were set: at most [`MAX_ALERTS`] pending and [`MAX_REACHED`] reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertList {
    pub alerts: Vec<Alert>,
}

impl AlertList {
    pub fn pending(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.reached.is_none())
    }

    pub fn get(&self, id: Seq) -> Option<&Alert> {
        self.alerts.iter().find(|alert| alert.id == id)
    }

    fn mark_reached(&mut self, id: Seq, reached: (Millis, u64, u8)) {
        if let Some(alert) = self.alerts.iter_mut().find(|alert| alert.id == id) {
            alert.reached.get_or_insert(reached);
        }
        let mut reached_count = self.alerts.iter().filter(|alert| alert.reached.is_some()).count();
        self.alerts.retain(|alert| {
            let is_excess = alert.reached.is_some() && reached_count > MAX_REACHED;
            reached_count -= usize::from(is_excess);
            !is_excess
        });
    }
}

impl Topic for Alerts {
    const KIND: &'static str = "alerts";
    const PRESENCE: bool = false;

    type Command = AlertsCommand;
    type Event = AlertsEvent;
    type State = AlertList;

    fn apply(list: &mut AlertList, seq: Seq, event: &AlertsEvent) {
        match event {
            AlertsEvent::Set {
                symbol,
                condition,
                price,
                scale,
                at,
            } => {
                if list.pending().count() < MAX_ALERTS && list.get(seq).is_none() {
                    list.alerts.push(Alert {
                        id: seq,
                        symbol: symbol.clone(),
                        condition: *condition,
                        price: *price,
                        scale: *scale,
                        at: *at,
                        reached: None,
                    });
                }
            }
            AlertsEvent::Removed { id } => list.alerts.retain(|alert| alert.id != *id),
            AlertsEvent::Reached { id, price, scale, at } => list.mark_reached(*id, (*at, *price, *scale)),
        }
    }
}

/// Has no state: the event only tells the watcher whose alerts to reload.
impl Topic for AlertChanges {
    const KIND: &'static str = "watches";
    const DELIVERY: Delivery = Delivery::Latest;
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = AlertsChanged;
    type State = ();

    fn apply(_state: &mut (), _seq: Seq, _event: &AlertsChanged) {}

    fn key(event: &AlertsChanged) -> Option<String> {
        Some(event.person.clone())
    }
}
