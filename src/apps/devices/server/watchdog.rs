//! The devices' watchdog: a background task that updates the health of silent devices and expires unanswered orders. It writes only
//! when something changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::super::model::{FleetState, PendingOrders};
use super::super::wire::{ALL, Fleet, Orders};
use super::commands::{FleetCommand, OrdersCommand};
use super::{fleet, mqtt_message, orders};
use duplex_hub::decider::Decider;
use duplex_hub::{BackgroundTask, Hub, TaskFuture, now};
use duplex_protocol::codec::Encoding;
use duplex_protocol::topic::TopicName;

const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Health checks begin this long after a start, so that devices can report again first.
const STARTUP_GRACE: Duration = Duration::from_secs(15);

pub struct Watchdog;

impl BackgroundTask for Watchdog {
    fn name(&self) -> &'static str {
        "devices-watch"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = check_periodically(&hub) => {}
            }
        })
    }
}

async fn check_periodically(hub: &Hub) {
    let start = Instant::now();
    let mut ticks = interval_at(start + CHECK_INTERVAL, CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let at = ticks.tick().await;
        let has_overdue = |pending: &PendingOrders| !orders::expire_overdue(pending, now()).is_empty();
        send_if::<Orders>(hub, has_overdue, &OrdersCommand::ExpireOverdue).await;
        if at >= start + STARTUP_GRACE {
            let has_changes = |overview: &FleetState| !fleet::refresh_health(overview, now()).is_empty();
            send_if::<Fleet>(hub, has_changes, &FleetCommand::RefreshHealth).await;
        }
    }
}

/// Sends the command if the topic's state meets the condition.
async fn send_if<D: Decider>(hub: &Hub, condition: impl Fn(&D::State) -> bool, command: &D::ServerCommand) {
    let Ok(name) = TopicName::of::<D>(ALL) else { return };
    let Ok(topic) = hub.open(&name).await else { return };
    let Ok((_, state)) = topic.state(Encoding::Json).await else {
        return;
    };
    if state.decode(Encoding::Json).is_ok_and(|state| condition(&state)) {
        // A rejected command is retried at the next tick.
        let _ = hub
            .send_server_command::<D>(ALL, mqtt_message::random_id(), command)
            .await;
    }
}
