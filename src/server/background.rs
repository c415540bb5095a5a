//! The supervisor of the applications' background tasks and simulations: starts them with the node, restarts them when they fail.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::limits::{TASK_RESTART_DELAY, TASK_RESTART_DELAY_MAX, TASK_STABLE_AFTER};
use super::state::ServerState;
use crate::lock::lock;
use crate::wire::status::TaskStatus;
use duplex_hub::{BackgroundTask, Hub};

pub fn spawn_background_tasks(state: &ServerState) {
    let simulations = state
        .simulations
        .iter()
        .map(|simulation| Arc::clone(simulation) as Arc<dyn BackgroundTask>);
    for task in state.tasks.iter().cloned().chain(simulations) {
        let stop = state.shutdown.token();
        let span = tracing::info_span!("task", name = task.name());
        state
            .shutdown
            .spawn(supervise(task, state.hub.clone(), stop, state.task_statuses.clone()).instrument(span));
    }
}

/// The status of each background task.
#[derive(Debug, Default)]
pub struct TaskStatuses(Mutex<BTreeMap<&'static str, TaskStatus>>);

impl TaskStatuses {
    /// Sorted by name.
    pub fn read(&self) -> Vec<TaskStatus> {
        self.lock().values().cloned().collect()
    }

    fn record(&self, name: &'static str, running: bool) {
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

/// Runs a task until shutdown. A task that ends or panics is restarted after an exponential backoff.
async fn supervise(task: Arc<dyn BackgroundTask>, hub: Hub, stop: CancellationToken, statuses: Arc<TaskStatuses>) {
    let mut delay = TASK_RESTART_DELAY;
    loop {
        let started_at = Instant::now();
        statuses.record(task.name(), true);
        let run = async { Arc::clone(&task).run(hub.clone(), stop.clone()).await };
        let ended = AssertUnwindSafe(run).catch_unwind().await;
        if stop.is_cancelled() {
            return;
        }
        statuses.record(task.name(), false);
        if started_at.elapsed() >= TASK_STABLE_AFTER {
            delay = TASK_RESTART_DELAY;
        }
        let outcome = if ended.is_ok() { "ended" } else { "panicked" };
        tracing::error!(
            pause = delay.as_secs(),
            "a background task {outcome}; it is restarted after a pause"
        );
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(delay) => {}
        }
        delay = next_delay(delay);
    }
}

fn next_delay(delay: Duration) -> Duration {
    delay.saturating_mul(2).min(TASK_RESTART_DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use duplex_hub::TaskFuture;
    use duplex_hub::log::memory::MemoryLog;
    use duplex_protocol::cursor::Epoch;

    /// Ends on its first run, panics on its second, and then runs until it is stopped.
    #[derive(Default)]
    struct FlakyTask {
        starts: AtomicU32,
        settled: Notify,
    }

    impl BackgroundTask for FlakyTask {
        fn name(&self) -> &'static str {
            "flaky"
        }

        fn run(self: Arc<Self>, _: Hub, stop: CancellationToken) -> TaskFuture {
            Box::pin(async move {
                match self.starts.fetch_add(1, Ordering::Relaxed) {
                    0 => {}
                    1 => panic!("flaky"),
                    _ => {
                        self.settled.notify_one();
                        stop.cancelled().await;
                    }
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_task_is_restarted_until_the_node_stops() {
        let task = Arc::new(FlakyTask::default());
        let hub = Hub::new(Arc::new(MemoryLog::new(Epoch::new(1))), Vec::new());
        let stop = CancellationToken::new();
        let statuses = Arc::new(TaskStatuses::default());
        let supervising = tokio::spawn(supervise(task.clone(), hub, stop.clone(), statuses.clone()));
        let started_at = Instant::now();
        task.settled.notified().await;
        assert_eq!(
            started_at.elapsed().as_secs(),
            (TASK_RESTART_DELAY + next_delay(TASK_RESTART_DELAY)).as_secs()
        );
        stop.cancel();
        supervising.await.unwrap();
        assert_eq!(task.starts.load(Ordering::Relaxed), 3);
        let tasks = statuses.read();
        assert_eq!((tasks.len(), tasks[0].failures), (1, 2));
    }
}
