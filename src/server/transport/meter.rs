//! Notes when bytes of a stream last moved in each direction, and how many came in. A peer that is sending one long message
//! is not silent, though no message of it has arrived; one that takes our bytes slowly is not stuck.
//! Knows no protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::server::observed::Observer;

/// Read beside the stream while the stream is borrowed.
#[derive(Debug)]
pub struct Meter {
    opened: Instant,
    /// Nanoseconds after `opened`: 584 years fit.
    heard: AtomicU64,
    wrote: AtomicU64,
    bytes_in: AtomicU64,
}

impl Meter {
    pub fn start() -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self {
            opened: Instant::now(),
            heard: zero(),
            wrote: zero(),
            bytes_in: zero(),
        })
    }

    /// The time since the connection's opening.
    pub fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    pub fn at(&self, moment: Duration) -> Instant {
        self.opened + moment
    }

    /// When bytes last came in, or when we began to listen again.
    pub fn heard(&self) -> Duration {
        Duration::from_nanos(self.heard.load(Relaxed))
    }

    /// Whoever did not listen cannot blame the peer for its silence.
    pub fn listens(&self) {
        self.mark(&self.heard);
    }

    /// When the peer's side last took bytes.
    pub fn wrote(&self) -> Duration {
        Duration::from_nanos(self.wrote.load(Relaxed))
    }

    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    fn mark(&self, moment: &AtomicU64) {
        moment.store(u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Observer for Arc<Meter> {
    fn read(&self, count: usize) {
        self.mark(&self.heard);
        self.bytes_in.fetch_add(count as u64, Relaxed);
    }

    fn wrote(&self, _count: usize) {
        self.mark(&self.wrote);
    }
}
