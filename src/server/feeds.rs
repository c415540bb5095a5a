//! The applications' own work: started with the node, started again when it fails, ended with it. Knows no application.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::limits::{FEED_PAUSE, FEED_PAUSE_MOST, FEED_WELL};
use super::state::ServerState;
use crate::wire::status::FeedFigures;
use duplex_hub::{Feed, Hub};

pub fn start(state: &ServerState) {
    let stages = state.stages.iter().map(|stage| Arc::clone(stage) as Arc<dyn Feed>);
    for feed in state.feeds.iter().cloned().chain(stages) {
        let stop = state.shutdown.token();
        let span = tracing::info_span!("feed", name = feed.name());
        state
            .shutdown
            .spawn(keep(feed, state.hub.clone(), stop, state.feeding.clone()).instrument(span));
    }
}

/// How the feeds are, for the operator.
#[derive(Debug, Default)]
pub struct Feeding(Mutex<BTreeMap<&'static str, FeedFigures>>);

impl Feeding {
    /// By name.
    pub fn read(&self) -> Vec<FeedFigures> {
        self.lock().values().cloned().collect()
    }

    fn note(&self, name: &'static str, running: bool) {
        let mut feeds = self.lock();
        let feed = feeds.entry(name).or_insert_with(|| FeedFigures {
            name: name.to_owned(),
            running,
            failures: 0,
        });
        feed.running = running;
        feed.failures += u64::from(!running);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, FeedFigures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feed that fails never takes the node down, and does not keep it busy with failing.
async fn keep(feed: Arc<dyn Feed>, hub: Hub, stop: CancellationToken, feeding: Arc<Feeding>) {
    let mut pause = FEED_PAUSE;
    loop {
        let began = Instant::now();
        feeding.note(feed.name(), true);
        let run = async { Arc::clone(&feed).run(hub.clone(), stop.clone()).await };
        let ended = AssertUnwindSafe(run).catch_unwind().await;
        if stop.is_cancelled() {
            return;
        }
        feeding.note(feed.name(), false);
        if began.elapsed() >= FEED_WELL {
            pause = FEED_PAUSE;
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
    pause.saturating_mul(2).min(FEED_PAUSE_MOST)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use duplex_hub::Running;
    use duplex_hub::log::memory::Memory;
    use duplex_protocol::cursor::Epoch;

    /// Ends, panics, and then stays until it is stopped.
    #[derive(Default)]
    struct Frail {
        starts: AtomicU32,
        settled: Notify,
    }

    impl Feed for Frail {
        fn name(&self) -> &'static str {
            "frail"
        }

        fn run(self: Arc<Self>, _: Hub, stop: CancellationToken) -> Running {
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
    async fn a_feed_that_fails_is_started_again_until_the_node_stops() {
        let feed = Arc::new(Frail::default());
        let hub = Hub::new(Arc::new(Memory::new(Epoch::new(1))), Vec::new());
        let stop = CancellationToken::new();
        let feeding = Arc::new(Feeding::default());
        let kept = tokio::spawn(keep(feed.clone(), hub, stop.clone(), feeding.clone()));
        let began = Instant::now();
        feed.settled.notified().await;
        assert_eq!(began.elapsed().as_secs(), (FEED_PAUSE + next(FEED_PAUSE)).as_secs());
        stop.cancel();
        kept.await.unwrap();
        assert_eq!(feed.starts.load(Ordering::Relaxed), 3);
        let figures = feeding.read();
        assert_eq!((figures.len(), figures[0].failures), (1, 2));
    }
}
