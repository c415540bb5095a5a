//! The clock of the devices: sees who was not heard, and who did not answer. Writes only when there is something to say.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::super::model::{Overview, Waiting};
use super::super::wire::{ALL, Fleet, Orders};
use super::commands::{FleetCommand, OrdersCommand};
use super::{fleet, letter, orders};
use duplex_hub::decider::Decider;
use duplex_hub::{BackgroundTask, Hub, TaskFuture, now};
use duplex_protocol::codec::Encoding;
use duplex_protocol::topic::TopicName;

const TICK: Duration = Duration::from_secs(1);
/// What was heard before a restart is old: devices have this time to be heard again.
const GRACE: Duration = Duration::from_secs(15);

pub struct Watch;

impl BackgroundTask for Watch {
    fn name(&self) -> &'static str {
        "devices-watch"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watch(&hub) => {}
            }
        })
    }
}

async fn watch(hub: &Hub) {
    let start = Instant::now();
    let mut ticks = interval_at(start + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let at = ticks.tick().await;
        let waits = |waiting: &Waiting| !orders::look(waiting, now()).is_empty();
        look::<Orders>(hub, waits, &OrdersCommand::Look).await;
        if at >= start + GRACE {
            let turns = |overview: &Overview| !fleet::look(overview, now()).is_empty();
            look::<Fleet>(hub, turns, &FleetCommand::Look).await;
        }
    }
}

async fn look<D: Decider>(hub: &Hub, wanted: impl Fn(&D::State) -> bool, command: &D::ServerCommand) {
    let Ok(name) = TopicName::of::<D>(ALL) else { return };
    let Ok(topic) = hub.open(&name).await else { return };
    let Ok((_, state)) = topic.state(Encoding::Json).await else {
        return;
    };
    if state.decode(Encoding::Json).is_ok_and(|state| wanted(&state)) {
        // Refused now, it is asked again at the next tick.
        let _ = hub.server_command::<D>(ALL, letter::new_id(), command).await;
    }
}
