//! The applications' own work: started with the node, started again when it fails, ended with it. Knows no application.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::limits::{TASK_PAUSE, TASK_PAUSE_MOST, TASK_WELL};
use super::state::ServerState;
use crate::lock::lock;
use crate::wire::status::TaskStatus;
use duplex_hub::{BackgroundTask, Hub};

pub fn start(state: &ServerState) {
    let simulations = state
        .simulations
        .iter()
        .map(|stage| Arc::clone(stage) as Arc<dyn BackgroundTask>);
    for task in state.tasks.iter().cloned().chain(simulations) {
        let stop = state.shutdown.token();
        let span = tracing::info_span!("feed", name = task.name());
        state
            .shutdown
            .spawn(supervise(task, state.hub.clone(), stop, state.supervisor.clone()).instrument(span));
    }
}

/// How the background tasks are, for the operator.
#[derive(Debug, Default)]
pub struct Supervisor(Mutex<BTreeMap<&'static str, TaskStatus>>);

impl Supervisor {
    /// By name.
    pub fn read(&self) -> Vec<TaskStatus> {
        self.lock().values().cloned().collect()
    }

    fn note(&self, name: &'static str, running: bool) {
        let mut tasks = self.lock();
        let task = tasks.entry(name).or_insert_with(|| TaskStatus {
            name: name.to_owned(),
            running,
            failures: 0,
        });
        task.running = running;
        task.failures += u64::from(!running);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, TaskStatus>> {
        lock(&self.0)
    }
}

/// A task that fails never takes the node down, and does not keep it busy with failing.
async fn supervise(task: Arc<dyn BackgroundTask>, hub: Hub, stop: CancellationToken, supervisor: Arc<Supervisor>) {
    let mut pause = TASK_PAUSE;
    loop {
        let began = Instant::now();
        supervisor.note(task.name(), true);
        let run = async { Arc::clone(&task).run(hub.clone(), stop.clone()).await };
        let ended = AssertUnwindSafe(run).catch_unwind().await;
        if stop.is_cancelled() {
            return;
        }
        supervisor.note(task.name(), false);
        if began.elapsed() >= TASK_WELL {
            pause = TASK_PAUSE;
        }
        let how = if ended.is_ok() { "ended" } else { "panicked" };
        tracing::error!(
            pause = pause.as_secs(),
            "a feed {how}; it is started again after a pause"
        );
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = next(pause);
    }
}

fn next(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(TASK_PAUSE_MOST)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use duplex_hub::TaskFuture;
    use duplex_hub::log::memory::Memory;
    use duplex_protocol::cursor::Epoch;

    /// Ends, panics, and then stays until it is stopped.
    #[derive(Default)]
    struct Frail {
        starts: AtomicU32,
        settled: Notify,
    }

    impl BackgroundTask for Frail {
        fn name(&self) -> &'static str {
            "frail"
        }

        fn run(self: Arc<Self>, _: Hub, stop: CancellationToken) -> TaskFuture {
            Box::pin(async move {
                match self.starts.fetch_add(1, Ordering::Relaxed) {
                    0 => {}
                    1 => panic!("frail"),
                    _ => {
                        self.settled.notify_one();
                        stop.cancelled().await;
                    }
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_is_started_again_until_the_node_stops() {
        let task = Arc::new(Frail::default());
        let hub = Hub::new(Arc::new(Memory::new(Epoch::new(1))), Vec::new());
        let stop = CancellationToken::new();
        let supervisor = Arc::new(Supervisor::default());
        let kept = tokio::spawn(supervise(task.clone(), hub, stop.clone(), supervisor.clone()));
        let began = Instant::now();
        task.settled.notified().await;
        assert_eq!(began.elapsed().as_secs(), (TASK_PAUSE + next(TASK_PAUSE)).as_secs());
        stop.cancel();
        kept.await.unwrap();
        assert_eq!(task.starts.load(Ordering::Relaxed), 3);
        let figures = supervisor.read();
        assert_eq!((figures.len(), figures[0].failures), (1, 2));
    }
}
