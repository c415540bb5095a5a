//! The node's vital signs, once a beat to every page through a signal, and on request to operators.
//! Knows no page.

use std::sync::Mutex;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use super::state::ServerState;
use crate::lock::lock;
use crate::wire::vitals::{BEAT_SECONDS, Vitals};
use duplex_axum::connection::{CounterSnapshot, TransportKind};
use duplex_hub::HubStats;

/// The answer for operators: the vitals, and the totals since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VitalsReport {
    /// Messages are of the last whole beat, all else is of now.
    #[serde(flatten)]
    pub vitals: Vitals,
    /// Sockets of the endpoints among the connections: those that are no session.
    pub endpoints: u64,
    pub received_total: u64,
    pub sent_total: u64,
    /// What became of commands and events, and of readers that were slow.
    pub hub: HubStats,
}

/// The last whole beat.
#[derive(Debug, Default)]
pub struct LastVitals(Mutex<Vitals>);

impl LastVitals {
    pub fn get(&self) -> Vitals {
        lock(&self.0).clone()
    }

    fn put(&self, vitals: Vitals) {
        *lock(&self.0) = vitals;
    }
}

/// Keeps the signal beating until the shutdown.
pub fn start(state: &ServerState) {
    let heart = state.clone();
    state.shutdown.spawn(async move {
        tokio::select! {
            () = heart.shutdown.begun() => {}
            () = beat(&heart) => {}
        }
    });
}

/// The vitals of the beat from `before` to `now`.
fn since(now: &CounterSnapshot, before: &CounterSnapshot, beat: u64, node: &str, uptime: Duration) -> Vitals {
    Vitals {
        beat,
        node: node.to_owned(),
        connections: now.connections,
        received: now.received.saturating_sub(before.received),
        sent: now.sent.saturating_sub(before.sent),
        uptime_seconds: uptime.as_secs(),
    }
}

async fn beat(state: &ServerState) {
    let mut ticks = interval(Duration::from_secs(BEAT_SECONDS));
    // A beat that came late is not made up for: each is the messages of one second.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = CounterSnapshot::default();
    for number in 1.. {
        ticks.tick().await;
        let now = state.counters.snapshot();
        let vitals = since(&now, &before, number, &state.settings.node, state.started.elapsed());
        before = now;
        state.signals.set_vitals(&vitals);
        state.last_vitals.put(vitals);
    }
}

/// `GET /api/vitals`
pub async fn show(State(state): State<ServerState>) -> Response {
    let now = state.counters.snapshot();
    let vitals = Vitals {
        node: state.settings.node.clone(),
        connections: now.connections,
        uptime_seconds: state.started.elapsed().as_secs(),
        ..state.last_vitals.get()
    };
    let report = VitalsReport {
        vitals,
        endpoints: now.open(TransportKind::Endpoint),
        received_total: now.received,
        sent_total: now.sent,
        hub: state.hub.stats(),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    use duplex_axum::connection::Counters;

    use super::*;

    #[test]
    fn vitals_show_the_last_beat_and_not_the_total() {
        let counters = Counters::default();
        counters.count_messages(10, 20);
        let before = counters.snapshot();
        counters.count_messages(3, 5);
        let vitals = since(&counters.snapshot(), &before, 7, "n1", Duration::from_millis(61_900));
        let expected = Vitals {
            beat: 7,
            node: "n1".to_owned(),
            connections: 0,
            received: 3,
            sent: 5,
            uptime_seconds: 61,
        };
        assert_eq!(vitals, expected);
    }
}
