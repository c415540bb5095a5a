//! The node's vital signs: pushed to every page once per second through a signal, and served at `/api/vitals`.

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
use duplex_axum::connection::{ConnectionKind, CounterSnapshot};
use duplex_hub::HubStats;

/// The response of `/api/vitals`: the vitals, and the totals since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VitalsReport {
    /// Message counts are of the last complete beat; everything else is current.
    #[serde(flatten)]
    pub vitals: Vitals,
    /// Open sockets of application endpoints (not sessions); included in `connections`.
    pub endpoints: u64,
    pub received_total: u64,
    pub sent_total: u64,
    /// Counters of commands, events and slow readers.
    pub hub: HubStats,
}

/// The vitals of the last complete beat.
#[derive(Debug, Default)]
pub struct LastVitals(Mutex<Vitals>);

impl LastVitals {
    pub fn get(&self) -> Vitals {
        lock(&self.0).clone()
    }

    fn set(&self, vitals: Vitals) {
        *lock(&self.0) = vitals;
    }
}

/// Starts the task that updates the signal until shutdown.
pub fn spawn_vitals(state: &ServerState) {
    let state = state.clone();
    state.shutdown.clone().spawn(async move {
        tokio::select! {
            () = state.shutdown.begun() => {}
            () = run(&state) => {}
        }
    });
}

/// The vitals for the interval between two counter snapshots.
fn vitals_between(now: &CounterSnapshot, before: &CounterSnapshot, beat: u64, node: &str, uptime: Duration) -> Vitals {
    Vitals {
        beat,
        node: node.to_owned(),
        connections: now.connections,
        received: now.received.saturating_sub(before.received),
        sent: now.sent.saturating_sub(before.sent),
        uptime_seconds: uptime.as_secs(),
    }
}

async fn run(state: &ServerState) {
    let mut ticks = interval(Duration::from_secs(BEAT_SECONDS));
    // A late tick is not caught up: each beat covers about one second.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = CounterSnapshot::default();
    for number in 1.. {
        ticks.tick().await;
        let now = state.counters.snapshot();
        let vitals = vitals_between(&now, &before, number, &state.settings.node, state.started.elapsed());
        before = now;
        state.signals.set_vitals(&vitals);
        state.last_vitals.set(vitals);
    }
}

/// `GET /api/vitals`
pub async fn get_vitals(State(state): State<ServerState>) -> Response {
    let now = state.counters.snapshot();
    let vitals = Vitals {
        node: state.settings.node.clone(),
        connections: now.connections,
        uptime_seconds: state.started.elapsed().as_secs(),
        ..state.last_vitals.get()
    };
    let report = VitalsReport {
        vitals,
        endpoints: now.open(ConnectionKind::Endpoint),
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
    fn vitals_count_the_messages_of_the_last_beat_only() {
        let counters = Counters::default();
        counters.count_messages(10, 20);
        let before = counters.snapshot();
        counters.count_messages(3, 5);
        let vitals = vitals_between(&counters.snapshot(), &before, 7, "n1", Duration::from_millis(61_900));
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
