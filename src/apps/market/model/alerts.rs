//! What somebody wants to be told of, and what they were told.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::super::wire::{Alerts, AlertsCommand, AlertsEvent, Changed, MAX_ALERTS, MAX_DONE, Millis, Side, Watches};
use super::decimal;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{Delivery, NoCommand, Topic};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: Seq,
    pub symbol: String,
    pub side: Side,
    /// In units of `10^-scale`.
    pub price: u64,
    pub scale: u8,
    /// When it was set.
    pub at: Millis,
    /// When it was reached, and the price then in its scale.
    pub done: Option<(Millis, u64, u8)>,
}

impl Alert {
    pub fn is_reached(&self, price: u64, scale: u8) -> bool {
        self.side.is_reached((self.price, self.scale), (price, scale))
    }
}

impl Side {
    /// Whether this price, in units of its scale, is at or beyond the one that is waited for.
    pub fn is_reached(self, wanted: (u64, u8), price: (u64, u8)) -> bool {
        let place = decimal::compare(price, wanted);
        match self {
            Self::Above => place != Ordering::Less,
            Self::Below => place != Ordering::Greater,
        }
    }
}

/// In the order in which they were set: at most [`MAX_ALERTS`] that wait and [`MAX_DONE`] that are done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertList {
    pub alerts: Vec<Alert>,
}

impl AlertList {
    pub fn waiting(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.done.is_none())
    }

    pub fn get(&self, id: Seq) -> Option<&Alert> {
        self.alerts.iter().find(|alert| alert.id == id)
    }

    fn reach(&mut self, id: Seq, done: (Millis, u64, u8)) {
        if let Some(alert) = self.alerts.iter_mut().find(|alert| alert.id == id) {
            alert.done.get_or_insert(done);
        }
        let mut surplus = self.alerts.iter().filter(|alert| alert.done.is_some()).count();
        self.alerts.retain(|alert| {
            let goes = alert.done.is_some() && surplus > MAX_DONE;
            surplus -= usize::from(goes);
            !goes
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
                side,
                price,
                scale,
                at,
            } => {
                if list.waiting().count() < MAX_ALERTS && list.get(seq).is_none() {
                    list.alerts.push(Alert {
                        id: seq,
                        symbol: symbol.clone(),
                        side: *side,
                        price: *price,
                        scale: *scale,
                        at: *at,
                        done: None,
                    });
                }
            }
            AlertsEvent::Removed { id } => list.alerts.retain(|alert| alert.id != *id),
            AlertsEvent::Reached { id, price, scale, at } => list.reach(*id, (*at, *price, *scale)),
        }
    }
}

/// Nothing is remembered: whoever listens asks the alerts themselves.
impl Topic for Watches {
    const KIND: &'static str = "watches";
    const DELIVERY: Delivery = Delivery::Latest;
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = Changed;
    type State = ();

    fn apply(_state: &mut (), _seq: Seq, _event: &Changed) {}

    fn key(event: &Changed) -> Option<String> {
        Some(event.person.clone())
    }
}
